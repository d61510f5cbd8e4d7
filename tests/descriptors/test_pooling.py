"""L2 normalisation and GeM against torch and scipy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special
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


@pytest.mark.parametrize("p", [50.0, 1000.0, np.inf])
@pytest.mark.parametrize("largest", [1e-3, 1.0, 1e4])
def test_gem_of_a_large_exponent_comes_to_the_maximum(p, largest):
    """x^p leaves float32's range long before p is infinite: held against float64's logarithms."""
    fmap = np.random.default_rng(3).uniform(0.1, 1, (2, 3, 5, 7)).astype(np.float32) * largest
    logs = np.log(fmap.astype(np.float64)).reshape(2, 15, 7)
    theirs = np.exp(scipy.special.logsumexp(p * logs, axis=1, b=1 / 15) / p) if p < np.inf else None
    expected = fmap.max(axis=(1, 2)) if theirs is None else theirs
    np.testing.assert_allclose(gem(fmap, p), expected, rtol=1e-5)


def test_gem_takes_the_maximum_for_some_channels_alone_and_has_a_gradient():
    fmap = np.random.default_rng(4).uniform(0.1, 1, (2, 3, 3, 2)).astype(np.float32)
    p = np.array([3.0, np.inf])
    pooled = np.asarray(gem(fmap, p))
    np.testing.assert_allclose(pooled[:, 0], gem(fmap[..., :1], 3.0)[:, 0], rtol=1e-6)
    np.testing.assert_array_equal(pooled[:, 1], fmap[..., 1].max(axis=(1, 2)))
    gradient = np.asarray(jax.grad(lambda x: gem(x, p).sum())(fmap))
    assert np.isfinite(gradient).all()
    assert (
        gradient[..., 1] == (fmap[..., 1] == fmap[..., 1].max(axis=(1, 2), keepdims=True))
    ).all()


@pytest.mark.parametrize("p", [0.0, -3.0, np.nan, np.array([3.0, -np.inf])])
def test_gem_refuses_an_exponent_that_is_no_generalised_mean(p):
    with pytest.raises(UserError, match="exponent must be above 0"):
        gem(np.ones((1, 2, 2, 2)), p)


def test_gem_refuses_what_is_no_map():
    with pytest.raises(UserError, match=r"\[B, H, W, C\]"):
        gem(np.zeros((3, 4)))
    with pytest.raises(UserError, match="exponent"):
        gem(np.ones((1, 2, 2, 5)), np.ones(3))
