"""Multi-scale pooling against torch and PIL; maps of many shapes against one at a time."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from PIL import Image

from jaxret.descriptors.multiscale import (
    describe_scales,
    group_by_shape,
    pool_scales,
    resize_images,
    rmac_of_maps,
)
from jaxret.descriptors.pooling import l2_normalize
from jaxret.descriptors.rmac import rmac
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


@pytest.mark.parametrize("scale", [0.5, 2**-0.5, 1.3])
def test_resized_pixels_are_those_of_pil(scale):
    pixels = np.random.default_rng(3).integers(0, 256, (37, 52, 3), dtype=np.uint8)
    size = (round(52 * scale), round(37 * scale))
    theirs = np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BILINEAR))
    ours = np.asarray(resize_images(pixels[None], scale))[0]
    # PIL rounds to whole values after each of its two passes.
    assert np.abs(ours - theirs).max() <= 1.01
    assert np.abs(ours - theirs).mean() < 0.35


def describe(images):
    """A stand-in for encoder and R-MAC: it meets pixels of any size."""
    fmap = jax.nn.relu(images[:, ::2, ::2].astype(jnp.float32) / 255 - 0.4)
    return rmac(fmap, 2)


def test_describing_scales_is_pooling_what_each_scale_gives():
    images = np.random.default_rng(4).integers(0, 256, (2, 24, 20, 3), dtype=np.uint8)
    one_by_one = [describe(images), describe(resize_images(images, 0.5))]
    expected = pool_scales(np.stack(one_by_one), 1.0)
    jitted = jax.jit(lambda pixels: describe_scales(describe, pixels, (1.0, 0.5), 1.0))
    np.testing.assert_allclose(jitted(images), expected, atol=1e-6)
    np.testing.assert_allclose(
        describe_scales(describe, images, (1.0,)), l2_normalize(describe(images)), atol=1e-6
    )


def test_maps_of_many_shapes_equal_one_at_a_time():
    shapes = [(3, 4), (4, 3), (3, 4), (5, 5), (4, 3), (3, 4)]
    maps = [normal(*shape, 6, seed=i) for i, shape in enumerate(shapes)]
    together = rmac_of_maps(maps)
    for fmap, row in zip(maps, together, strict=True):
        np.testing.assert_allclose(row, rmac(fmap[None])[0], atol=1e-6)


def test_groups_keep_the_order():
    groups = group_by_shape([(2, 3), (3, 2), (2, 3)])
    assert {shape: places.tolist() for shape, places in groups.items()} == {
        (2, 3): [0, 2],
        (3, 2): [1],
    }


def test_what_cannot_be_pooled_is_refused():
    with pytest.raises(UserError, match=r"\[S, N, C\]"):
        pool_scales(normal(2, 3))
    with pytest.raises(UserError, match="power=0"):
        pool_scales(normal(2, 3, 4), 0)
    with pytest.raises(UserError, match="above 0"):
        describe_scales(describe, np.zeros((1, 8, 8, 3), np.uint8), (1.0, -0.5))
    with pytest.raises(UserError, match="no map"):
        rmac_of_maps([])
    with pytest.raises(UserError, match="number of channels"):
        rmac_of_maps([normal(2, 2, 3), normal(2, 2, 4)])
