"""Photographs below a folder: told by content; what is left out is named with its reason."""

import os
from pathlib import Path

import pytest
from photographs import encode, noise
from PIL import features

from jaxret.data import load
from jaxret.data.images import formats
from jaxret.data.photographs import list_photographs
from jaxret.errors import UserError


def put(folder: Path, file: str, content: bytes = b"") -> None:
    (folder / file).parent.mkdir(parents=True, exist_ok=True)
    (folder / file).write_bytes(content)


JPEG = encode(noise(9, 7), "JPEG")


@pytest.mark.parametrize("name", ["IMG_1", "photo.jfif", "x.JPG_large", "scan.php", "a.bak", "ü."])
@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "TIFF", "GIF", "BMP", "PPM", "JPEG2000"])
def test_taken_by_content_whatever_the_ending(tmp_path, name, form):
    put(tmp_path, name, encode(noise(9, 7), form))
    assert list_photographs(tmp_path).files == (name,)


@pytest.mark.parametrize(
    ("form", "ending", "module"),
    [("HEIF", ".HEIC", "pillow_heif"), ("JXL", ".jxl", "pillow_jxl"), ("AVIF", ".avif", "PIL")],
)
def test_taken_where_their_reader_is(tmp_path, form, ending, module):
    pytest.importorskip(module)
    if form == "AVIF" and not features.check("avif"):
        pytest.skip("this Pillow has no AVIF")
    assert not formats.lacking({"JXL": formats.JPEG_XL}.get(form, form))
    put(tmp_path, "photo" + ending, encode(noise(64, 64), form))
    assert list_photographs(tmp_path).files == ("photo" + ending,)


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("a.heic", b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "it is HEIF, which needs: pip install"),
        ("a.HEIF", b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic", "it is HEIF, which needs"),
        ("no ending", b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "it is HEIF, which needs"),
        ("a.avif", b"\0\0\0\x18ftypavif\0\0\0\0mif1avif", "it is AVIF, which needs Pillow 11.3"),
        ("a.jxl", b"\xff\x0a" + bytes(20), "it is JPEG XL, which needs"),
        ("a.NEF", b"II*\0" + bytes(20), "it is a camera's raw file"),
        ("a.mov", b"\0\0\0\x14ftypqt  \0\0\0\0qt  ", "it is a video"),
        ("notes.txt", b"words", "it is no picture of a known format"),
        ("empty", b"", "the file is empty"),
    ],
)
def test_left_out_and_named_with_the_reason(tmp_path, monkeypatch, name, content, reason):
    monkeypatch.setattr(formats, "_registered", lambda *_: False)
    monkeypatch.setattr(formats.features, "check", lambda _: False)
    formats.lacking.cache_clear()
    put(tmp_path, f"b/{name}", content)
    put(tmp_path, "1.jpg", JPEG)
    try:
        listing = list_photographs(tmp_path)
        assert listing.files == ("1.jpg",)
        [(named, why)] = listing.left_out
        assert (named, why.startswith(reason)) == (f"b/{name}", True)
        dataset = load(tmp_path, require_ground_truth=False)
        assert dataset.left_out == listing.left_out
        assert dataset.notes == (f"Left out, 1 in all: b/{name}: {why}.",)
        (tmp_path / "1.jpg").unlink()
        with pytest.raises(UserError, match=f"no photographs .* b/{name}: it is|the file"):
            load(tmp_path, require_ground_truth=False)
    finally:
        formats.lacking.cache_clear()


@pytest.mark.parametrize(
    "name",
    [
        *("Thumbs.db", "thumbs.db", ".DS_Store", "._1.jpg", "desktop.ini", "1.xmp", "IMG_1.AAE"),
        *("__MACOSX/1.jpg", "__MACOSX/._1.jpg", "@eaDir/1.jpg/x", ".git/1.jpg", "ehthumbs.db"),
    ],
)
def test_sidecars_are_passed_over_in_silence(tmp_path, name):
    put(tmp_path, name, JPEG)
    put(tmp_path, "1.jpg", JPEG)
    listing = list_photographs(tmp_path)
    assert (listing.files, listing.left_out, listing.note()) == (("1.jpg",), (), "")


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_folder_and_a_file_without_permission_are_named(tmp_path):
    put(tmp_path, "a/1.jpg", JPEG)
    put(tmp_path, "b/IMG_1", JPEG)
    (tmp_path / "a").chmod(0)
    (tmp_path / "b" / "IMG_1").chmod(0)
    try:
        left_out = dict(list_photographs(tmp_path).left_out)
    finally:
        (tmp_path / "a").chmod(0o700)
    assert left_out == {
        "a": "the folder cannot be read (no permission to read it)",
        "b/IMG_1": "no permission to read it",
    }


def test_a_folder_that_cannot_be_listed_is_named(tmp_path, monkeypatch):
    """As above, for root too."""
    put(tmp_path, "a/1.jpg", JPEG)
    put(tmp_path, "b/2.jpg", JPEG)
    scandir = os.scandir

    def refusing(place):
        if os.path.basename(place) == "a":
            raise PermissionError(13, "Permission denied", os.fspath(place))
        return scandir(place)

    monkeypatch.setattr(os, "scandir", refusing)
    listing = list_photographs(tmp_path)
    assert listing.files == ("b/2.jpg",)
    assert listing.left_out == (("a", "the folder cannot be read (no permission to read it)"),)


def test_what_is_no_file_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "nowhere").symlink_to("nothing")
    assert dict(list_photographs(tmp_path).left_out) == {
        "pipe": "it is no file",
        "nowhere": "there is no such file, or it is a link to nothing",
    }


def test_a_note_names_a_few_of_each_kind(tmp_path):
    put(tmp_path, "1.jpg", JPEG)
    for number in range(5):
        put(tmp_path, f"{number}.txt", b"words")
    put(tmp_path, "e")
    assert list_photographs(tmp_path).note() == (
        "Left out, 6 in all: 0.txt, 1.txt, 2.txt and 2 more: it is no picture of a known format; "
        "e: the file is empty."
    )
