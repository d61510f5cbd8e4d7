"""Photographs of more pixels than Pillow lets pass: JPEGs are read at a reduced scale."""

import threading
import warnings

import numpy as np
import pytest
from photographs import encode
from PIL import Image
from test_bad_photographs import smooth

from jaxret.data.images import opening
from jaxret.data.images.decode import BadImage, decode, orientation_and_size, to_pixels


@pytest.fixture
def few(monkeypatch):
    """Pillow warns above 1,000 pixels and we decode 4,000 at most: what 200 megapixels are."""
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    monkeypatch.setattr(opening, "MOST_PIXELS", 4000)
    monkeypatch.setattr(opening, "MOST_JPEG_PIXELS", 200_000)


@pytest.mark.parametrize("size", [(200, 100), (400, 300), (61, 67), (1001, 20)])
@pytest.mark.parametrize("form", ["JPEG", "MPO"])
@pytest.mark.parametrize("decoder", ["pil", "simplejpeg"])
def test_a_large_jpeg_is_nearly_what_it_is_whole(few, size, form, decoder, monkeypatch):
    if decoder == "simplejpeg":
        pytest.importorskip("simplejpeg")
    encoded = encode(smooth(*size), form, quality=95)
    reduced = to_pixels(encoded, "photo", 24, decoder=decoder).astype(int)
    assert np.prod(decode(encoded, "photo").size) <= 4000 * 1.3  # sides are rounded up
    assert orientation_and_size(encoded, "photo") == (1, size)
    monkeypatch.setattr(opening, "MOST_PIXELS", 10**9)
    whole = to_pixels(encoded, "photo", 24, decoder=decoder).astype(int)
    assert np.abs(reduced - whole).mean() < 6
    assert Image.MAX_IMAGE_PIXELS == 1000


def test_its_box_counts_stored_pixels(few, monkeypatch):
    exif = Image.Exif()
    exif[0x0112] = 6
    encoded = encode(smooth(400, 300), "JPEG", quality=95, exif=exif)
    for resize in ("square", "keep"):
        reduced = to_pixels(encoded, "photo", 128, (40, 80, 280, 210), resize).astype(int)
        with monkeypatch.context() as unlimited:
            unlimited.setattr(opening, "MOST_PIXELS", 10**9)
            whole = to_pixels(encoded, "photo", 128, (40, 80, 280, 210), resize).astype(int)
        assert reduced.shape == whole.shape
        assert np.abs(reduced - whole).mean() < 6
    with pytest.raises(BadImage, match="400x300"):
        to_pixels(encoded, "photo", 128, (500, 400, 600, 500))


@pytest.mark.parametrize("form", ["PNG", "TIFF", "BMP", "WEBP", "GIF"])
def test_other_formats_are_refused_with_what_may_be_done(few, form):
    with pytest.raises(BadImage, match=r"100x100 are more pixels .* JPEGs may have"):
        decode(encode(smooth(100, 100), form), "photo")


def test_a_jpeg_beyond_all_is_refused(few):
    with pytest.raises(BadImage, match="500x401 are more pixels"):
        decode(encode(smooth(500, 401), "JPEG"), "photo")


@pytest.mark.parametrize("form", ["PNG", "TIFF", "BMP", "JPEG", "WEBP", "GIF"])
def test_nothing_warns_without_a_name(few, form):
    """Between Pillow's two limits: decoded whole, cut whole, in silence."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        encoded = encode(smooth(60, 50), form)
        assert to_pixels(encoded, "photo", 8, (0, 0, 59, 50)).shape == (8, 8, 3)


def test_pillows_own_limit_stays_for_others(few):
    encoded = encode(smooth(60, 50), "PNG")
    threads = [threading.Thread(target=decode, args=(encoded, "photo")) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert Image.MAX_IMAGE_PIXELS == 1000


@pytest.mark.slow
def test_200_megapixels():
    """A phone's: 16,320 x 12,240."""
    grey = Image.linear_gradient("L").resize((16_320, 12_240))
    pixels = to_pixels(encode(grey, "JPEG", quality=50), "photo", 64).astype(int)
    expected = np.asarray(Image.linear_gradient("L").resize((64, 64), Image.Resampling.BILINEAR))
    assert np.abs(pixels - expected[..., None].astype(int)).max() < 4
