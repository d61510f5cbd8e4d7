"""One photograph as a split: its box counts what one sees."""

import numpy as np
import pytest
from photographs import encode, noise
from PIL import Image

from jaxret.data.images.decode import BadImage, decode, to_pixels
from jaxret.data.query import query_split
from jaxret.errors import UserError


@pytest.mark.parametrize("orientation", range(1, 9))
def test_box_is_drawn_on_the_upright_photograph(tmp_path, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    encoded = encode(noise(48, 32), exif=exif)
    (tmp_path / "q.png").write_bytes(encoded)
    box = (3, 5, 20, 31)
    split = query_split(tmp_path / "q.png", box)
    seen = decode(encoded, "q").crop(box).resize((11, 11), Image.Resampling.BILINEAR)
    np.testing.assert_array_equal(to_pixels(split.read(0), "q", 11, split.boxes[0]), seen)


def test_whole_photograph(tmp_path):
    (tmp_path / "q.png").write_bytes(encode(noise(4, 3)))
    split = query_split(str(tmp_path / "q.png"))
    assert list(split.boxes) == [None] and split.names == ("q.png",)
    assert split.fingerprint() != query_split(tmp_path / "q.png", (0, 0, 4, 3)).fingerprint()


NAN = float("nan")


@pytest.mark.parametrize(
    "box",
    [(0, 0, 5, 3), (0, 0, 4, 4), (-1, 0, 2, 2), (2, 1, 2, 3), (3, 1, 2, 2), (NAN, 0, 1, 1)],
)
def test_box_outside_is_told_with_the_size(tmp_path, box):
    (tmp_path / "q.png").write_bytes(encode(noise(4, 3)))
    with pytest.raises(UserError, match=r"q\.png.*4x3 pixels"):
        query_split(tmp_path / "q.png", box)


def test_no_such_photograph_and_no_photograph(tmp_path):
    with pytest.raises(BadImage, match="no such file"):
        query_split(tmp_path / "q.png")
    (tmp_path / "q.png").write_text("words")
    with pytest.raises(BadImage, match="no picture of a known format"):
        query_split(tmp_path / "q.png", (0, 0, 1, 1))
