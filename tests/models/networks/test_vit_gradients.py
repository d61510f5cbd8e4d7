"""Learning from a Vision Transformer: its gradient against torch's, with and without remat."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
import twins
from small_vits import small
from twins.building import pixels_to_torch

from jaxret.convert import from_state_dict
from jaxret.models.encoder import forward_training


@pytest.mark.slow
@pytest.mark.parametrize("name", ["dinov2-small-reg", "dinov3-smallplus"])
def test_gradients_equal_torchs(name, photographs, relative_difference):
    spec = small(name)
    twin = twins.randomize(twins.build(spec), seed=1)
    encoder = from_state_dict(spec, twins.published_state(spec, twin))
    patch = dict(spec.arguments)["patch"]
    images = photographs(4 * patch, 5 * patch)

    def loss(params, remat):
        fmap, moved = forward_training(spec, {"params": params}, jnp.asarray(images), remat=remat)
        assert moved == {}
        return jnp.sin(fmap).sum()

    gradient = jax.jit(jax.grad(loss), static_argnums=1)
    plain, again = (gradient(encoder.variables["params"], remat) for remat in (False, True))
    torch.sin(twin(pixels_to_torch(spec, images))["norm"]).sum().backward()
    expected = {
        ("blocks_0", "mlp", "w1" if "plus" in name else "fc1", "kernel"): twin.blocks[0].mlp.w1
        if "plus" in name
        else twin.blocks[0].mlp.fc1,
        ("blocks_1", "attn", "proj", "kernel"): twin.blocks[1].attn.proj,
    }
    for path, layer in expected.items():
        one, other = plain, again
        for key in path:
            one, other = one[key], other[key]
        assert relative_difference(one, layer.weight.grad.T.numpy()) <= 1e-4, path
        np.testing.assert_allclose(other, one, atol=1e-5 * np.abs(np.asarray(one)).max())
    cls = twin.cls_token.grad.numpy()
    assert relative_difference(plain["cls_token"], cls) <= 1e-4


@pytest.mark.slow
def test_sines_and_cosines_are_not_learnt(photographs):
    spec = small("mae-huge")
    twin = twins.randomize(twins.build(spec), seed=1)
    params = from_state_dict(spec, twins.published_state(spec, twin)).variables["params"]
    images = jnp.asarray(photographs(56, 56))
    gradient = jax.grad(lambda p: forward_training(spec, {"params": p}, images)[0].sum())(params)
    assert not np.asarray(gradient["pos_embed"]).any()
    assert np.asarray(gradient["patch_embed"]["kernel"]).any()
