"""Views against torchvision's operations at the same parameters, and what chance decides."""

import dataclasses
import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import skimage.data
import torch
import torchvision_functional
from scipy import stats

from jaxret.runtime.parallel import local_mesh, over_devices
from jaxret.training.augmentations import LIGHT, MOCOV2, RECIPES, SIMCLR, Recipe, augment
from jaxret.training.augmentations.blur import gaussian_blur
from jaxret.training.augmentations.colour import Jitter, apply_jitter, draw_jitter, to_grey
from jaxret.training.augmentations.geometry import draw_box, resized_crop
from jaxret.training.augmentations.view import draw_view

TOLERANCE = 2e-3  # of 255, in float32; 0.5 would be a step of 8-bit pixels
SIZE = 32

jitted_crop = jax.jit(resized_crop, static_argnames="size")
jitted_jitter = jax.jit(apply_jitter)
jitted_blur = jax.jit(gaussian_blur, static_argnames="radius")
jitted_augment = jax.jit(augment, static_argnames=("recipe", "size"))


@functools.partial(jax.jit, static_argnums=(1, 2, 3, 4))
def draw_boxes(keys, height, width, area, ratio):
    return jax.vmap(lambda key: draw_box(key, height, width, area, ratio))(keys)


@functools.partial(jax.jit, static_argnums=(1, 2, 3))
def draw_views(keys, height, width, recipe):
    return jax.vmap(lambda key: draw_view(key, height, width, recipe))(keys)


def functional():
    return torchvision_functional.load().transforms.v2.functional


def boxes_of_torchvision():
    return torchvision_functional.load().transforms.RandomResizedCrop.get_params


def photograph(name, height=61, width=80):
    """The middle of a real photograph, uint8 [height, width, 3]."""
    pixels = getattr(skimage.data, name)()
    top, left = (pixels.shape[0] - height) // 2, (pixels.shape[1] - width) // 2
    return pixels[top : top + height, left : left + width]


def planes(name, **size):
    return photograph(name, **size).transpose(2, 0, 1).astype(np.float32)


def in_torch(array):
    """float32 [3, H, W] in 0..1, as torchvision wants it."""
    return torch.from_numpy(np.array(array, np.float32)) / 255


def assert_same(ours, theirs, tolerance=TOLERANCE):
    np.testing.assert_allclose(ours, 255 * theirs.numpy(), rtol=0, atol=tolerance)


def keys(count, seed=0):
    return jax.random.split(jax.random.key(seed), count)


PHOTOGRAPHS = ("astronaut", "chelsea", "coffee")
# Whole; a corner enlarged; reduced and enlarged at once; one pixel; the last row and column.
BOXES = [
    (0, 0, 61, 80),
    (50, 64, 11, 16),
    (0, 3, 60, 17),
    (7, 9, 1, 1),
    (60, 1, 1, 79),
    (3, 79, 58, 1),
]


@pytest.mark.parametrize("box", BOXES)
@pytest.mark.parametrize("name", PHOTOGRAPHS)
def test_crop(name, box):
    top, left, height, width = box
    ours = jitted_crop(photograph(name), jnp.array(box), size=SIZE)
    theirs = functional().resized_crop(
        in_torch(planes(name)), top, left, height, width, [SIZE, SIZE], antialias=True
    )
    assert_same(ours, theirs)


@pytest.mark.parametrize(("size", "flip"), [(19, True), (19, False), (200, True)])
def test_crop_of_odd_sizes_and_flip(size, flip):
    pixels = photograph("chelsea", height=37, width=53)
    ours = jitted_crop(pixels, jnp.array([2, 5, 33, 47]), size=size, flip=flip)
    theirs = functional().resized_crop(
        in_torch(pixels.transpose(2, 0, 1)), 2, 5, 33, 47, [size, size], antialias=True
    )
    assert_same(ours, functional().horizontal_flip(theirs) if flip else theirs)


def jittered_in_torch(image, jitter):
    brightness, contrast, saturation = (float(factor) for factor in jitter.factors)
    operations = (
        lambda x: functional().adjust_brightness(x, brightness),
        lambda x: functional().adjust_contrast(x, contrast),
        lambda x: functional().adjust_saturation(x, saturation),
        lambda x: functional().adjust_hue(x, float(jitter.hue)),
    )
    for operation in jitter.order:
        image = operations[operation](image)
    return image


SINGLE = [
    *(((factor, 1, 1), 0) for factor in (0, 0.3, 1.8)),
    *(((1, factor, 1), 0) for factor in (0, 0.3, 1.8)),
    *(((1, 1, factor), 0) for factor in (0, 0.3, 1.8)),
    *(((1, 1, 1), hue) for hue in (-0.5, -0.2, 0.1, 0.5)),
]


@pytest.mark.parametrize(("factors", "hue"), SINGLE)
def test_one_change_of_colours(factors, hue):
    jitter = Jitter(jnp.array(factors, jnp.float32), jnp.float32(hue), jnp.arange(4))
    for name in PHOTOGRAPHS:
        ours = jitted_jitter(planes(name), jitter)
        assert_same(ours, jittered_in_torch(in_torch(planes(name)), jitter))


def test_changes_of_colours_in_every_order():
    image = planes("coffee")
    for order in itertools.permutations(range(4)):
        jitter = Jitter(jnp.array([1.7, 0.4, 1.6]), jnp.float32(0.15), jnp.array(order))
        assert_same(jitted_jitter(image, jitter), jittered_in_torch(in_torch(image), jitter))


def test_colours_at_their_limits():
    levels = np.array([0, 1, 127, 255], np.float32)
    image = np.stack(np.meshgrid(levels, levels, levels, indexing="ij")).reshape(3, 8, 8)
    for hue in (-0.2, 0.0, 0.2):
        jitter = Jitter(jnp.ones(3), jnp.float32(hue), jnp.arange(4))
        assert_same(jitted_jitter(image, jitter), jittered_in_torch(in_torch(image), jitter))


@pytest.mark.parametrize("name", PHOTOGRAPHS)
def test_grey(name):
    assert_same(to_grey(planes(name)), functional().rgb_to_grayscale(in_torch(planes(name)), 3))


@pytest.mark.parametrize("sigma", [0.1, 0.7, 2.0])
@pytest.mark.parametrize("radius", [0, 1, 8])
def test_blur(sigma, radius):
    image = planes("astronaut", height=37, width=53)
    ours = jitted_blur(image, sigma, radius=radius)
    kernel = 2 * radius + 1
    assert_same(ours, functional().gaussian_blur(in_torch(image), [kernel, kernel], [sigma, sigma]))


def test_blur_reaches_as_far_as_published():
    assert [SIMCLR.radius(size) for size in (224, 128, 19)] == [11, 6, 0]
    assert [MOCOV2.radius(size) for size in (224, 128, 6)] == [8, 8, 5]


# What chance decides. The seeds are fixed, so a p-value is the same in every run.


@pytest.mark.parametrize(("height", "width"), [(60, 80), (25, 90)])
def test_boxes_are_distributed_as_torchvisions(height, width):
    area, ratio = (0.08, 1.0), (3 / 4, 4 / 3)
    ours = draw_boxes(keys(4000), height, width, area, ratio)
    torch.manual_seed(0)
    image = torch.zeros(3, height, width)
    draw = boxes_of_torchvision()
    theirs = np.array([draw(image, list(area), list(ratio)) for _ in range(4000)])
    for ours_one, theirs_one in zip(_statistics(ours), _statistics(theirs), strict=True):
        assert stats.ks_2samp(ours_one, theirs_one).pvalue > 1e-3


def _statistics(boxes):
    top, left, height, width = np.asarray(boxes, float).T
    return top, left, height * width, width / height, top + height, left + width


def test_boxes_are_uniform_in_area_and_in_the_logarithm_of_the_ratio():
    """Where almost every draw fits, and rounding to pixels hardly matters."""
    boxes = draw_boxes(keys(4000), 4000, 4000, (0.1, 0.5), (3 / 4, 4 / 3))
    top, left, height, width = np.asarray(boxes, float).T
    log_ratio = np.log(width / height)
    assert (top >= 0).all() and (left >= 0).all()
    assert (top + height <= 4000).all() and (left + width <= 4000).all()
    area = stats.uniform(0.1, 0.4)
    assert stats.kstest(height * width / 4000**2, area.cdf).pvalue > 1e-3
    log_ratios = stats.uniform(np.log(3 / 4), np.log(16 / 9))
    assert stats.kstest(log_ratio, log_ratios.cdf).pvalue > 1e-3


@pytest.mark.parametrize(("height", "width"), [(20, 100), (37, 41)])
def test_without_a_box_that_fits_it_is_in_the_middle(height, width):
    """An area of 1.2 never fits."""
    area, ratio = (1.2, 1.2), (3 / 4, 4 / 3)
    theirs = boxes_of_torchvision()(torch.zeros(3, height, width), list(area), list(ratio))
    assert tuple(draw_boxes(keys(1), height, width, area, ratio)[0].tolist()) == theirs


def test_colours_are_drawn_from_their_ranges_in_any_order():
    jitters = jax.jit(jax.vmap(lambda key: draw_jitter(key, 0.8, 0.4, 1.5, 0.2)))(keys(4800))
    expected = [(0.2, 1.8), (0.6, 1.4), (0, 2.5), (-0.2, 0.2)]
    drawn = [*np.asarray(jitters.factors).T, np.asarray(jitters.hue)]
    for values, (low, high) in zip(drawn, expected, strict=True):
        assert stats.kstest(values, stats.uniform(low, high - low).cdf).pvalue > 1e-3
    _, counts = np.unique(np.asarray(jitters.order), axis=0, return_counts=True)
    assert len(counts) == 24
    assert stats.chisquare(counts).pvalue > 1e-3


@pytest.mark.parametrize("recipe", [SIMCLR, LIGHT])
def test_operations_have_their_probabilities(recipe):
    views = draw_views(keys(4000), 40, 40, recipe)
    drawn = [views.flipped, views.jittered, views.grey, views.blurred]
    expected = [recipe.flip, recipe.jitter, recipe.grey, recipe.blur]
    drawn = np.asarray(drawn, float)
    np.testing.assert_allclose(drawn.mean(axis=1), expected, rtol=0, atol=0.03)
    together = np.cov(drawn)  # independent of each other
    np.testing.assert_allclose(together - np.diag(np.diag(together)), 0, rtol=0, atol=0.015)
    assert stats.kstest(views.sigma, stats.uniform(0.1, 1.9).cdf).pvalue > 1e-3


def test_strengths_are_the_published_ones():
    simclr, mocov2 = dataclasses.astuple(RECIPES["simclr"]), dataclasses.astuple(RECIPES["mocov2"])
    shared = ((3 / 4, 4 / 3), 0.5, 0.8)
    assert simclr == ((0.08, 1), *shared, 0.8, 0.8, 0.8, 0.2, 0.2, 0.5, (0.1, 2), 0.1)
    assert mocov2 == ((0.2, 1), *shared, 0.4, 0.4, 0.4, 0.1, 0.2, 0.5, (0.1, 2), None)


# Views of a batch.


@pytest.fixture(scope="module")
def batch():
    images = [photograph(name, height=37, width=53) for name in PHOTOGRAPHS]
    return jnp.stack([*images, images[0]] * 2)


@pytest.mark.slow
def test_a_whole_view(batch):
    """What was drawn, done by torchvision in the order of the authors' code."""
    ours = jitted_augment(keys(8), batch, SIMCLR, SIZE)
    views = jax.device_get(draw_views(keys(8), *batch.shape[1:3], SIMCLR))
    for flag in (views.flipped, views.jittered, views.grey, views.blurred):
        assert set(flag.tolist()) == {True, False}
    for i, pixels in enumerate(batch):
        view = jax.tree.map(lambda drawn, i=i: drawn[i], views)
        image = in_torch(pixels.transpose(2, 0, 1))
        image = functional().resized_crop(image, *view.box.tolist(), [SIZE, SIZE], antialias=True)
        image = functional().horizontal_flip(image) if view.flipped else image
        image = jittered_in_torch(image, view.jitter) if view.jittered else image
        image = functional().rgb_to_grayscale(image, 3) if view.grey else image
        kernel, sigma = 2 * SIMCLR.radius(SIZE) + 1, float(view.sigma)
        if view.blurred:
            image = functional().gaussian_blur(image, [kernel, kernel], [sigma, sigma])
        assert_same(ours[i].transpose(2, 0, 1), image)


@pytest.mark.slow
def test_a_view_depends_on_nothing_else_in_the_batch(batch):
    together = jitted_augment(keys(8), batch, SIMCLR, SIZE)
    assert together.shape == (8, SIZE, SIZE, 3) and together.dtype == jnp.float32
    assert together.min() >= 0 and together.max() <= 255
    backwards = jitted_augment(keys(8)[::-1], batch[::-1], SIMCLR, SIZE)[::-1]
    np.testing.assert_array_equal(backwards, together)
    alone = jitted_augment(keys(8)[5:6], batch[5:6], SIMCLR, SIZE)
    np.testing.assert_allclose(alone[0], together[5], rtol=0, atol=TOLERANCE)


@pytest.mark.slow
def test_views_are_the_same_on_four_devices(batch):
    one = jitted_augment(keys(8), batch, SIMCLR, SIZE)
    sharding = over_devices(local_mesh())
    assert len(sharding.device_set) == 4
    dealt = jax.device_put((keys(8), batch), sharding)
    compiled = jitted_augment.lower(*dealt, SIMCLR, SIZE).compile()
    assert "all-gather" not in compiled.as_text()  # each device makes its own views
    four = compiled(*dealt)
    assert four.sharding.is_equivalent_to(sharding, four.ndim)
    np.testing.assert_allclose(four, one, rtol=0, atol=TOLERANCE)


def test_other_keys_and_other_photographs_give_other_views(batch):
    again = jitted_augment(keys(8), batch, SIMCLR, SIZE)
    other = jitted_augment(keys(8, seed=1), batch, SIMCLR, SIZE)
    assert (np.abs(again - other).mean(axis=(1, 2, 3)) > 1).all()
    of_one_key = jitted_augment(jnp.stack([keys(1)[0]] * 8), batch, SIMCLR, SIZE)
    differences = np.abs(of_one_key[:, None] - of_one_key[None]).mean(axis=(2, 3, 4))
    same = (batch[:, None] == batch[None]).all(axis=(2, 3, 4))
    assert (differences[~same] > 1).all()
    np.testing.assert_array_equal(differences[same], 0)


def test_nothing_to_do_leaves_the_photograph(batch):
    nothing = Recipe(area=(1, 1), ratio=(1, 1), flip=0, jitter=0)
    square = batch[:, :, :37]
    views = jitted_augment(keys(8), square, nothing, 37)
    np.testing.assert_allclose(views, square, rtol=0, atol=TOLERANCE)
