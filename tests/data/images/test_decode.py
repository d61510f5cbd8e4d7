"""Decode, crop and resize, against torch's antialiased resize and pictures known beforehand."""

import io
import pickle

import numpy as np
import pytest
from photographs import encode, noise
from PIL import Image, ImageOps

from jaxret.data.images.decode import UPRIGHT, BadImage, decode, pixel_box, to_pixels


@pytest.mark.parametrize("size", [(61, 37), (5, 200), (1024, 768)])
@pytest.mark.parametrize("image_size", [32, 75])
def test_resize_is_the_antialiased_bilinear_one(size, image_size):
    torch = pytest.importorskip("torch")
    image = noise(*size)
    ours = to_pixels(encode(image), "x", image_size)
    planes = torch.from_numpy(np.array(image)).permute(2, 0, 1)[None].double()
    theirs = torch.nn.functional.interpolate(
        planes, (image_size, image_size), mode="bilinear", antialias=True
    )
    theirs = theirs[0].permute(1, 2, 0).numpy()
    assert ours.shape == (image_size, image_size, 3) and ours.dtype == np.uint8
    # PIL rounds to eight bits after each of its two passes
    assert np.abs(ours - theirs).max() <= 1.01


def test_box_is_cut_out_before_the_resize():
    image = noise(60, 40)
    box = (10.5, 3.5, 41.4, 28.6)  # halves go to the even neighbour, as Python's round
    cut = Image.fromarray(np.array(image)[4:29, 10:41])
    expected = np.asarray(cut.resize((16, 16), Image.Resampling.BILINEAR))
    np.testing.assert_array_equal(to_pixels(encode(image), "x", 16, box), expected)


def test_box_rounds_as_pil_crop_does():
    rng = np.random.default_rng(1)
    image = noise(50, 50)
    for _ in range(50):
        x1, y1 = (rng.integers(0, 80, 2) / 4).tolist()
        box = (x1, y1, x1 + rng.integers(8, 100) / 4, y1 + rng.integers(8, 100) / 4)
        left, top, right, bottom = pixel_box(box, image.size, "x")
        assert image.crop(box).size == (right - left, bottom - top)


@pytest.mark.parametrize(
    ("box", "pixels"),
    [
        ((-0.6, 0, 20.4, 10.9), (0, 0, 20, 10)),
        ((3, 3, 3.2, 3.4), (3, 3, 4, 4)),
        ((19.8, 0, 20, 10), (19, 0, 20, 10)),
    ],
)
def test_box_is_clipped_and_never_empty(box, pixels):
    assert pixel_box(box, (20, 10), "x") == pixels


@pytest.mark.parametrize("box", [(30, 0, 40, 10), (0, -9, 20, -2), (10, 5, 4, 8)])
def test_box_elsewhere_names_photograph_and_size(box):
    with pytest.raises(BadImage, match=r"tower.*20x10"):
        to_pixels(encode(noise(20, 10)), "tower.png", 8, box)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_applied_and_the_box_counts_stored_pixels(orientation):
    image = noise(48, 32)
    exif = Image.Exif()
    exif[0x0112] = orientation
    encoded = encode(image, "PNG", exif=exif)
    upright = ImageOps.exif_transpose(Image.open(io.BytesIO(encoded)))
    np.testing.assert_array_equal(np.asarray(decode(encoded, "x")), np.asarray(upright))
    part = image.crop((4, 6, 30, 20))
    if orientation in UPRIGHT:
        part = part.transpose(UPRIGHT[orientation])
    expected = np.asarray(part.resize((9, 9), Image.Resampling.BILINEAR))
    np.testing.assert_array_equal(to_pixels(encoded, "x", 9, (4, 6, 30, 20)), expected)


def test_one_pixel_shows_nothing_but_a_narrow_strip_may():
    with pytest.raises(BadImage, match="1x1 pixels show nothing"):
        to_pixels(encode(Image.new("RGB", (1, 1), (9, 80, 200))), "x", 7)
    pixels = to_pixels(encode(Image.new("RGB", (1, 30), (9, 80, 200))), "x", 7)
    assert (pixels == (9, 80, 200)).all() and pixels.shape == (7, 7, 3)


def test_bad_image_travels_between_processes():
    error = pickle.loads(pickle.dumps(BadImage("a.jpg", "the file is empty")))
    assert (error.name, error.reason) == ("a.jpg", "the file is empty")
    assert "'a.jpg'" in str(error) and "--on_bad_image=skip" in str(error)
