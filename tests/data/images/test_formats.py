"""Formats beyond Pillow's own: told by content, read where their reader is, else named with it."""

import numpy as np
import pytest
from photographs import encode, noise
from PIL import Image, features
from test_bad_photographs import smooth

from jaxret.data.images import formats
from jaxret.data.images.decode import BadImage, decode, orientation_and_size, to_pixels
from jaxret.data.images.opening import peek

PLUGINS = {"HEIF": "pillow_heif", "JXL": "pillow_jxl"}
NAMES = {"JXL": "JPEG XL", "JPEG2000": "JPEG 2000", "WEBP": "WebP", "MPO": "JPEG"}


def written(form: str, image: Image.Image, **options) -> bytes:
    if form == "AVIF" and not features.check("avif"):
        pytest.skip("this Pillow has no AVIF")
    if form in PLUGINS:
        pytest.importorskip(PLUGINS[form])
        assert not formats.lacking(NAMES.get(form, form))
    return encode(image, form, **options)


READ = ["JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF", "PPM", "JPEG2000", "MPO"]


@pytest.mark.parametrize("form", [*READ, "HEIF", "AVIF", "JXL"])
def test_told_by_content(form):
    encoded = written(form, smooth())
    assert formats.format_of(encoded[: formats.HEADER_BYTES]) == NAMES.get(form, form)
    assert formats.format_of(encoded[:1]) is None


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (b"", None),
        (b"BM is how this text begins", None),
        (b"P5 is how this text begins", None),
        (b"Photographs of 2025", None),
        (b"%PDF-1.7", None),
        (b"\0\0\0\x18ftypmif1\0\0\0\0mif1avif", formats.AVIF),
        (b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic", formats.HEIF),
        (b"\0\0\0\x10ftypmif1\0\0\0\0", formats.HEIF),
        (b"\0\0\0\x18ftypisom\0\0\0\0isomavc1", formats.VIDEO),
        (b"\0\0\0\x18ftypcrx \0\0\0\0crx isom", formats.CAMERA_RAW),
        (b"II*\0\x10\0\0\0CR\x02\0", formats.CAMERA_RAW),
        (b"\xff\xff\xff\xffftypmif1", formats.HEIF),
    ],
)
def test_told_by_a_few_bytes(header, expected):
    assert formats.format_of(header) == expected


@pytest.mark.parametrize("form", ["HEIF", "AVIF", "JXL"])
def test_read_as_what_they_are(form):
    encoded = written(form, smooth(), quality=95)
    ours = np.asarray(decode(encoded, "photo")).astype(int)
    assert np.abs(ours - np.asarray(smooth()).astype(int)).max() < 32
    assert peek(encoded) == (1, (64, 48))
    assert to_pixels(encoded, "photo", 20, (8, 8, 40, 40), "keep").shape[2] == 3


@pytest.mark.parametrize("form", ["HEIF", "AVIF", "JPEG", "WEBP", "PNG"])
@pytest.mark.parametrize("orientation", [3, 6, 8])
def test_turned_upright_once(form, orientation):
    """A HEIF reader turns by itself, the others say how: the picture is the same."""
    image = Image.new("RGB", (40, 24), (0, 0, 255))
    image.paste((255, 0, 0), (0, 0, 20, 12))  # the upper left quarter as stored
    exif = Image.Exif()
    exif[0x0112] = orientation
    encoded = written(form, image, exif=exif.tobytes(), quality=95)
    shown = np.asarray(decode(encoded, "photo")).astype(int)
    turns = {3: 2, 6: 3, 8: 1}[orientation]  # quarter turns against the clock
    expected = np.rot90(np.asarray(image), turns).astype(int)
    assert shown.shape == expected.shape
    assert np.abs(shown - expected).mean() < 12


def test_jpeg_xl_made_of_a_jpeg_is_turned_as_the_jpeg(tmp_path):
    pytest.importorskip("pillow_jxl")
    formats.lacking(formats.JPEG_XL)
    exif = Image.Exif()
    exif[0x0112] = 6
    smooth().save(tmp_path / "a.jpg", exif=exif, quality=95)
    with Image.open(tmp_path / "a.jpg") as jpeg:
        jpeg.save(tmp_path / "a.jxl", lossless_jpeg=True)
    ours, theirs = (
        np.asarray(decode((tmp_path / name).read_bytes(), name)) for name in ("a.jxl", "a.jpg")
    )
    np.testing.assert_array_equal(ours, theirs)


def test_jpeg_xl_is_upright_whatever_its_exif_says():
    """Its own header turns the pixels; ISO/IEC 18181 puts that before EXIF."""
    exif = Image.Exif()
    exif[0x0112] = 6
    encoded = written("JXL", smooth(), exif=exif.tobytes(), lossless=True)
    np.testing.assert_array_equal(np.asarray(decode(encoded, "photo")), np.asarray(smooth()))


@pytest.mark.parametrize("size", [(64, 48), (256, 256), (7, 500), (3000, 16), (33, 44), (160, 90)])
@pytest.mark.parametrize("container", [True, False])
def test_size_of_a_jpeg_xl_before_it_is_decoded(size, container):
    pytest.importorskip("pillow_jxl")
    formats.lacking(formats.JPEG_XL)
    encoded = encode(Image.new("RGB", size), "JXL", use_container=container)
    assert formats.jpeg_xl_size(encoded) == size


def test_a_jpeg_xl_bomb_is_not_decoded():
    """Two bytes and a size: 2^30 x 2^30."""
    sides = 0b0 | 0b11 << 1 | (2**30 - 1) << 3 | 0b000 << 33 | 0b11 << 36 | (2**30 - 1) << 38
    bomb = b"\xff\x0a" + sides.to_bytes(12, "little")
    assert formats.jpeg_xl_size(bomb) == (2**30, 2**30)
    if formats.lacking(formats.JPEG_XL):
        pytest.skip("JPEG XL's reader is not installed")
    with pytest.raises(BadImage, match="more pixels than a photograph"):
        decode(bomb, "photo")
    with pytest.raises(BadImage, match="does not decode"):
        decode(bomb[:9], "photo")


@pytest.mark.parametrize("share", [0.02, 0.5, 0.9])
@pytest.mark.parametrize("form", ["HEIF", "AVIF", "JXL"])
def test_truncated(form, share):
    whole = written(form, noise(100, 80))
    with pytest.raises(BadImage, match="photo"):
        to_pixels(whole[: int(len(whole) * share)], "photo", 8)


@pytest.mark.parametrize(
    ("header", "advice"),
    [
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", r"HEIF, which needs: pip install 'jaxret\[heif\]'"),
        (b"\xff\x0a" + bytes(20), r"JPEG XL, which needs: pip install 'jaxret\[jxl\]'"),
        (b"\0\0\0\x18ftypavif\0\0\0\0mif1avif", r"AVIF, which needs Pillow 11\.3"),
    ],
)
def test_what_cannot_be_read_here_names_what_is_needed(header, advice, monkeypatch):
    monkeypatch.setattr(formats, "_registered", lambda *_: False)
    monkeypatch.setattr(formats.features, "check", lambda _: False)
    formats.lacking.cache_clear()
    try:
        with pytest.raises(BadImage, match=f"'photo' cannot be used: it is {advice}"):
            decode(header, "photo")
    finally:
        formats.lacking.cache_clear()


@pytest.mark.parametrize("header", [b"\0\0\0\x18ftypisom\0\0\0\0isomavc1", b"FUJIFILMCCD-RAW 0201"])
def test_what_is_recognised_and_never_read(header):
    with pytest.raises(BadImage, match=r"a video|a camera's raw file: export it as JPEG"):
        decode(header, "photo")


@pytest.mark.parametrize("form", ["JPEG", "PNG"])
def test_stored_size_and_orientation_of_what_is_decoded(form):
    exif = Image.Exif()
    exif[0x0112] = 8
    encoded = encode(smooth(), form, exif=exif.tobytes())
    assert orientation_and_size(encoded, "photo") == (8, (64, 48)) == peek(encoded)
