"""L2 normalisation and GeM against torch and scipy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

from jaxret.descriptors.pooling import gem, l2_normalize
from jaxret.errors import UserError


def test_l2_normalize_equals_torch_and_keeps_zero_rows():
    x = np.random.default_rng(0).standard_normal((5, 7, 33)).astype(np.float32)
    x[1, 2] = 0
    x[3] *= 1e-8
    ours = np.asarray(l2_normalize(x))
    theirs = torch.nn.functional.normalize(torch.from_numpy(x), dim=-1).numpy()
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=2e-7)
    assert not ours[1, 2].any()
    np.testing.assert_allclose(np.linalg.norm(ours[3], axis=-1), 1, atol=3e-7)


def test_l2_normalize_has_no_nan_gradient_at_zero():
    gradient = jax.grad(lambda x: l2_normalize(x).sum())(jnp.zeros((2, 3)))
    assert np.isfinite(np.asarray(gradient)).all()


def test_l2_normalize_works_in_float32_on_halves_and_integers():
    assert l2_normalize(jnp.ones((2, 4), jnp.bfloat16)).dtype == jnp.float32
    np.testing.assert_allclose(l2_normalize(np.array([[3, 4]])), [[0.6, 0.8]], atol=1e-7)


@pytest.mark.parametrize("p", [1.0, 2.9, 3.0, 10.0])
def test_gem_equals_the_power_mean_in_torch(p):
    fmap = np.random.default_rng(1).standard_normal((3, 5, 4, 17)).astype(np.float32)
    nchw = torch.from_numpy(fmap).permute(0, 3, 1, 2).double()
    theirs = torch.nn.functional.avg_pool2d(nchw.clamp(min=1e-6).pow(p), (5, 4)).pow(1 / p)
    np.testing.assert_allclose(gem(fmap, p), theirs[..., 0, 0].numpy(), rtol=2e-6)


def test_gem_takes_an_exponent_a_channel():
    fmap = np.random.default_rng(2).uniform(0.1, 1, (2, 3, 3, 4)).astype(np.float32)
    p = np.array([1.0, 2.0, 3.0, 4.0])
    apart = np.stack([gem(fmap[..., c : c + 1], p[c])[:, 0] for c in range(4)], axis=1)
    np.testing.assert_allclose(gem(fmap, p), apart, rtol=1e-6)


def test_gem_refuses_what_is_no_map():
    with pytest.raises(UserError, match=r"\[B, H, W, C\]"):
        gem(np.zeros((3, 4)))
    with pytest.raises(UserError, match="exponent"):
        gem(np.ones((1, 2, 2, 5)), np.ones(3))
