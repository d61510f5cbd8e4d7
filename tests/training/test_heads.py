import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from torch import nn

from jaxret.training import heads


@pytest.mark.parametrize("batch", [1, 3])
def test_equals_two_linear_layers_of_pytorch(batch):
    params = heads.init(jax.random.key(0), inputs=5, hidden=7, outputs=3)
    params = jax.tree.map(lambda a: a + 0.1, params)  # biases that are not zero
    twin = nn.Sequential(nn.Linear(5, 7), nn.ReLU(), nn.Linear(7, 3)).double()
    with torch.no_grad():
        for layer, name in ((twin[0], "hidden"), (twin[2], "output")):
            layer.weight.copy_(torch.tensor(np.asarray(params[name]["kernel"]).T))
            layer.bias.copy_(torch.tensor(np.asarray(params[name]["bias"])))
    x = np.random.default_rng(1).normal(size=(batch, 5))
    theirs = twin(torch.tensor(x))
    ours = heads.project(params, jnp.float32(x))
    np.testing.assert_allclose(ours, theirs.detach().numpy(), rtol=1e-5, atol=1e-6)

    theirs.square().sum().backward()
    gradient = jax.grad(lambda p: jnp.square(heads.project(p, jnp.float32(x))).sum())(params)
    for layer, name in ((twin[0], "hidden"), (twin[2], "output")):
        np.testing.assert_allclose(gradient[name]["kernel"].T, layer.weight.grad, rtol=1e-4)
        np.testing.assert_allclose(gradient[name]["bias"], layer.bias.grad, rtol=1e-4, atol=1e-5)


def test_keeps_the_scale_of_what_goes_in():
    params = heads.init(jax.random.key(3), inputs=300, hidden=400, outputs=500)
    x = jax.random.normal(jax.random.key(4), (50, 300))
    assert heads.project(params, x).shape == (50, 500)
    assert float(heads.project(params, x).std()) == pytest.approx(1, abs=0.15)
    assert heads.project(params, x.astype(jnp.bfloat16)).dtype == jnp.bfloat16


def test_is_seeded():
    first, again, other = (heads.init(jax.random.key(seed), 4, 4, 2) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first["output"]["kernel"], again["output"]["kernel"])
    assert (first["output"]["kernel"] != other["output"]["kernel"]).any()
    assert (first["hidden"]["kernel"][:, :2] != first["output"]["kernel"]).any()
