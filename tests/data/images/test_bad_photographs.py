"""Photographs as people have them: each kind either gives the right picture or an error that names
it; with on_bad="skip" the others go on.
"""

import os
import struct
import sys
import zlib

import numpy as np
import pytest
from photographs import encode, noise
from PIL import Image

from jaxret.data.dataset import FileSplit
from jaxret.data.images.decode import BadImage, decode, to_pixels
from jaxret.data.images.loader import batches


def smooth(width=64, height=48) -> Image.Image:
    """A picture that JPEG keeps within a few levels."""
    x, y = np.meshgrid(np.linspace(0, 255, width), np.linspace(0, 255, height))
    return Image.fromarray(np.stack([x, y, 255 - x], -1).astype(np.uint8))


def pixels(encoded: bytes) -> np.ndarray:
    return np.asarray(decode(encoded, "photo")).astype(int)


def refused(encoded: bytes, reason: str) -> None:
    with pytest.raises(BadImage, match=f"'photo'.*{reason}"):
        to_pixels(encoded, "photo", 8)


# Refused, by name


def test_zero_bytes():
    refused(b"", "empty")


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP"])
@pytest.mark.parametrize("share", [0.02, 0.5, 0.9])
def test_truncated(form, share):
    whole = encode(noise(100, 80), form)
    refused(whole[: int(len(whole) * share)], "")


def test_no_picture_at_all():
    refused(b"<html>404 Not Found</html>", "no picture of a known format")


def test_damaged_in_the_middle():
    """A PNG's checksum tells. A JPEG has none: PIL shows grey, simplejpeg refuses."""
    damaged = bytearray(encode(noise(100, 80)))
    damaged[len(damaged) // 2] ^= 0xFF
    refused(bytes(damaged), "does not decode")

    pytest.importorskip("simplejpeg")
    damaged = bytearray(encode(noise(100, 80), "JPEG"))
    middle = len(damaged) // 2
    damaged[middle : middle + 40] = b"\xff\xd0" * 20
    assert to_pixels(bytes(damaged), "photo", 8).shape == (8, 8, 3)
    with pytest.raises(BadImage, match="photo"):
        to_pixels(bytes(damaged), "photo", 8, decoder="simplejpeg")


def test_decompression_bomb():
    """A PNG of a few hundred bytes that says it has 10^10 pixels."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        body = kind + content
        return struct.pack(">I", len(content)) + body + struct.pack(">I", zlib.crc32(body))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 100_000, 100_000, 8, 2, 0, 0, 0))
    data = chunk(b"IDAT", zlib.compress(bytes(1000)))
    refused(
        b"\x89PNG\r\n\x1a\n" + header + data + chunk(b"IEND", b""), "more pixels than a photograph"
    )


def test_floating_point_pixels():
    refused(encode(Image.new("F", (4, 4), 0.5), "TIFF"), "floating-point")


# Read, as what they are


def test_wrong_extension_is_read_by_content(tmp_path):
    image = noise(20, 10)
    (tmp_path / "photo.jpg").write_bytes(encode(image, "PNG"))
    (batch,) = batches(FileSplit(tmp_path, ("photo.jpg",)), 10, 1)
    expected = image.resize((10, 10), Image.Resampling.BILINEAR)
    np.testing.assert_array_equal(batch.images[0], expected)


@pytest.mark.parametrize("form", ["PNG", "WEBP", "BMP", "GIF", "TIFF", "PPM", "JPEG2000"])
def test_other_formats(form):
    options = {"lossless": True} if form == "WEBP" else {}
    image = smooth() if form != "GIF" else Image.new("RGB", (9, 7), (255, 0, 51))
    np.testing.assert_array_equal(pixels(encode(image, form, **options)), image)


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"subsampling": 0}])
def test_jpeg_baseline_and_progressive(options):
    encoded = encode(smooth(), "JPEG", quality=95, **options)
    assert np.abs(pixels(encoded) - np.asarray(smooth()).astype(int)).max() < 16


def test_cmyk_jpeg_is_not_inverted():
    encoded = encode(Image.new("RGB", (16, 16), (250, 10, 10)).convert("CMYK"), "JPEG", quality=95)
    assert np.abs(pixels(encoded) - (250, 10, 10)).max() < 8


def test_sixteen_bits_keep_the_upper_eight():
    levels = np.arange(0, 65536, 257 * 3, dtype=np.uint16).reshape(1, -1)
    for form in ("PNG", "TIFF"):
        grey = pixels(encode(Image.fromarray(levels), form))
        np.testing.assert_array_equal(grey, np.repeat((levels >> 8)[..., None], 3, axis=2))


def test_thirty_two_bit_integers_are_read_as_sixteen():
    image = Image.fromarray(np.array([[0, 32768, 65535, 70000, -5]], np.int32))
    assert pixels(encode(image, "TIFF"))[0, :, 0].tolist() == [0, 128, 255, 255, 0]


def test_palette_with_transparency_lies_on_white():
    image = Image.new("P", (2, 1))
    image.putpalette([200, 0, 0, 0, 0, 200])
    image.putpixel((1, 0), 1)
    encoded = encode(image, "PNG", transparency=0)
    assert pixels(encoded).tolist() == [[[255, 255, 255], [0, 0, 200]]]


@pytest.mark.parametrize(
    ("mode", "colour", "expected"),
    [
        ("L", 77, (77, 77, 77)),
        ("1", 1, (255, 255, 255)),
        ("1", 0, (0, 0, 0)),
        ("LA", (100, 255), (100, 100, 100)),
        ("LA", (0, 0), (255, 255, 255)),
        ("RGBA", (10, 20, 30, 255), (10, 20, 30)),
        ("RGBA", (10, 20, 30, 0), (255, 255, 255)),
        ("RGBA", (0, 0, 0, 128), (127, 127, 127)),
    ],
)
def test_colour_modes(mode, colour, expected):
    assert pixels(encode(Image.new(mode, (3, 2), colour)))[0, 0].tolist() == list(expected)


def test_colour_named_transparent_in_rgb():
    encoded = encode(Image.new("RGB", (3, 2), (1, 2, 3)), "PNG", transparency=(1, 2, 3))
    assert (pixels(encoded) == 255).all()


@pytest.mark.parametrize("form", ["GIF", "WEBP", "PNG", "TIFF"])
def test_animation_counts_by_its_first_frame(form):
    frames = [Image.new("RGB", (8, 6), colour) for colour in ((255, 0, 0), (0, 255, 0))]
    options = {"lossless": True} if form == "WEBP" else {}
    encoded = encode(frames[0], form, save_all=True, append_images=frames[1:], **options)
    assert (pixels(encoded) == (255, 0, 0)).all()


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
def test_broken_exif_does_not_lose_the_photograph():
    encoded = encode(smooth(), "JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\x7f", quality=95)
    assert pixels(encoded).shape == (48, 64, 3)


# Names and places


def test_folder_named_like_a_photograph(tmp_path):
    (tmp_path / "x.jpg").mkdir()
    with pytest.raises(BadImage, match=r"'x\.jpg'.*it is a folder"):
        list(batches(FileSplit(tmp_path, ("x.jpg",)), 8, 1))


def test_broken_link(tmp_path):
    (tmp_path / "x.jpg").symlink_to(tmp_path / "nowhere.jpg")
    with pytest.raises(BadImage, match=r"'x\.jpg'.*link to nothing"):
        list(batches(FileSplit(tmp_path, ("x.jpg",)), 8, 1))


@pytest.mark.skipif(sys.platform != "linux", reason="other systems allow no such names")
@pytest.mark.parametrize("name", [b"a b.png", b"two\nlines.png", b"\xff\xfe.png", "ö.png".encode()])
def test_names(tmp_path, name):
    file = os.fsdecode(name)
    (tmp_path / file).write_bytes(encode(noise(5, 5)))
    split = FileSplit(tmp_path, (file,))
    assert next(batches(split, 8, 1)).count == 1
    (tmp_path / file).write_bytes(b"")
    with pytest.raises(BadImage) as raised:
        list(batches(split, 8, 1))
    str(raised.value).encode()  # can be printed and written
    assert "\n" not in str(raised.value)


def test_all_of_them_skipped_and_named(tmp_path):
    good = encode(noise(30, 20), "JPEG")
    files = {
        "a.jpg": good,
        "cut.jpg": good[:300],
        "empty.jpg": b"",
        "words.jpg": b"words",
        "z.jpg": good,
    }
    for file, content in files.items():
        (tmp_path / file).write_bytes(content)
    (tmp_path / "folder.jpg").mkdir()
    (tmp_path / "link.jpg").symlink_to("nowhere")
    names = ("a.jpg", "cut.jpg", "empty.jpg", "folder.jpg", "link.jpg", "words.jpg", "z.jpg")
    bad: list[tuple[str, str]] = []
    (batch,) = batches(FileSplit(tmp_path, names), 8, 4, workers=2, on_bad="skip", bad=bad)
    assert batch.indices.tolist() == [0, 6]
    assert [name for name, _ in bad] == list(names[1:-1])


def test_faster_decoder_gives_the_same_pixels(shared_data):
    """Both stand on libjpeg-turbo with the accurate DCT: not one level between them."""
    pytest.importorskip("simplejpeg")
    photographs = sorted((shared_data / "oxford5k_sample").rglob("*.jpg"))[:4]
    photographs += sorted((shared_data / "demo" / "buddha").glob("*.jpg"))[:2]
    assert photographs
    for path in photographs:
        ours = to_pixels(path.read_bytes(), path.name, 200, decoder="simplejpeg")
        np.testing.assert_array_equal(ours, to_pixels(path.read_bytes(), path.name, 200))


def test_faster_decoder_turns_and_leaves_other_formats_to_pil():
    pytest.importorskip("simplejpeg")
    exif = Image.Exif()
    exif[0x0112] = 6
    for encoded in (
        encode(smooth(), "JPEG", exif=exif),
        encode(smooth().convert("CMYK"), "JPEG"),
        encode(smooth().convert("L"), "JPEG"),
        encode(smooth(), "PNG"),
    ):
        ours = to_pixels(encoded, "x", 20, decoder="simplejpeg")
        np.testing.assert_array_equal(ours, to_pixels(encoded, "x", 20))
