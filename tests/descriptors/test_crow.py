"""CroW against its authors' formula in NumPy, channel by channel, in float64."""

import jax
import numpy as np
import pytest

from jaxret.descriptors.crow import crow
from jaxret.errors import UserError


def published(x):
    """One map [C, H, W] as the authors' code goes through it: pixel weights, channel weights."""
    total = x.sum(axis=0)
    pixels = np.sqrt(total / np.sqrt((total**2).sum()))
    area = float(x.shape[1] * x.shape[2])
    seen = np.array([np.count_nonzero(channel) / area for channel in x])
    weights = np.array([np.log(seen.sum() / one) if one > 0 else 0.0 for one in seen])
    return np.array([(channel * pixels).sum() for channel in x]) * weights


def relu_maps(shape, seed=0):
    """Sparse ones, with a channel that nothing is seen in."""
    maps = np.maximum(np.random.default_rng(seed).standard_normal(shape) - 0.3, 0)
    maps[..., 2] = 0
    return maps.astype(np.float32)


@pytest.mark.parametrize("shape", [(2, 5, 7, 11), (1, 1, 1, 3), (3, 4, 1, 20)])
def test_crow_is_its_authors_formula(shape):
    maps = relu_maps(shape) + np.float32(0 if shape[1] > 1 else 0.1)
    expected = [published(one.transpose(2, 0, 1).astype(np.float64)) for one in maps]
    np.testing.assert_allclose(crow(maps), expected, rtol=2e-5, atol=1e-6)


def test_what_lies_below_zero_counts_as_nothing_seen():
    signed = np.random.default_rng(1).standard_normal((2, 5, 3, 9)).astype(np.float32)
    np.testing.assert_array_equal(crow(signed), crow(np.maximum(signed, 0)))
    assert np.isfinite(np.asarray(crow(signed))).all()


def test_dark_maps_stay_zero_and_large_ones_finite():
    maps = relu_maps((3, 4, 4, 6))
    maps[1] = 0
    maps[2] *= 1e25  # whose square leaves float32
    pooled = np.asarray(crow(maps))
    assert not pooled[1].any() and np.isfinite(pooled).all()
    np.testing.assert_allclose(pooled[2], np.asarray(crow(maps[2:] / 1e25))[0] * 1e25, rtol=1e-5)
    gradient = np.asarray(jax.grad(lambda x: crow(x).sum())(maps[:2]))
    assert np.isfinite(gradient).all()


def test_what_is_no_map_is_refused():
    with pytest.raises(UserError, match=r"\[B, H, W, C\]"):
        crow(np.zeros((2, 3)))
