"""Small pictures: of the right photograph, made once, made anew when a photograph changes."""

import io
import os

import numpy as np
import pytest
from PIL import Image

from jaxret import data
from jaxret.data.images.decode import BadImage
from jaxret.explore import thumbnails
from jaxret.explore.thumbnails import Thumbnails


@pytest.fixture
def photographs(tmp_path):
    folder = tmp_path / "photographs"
    folder.mkdir()
    for number, shade in enumerate((20, 120, 220)):
        Image.new("RGB", (640, 480), (shade, shade, shade)).save(folder / f"{number}.png")
    (folder / "3.jpg").write_bytes(b"no picture")
    return data.load(folder, require_ground_truth=False)


def shade(jpeg):
    return float(np.asarray(Image.open(io.BytesIO(jpeg))).mean())


def test_each_is_made_once(photographs, tmp_path, monkeypatch):
    small = Thumbnails(tmp_path)
    for number, expected in enumerate((20, 120, 220)):
        jpeg = small.jpeg(photographs, False, number, "small")
        assert Image.open(io.BytesIO(jpeg)).size == (200, 150)
        assert abs(shade(jpeg) - expected) < 3
    assert Image.open(io.BytesIO(small.jpeg(photographs, False, 0, "large"))).size == (640, 480)

    monkeypatch.setattr(thumbnails, "small_jpeg", None)
    assert abs(shade(Thumbnails(tmp_path).jpeg(photographs, False, 2, "small")) - 220) < 3
    with pytest.raises(TypeError):
        file = photographs.database.path(2)
        Image.new("RGB", (64, 64)).save(file)
        os.utime(file, (1, 1))
        small.jpeg(photographs, False, 2, "small")


def test_what_cannot_be_shown_is_said(photographs, tmp_path):
    small = Thumbnails(tmp_path)
    with pytest.raises(BadImage):
        small.jpeg(photographs, False, 3, "small")
    for wrong in (4, -1):
        with pytest.raises(IndexError):
            small.jpeg(photographs, False, wrong, "small")
    assert not list(tmp_path.rglob("*.part"))
