import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from torch import nn

from jaxret.training import heads


def twin_of(params):
    """Linear layers in float64, each with a BatchNorm1d behind it where it has a scale."""
    layers = []
    for name in ("hidden", "output"):
        weights = {key: torch.tensor(np.asarray(a)) for key, a in params[name].items()}
        norm = "scale" in weights
        linear = nn.Linear(*weights["kernel"].shape, bias=not norm)
        linear.weight.data = weights["kernel"].T
        last = nn.BatchNorm1d(len(weights["bias"])) if norm else linear
        last.bias.data = weights["bias"]
        layers.append(linear)
        if norm:
            last.weight.data = weights["scale"]
            layers.append(last)
        layers.append(nn.ReLU())
    return nn.Sequential(*layers[:-1]).double()


@pytest.mark.parametrize(("batch", "batch_norm"), [(1, False), (3, False), (3, True), (7, True)])
def test_equals_two_layers_of_pytorch(batch, batch_norm):
    params = heads.init(jax.random.key(0), 5, 7, 3, batch_norm)
    params = jax.tree.map(lambda a: a + 0.1, params)  # biases not zero, scales not one
    twin = twin_of(params)
    x, weights = (np.random.default_rng(1).normal(size=(batch, width)) for width in (5, 3))
    theirs = twin(torch.tensor(x))
    (theirs * torch.tensor(weights)).sum().backward()

    def weighted(params):
        projected = heads.project(params, jnp.float32(x))
        return (projected * jnp.float32(weights)).sum(), projected

    gradient, ours = jax.jit(jax.grad(weighted, has_aux=True))(params)
    np.testing.assert_allclose(ours, theirs.detach().numpy(), rtol=1e-5, atol=2e-6)
    expected = [parameter.grad.numpy() for parameter in twin.parameters()]
    order = ("kernel", "scale", "bias") if batch_norm else ("kernel", "bias")
    actual = [gradient[layer][name].T for layer in ("hidden", "output") for name in order]
    for a, b in zip(actual, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-5 * max(1, np.abs(b).max()))


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
