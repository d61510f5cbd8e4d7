"""Multi-scale pooling against torch."""

import numpy as np
import pytest
import torch

from jaxret.descriptors.multiscale import pool_scales
from jaxret.descriptors.pooling import l2_normalize
from jaxret.errors import UserError


def normal(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def unit(x):
    return torch.nn.functional.normalize(torch.from_numpy(x).double(), dim=-1)


def test_power_one_is_the_mean_of_the_normalised_scales():
    x = normal(3, 5, 17)
    theirs = torch.nn.functional.normalize(unit(x).mean(dim=0), dim=-1)
    np.testing.assert_allclose(pool_scales(x, 1.0), theirs.numpy(), atol=2e-7)


@pytest.mark.parametrize("power", [2.5, 3.0])
def test_positive_values_are_pooled_as_gem_over_the_scales(power):
    x = np.abs(normal(3, 4, 9, seed=1))
    pooled = unit(x).pow(power).mean(dim=0).pow(1 / power)
    theirs = torch.nn.functional.normalize(pooled, dim=-1)
    np.testing.assert_allclose(pool_scales(x, power), theirs.numpy(), atol=5e-7)


def test_the_power_keeps_signs():
    x = normal(3, 4, 9, seed=2)
    np.testing.assert_allclose(pool_scales(-x, 3.0), -np.asarray(pool_scales(x, 3.0)), atol=1e-7)
    same = np.repeat(x[:1], 3, axis=0)
    np.testing.assert_allclose(pool_scales(same, 3.0), l2_normalize(x[0]), atol=1e-6)
    assert not np.asarray(pool_scales(np.zeros((2, 1, 3)), 3.0)).any()


def test_what_cannot_be_pooled_is_refused():
    with pytest.raises(UserError, match=r"\[S, N, C\]"):
        pool_scales(normal(2, 3))
    with pytest.raises(UserError, match="power=0"):
        pool_scales(normal(2, 3, 4), 0)


def test_raw_scales_count_by_their_length_as_in_dinos_evaluation():
    x = normal(3, 4, 9) * np.float32([1, 5, 20])[:, None, None]
    total = torch.from_numpy(x).double().mean(0)
    theirs = total / total.norm(dim=1, keepdim=True)
    np.testing.assert_allclose(pool_scales(x, normalize=False), theirs.numpy(), atol=2e-7)
    assert np.abs(np.asarray(pool_scales(x)) - theirs.numpy()).max() > 0.01
