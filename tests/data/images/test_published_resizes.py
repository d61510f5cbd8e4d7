"""The sizes and pixels of the public code under published figures."""

import io

import numpy as np
import pytest
import torchvision_functional
from photographs import MemorySplit, encode, noise
from PIL import Image

from jaxret.data.images.decode import to_pixels
from jaxret.data.images.loader import batches
from jaxret.data.images.resize import longer_size

SIZES = ((301, 200), (200, 301), (90, 90), (1000, 3), (120, 700))
BOX = (10, 1, 75, 3)


def pixels(photograph, size, resize, box=None, multiple=1, scale=1.0):
    return to_pixels(encode(photograph), "x", size, box, resize, "pil", multiple, scale)


def written(image):
    """The photograph as PIL opens it, whatever `encode` wrote."""
    return Image.open(io.BytesIO(encode(image))).convert("RGB")


@pytest.mark.parametrize("size", SIZES)
def test_thumbnail_is_pils_and_never_enlarges(size):
    photograph = noise(*size)
    for bound in (64, 150, 5000):
        expected = written(photograph)
        expected.thumbnail((bound, bound), Image.Resampling.LANCZOS)
        np.testing.assert_array_equal(pixels(photograph, bound, "thumbnail"), expected)
        assert max(expected.size) == min(bound, max(size))


@pytest.mark.parametrize("size", SIZES)
def test_a_cut_out_shrinks_as_its_photograph(size):
    """Cirtorch's ImagesFromList: the bound is imsize * longer of the crop / longer of the whole."""
    expected = written(noise(*size)).crop(BOX)
    bound = 64 * max(expected.size) / max(size)
    expected.thumbnail((bound, bound), Image.Resampling.LANCZOS)
    np.testing.assert_array_equal(pixels(noise(*size), 64, "thumbnail", BOX), expected)


def test_scales_of_a_thumbnail_are_of_its_result():
    for scale, side in ((1.0, 100), (2**0.5, 141), (0.5, 50)):
        assert pixels(noise(100, 60), 200, "thumbnail", scale=scale).shape[1] == side
    assert pixels(noise(100, 60), 50, "thumbnail", scale=2.0).shape == (60, 100, 3)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("bound", [64, 517])
def test_longer_side_is_exact_and_bicubic(size, bound):
    """The other side, in the one way of the three that rounds down twice, by exact fractions."""
    found = pixels(noise(*size), bound, "longer")
    assert max(found.shape[:2]) == bound
    other = max(1, min(size) * bound // max(size))
    assert min(found.shape[:2]) in (other, max(1, other - 1))  # a float quotient may fall short
    width, height = found.shape[1], found.shape[0]
    expected = written(noise(*size)).resize((width, height))  # PIL's own default is bicubic
    np.testing.assert_array_equal(found, expected)
    assert (width, height) == longer_size(size, bound)


def test_center_is_torchvisions():
    transforms = torchvision_functional.load().transforms
    for size in ((301, 200), (200, 301), (90, 90), (120, 700), (257, 256)):
        for side, shorter in ((224, 256), (126, 144), (35, 40)):
            whole = transforms.functional.resize(
                written(noise(*size)), shorter, transforms.InterpolationMode.BICUBIC
            )
            expected = transforms.functional.center_crop(whole, side)
            np.testing.assert_array_equal(pixels(noise(*size), side, "center"), expected)


@pytest.mark.parametrize("resize", ["thumbnail", "longer"])
def test_what_the_network_would_cut_off_is_cut_off_before(resize):
    whole = pixels(noise(301, 200), 150, resize)
    found = pixels(noise(301, 200), 150, resize, multiple=14)
    assert found.shape == (whole.shape[0] // 14 * 14, 140, 3)
    np.testing.assert_array_equal(found, whole[: found.shape[0], :140])
    assert pixels(noise(1000, 3), 150, resize, multiple=14).shape[0] == 1  # left to the network


def test_batches_pass_it_on():
    split = MemorySplit([encode(noise(80 + i, 60)) for i in range(4)])
    found = list(batches(split, 40, 4, resize="thumbnail", side_multiple=8, scale=2.0))
    assert [batch.images.shape for batch in found] == [(4, 56, 80, 3)]
