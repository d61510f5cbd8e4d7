"""The sheet that shows photographs and their views, read back from the file."""

import numpy as np
import pytest
from PIL import Image

from jaxret.errors import UserError
from jaxret.training.data.view_sheet import write_views


def photographs(count, height=40, width=40):
    return np.random.default_rng(0).integers(0, 256, (count, height, width, 3), np.uint8)


def views(count, size=20, seed=1):
    return np.random.default_rng(seed).uniform(0, 255, (count, size, size, 3)).astype(np.float32)


def picture(sheet, row, column, size=20, gap=4):
    top, left = (gap + place * (size + gap) for place in (row, column))
    return np.asarray(sheet)[top : top + size, left : left + size]


@pytest.mark.parametrize(("count", "rows"), [(1, 1), (3, 3), (20, 8)])
def test_one_row_a_photograph_eight_at_most(tmp_path, count, rows):
    images, first, second = photographs(count), views(count), views(count, seed=2)
    write_views(tmp_path / "views.png", images, [first, second])
    with Image.open(tmp_path / "views.png") as sheet:
        assert (sheet.format, sheet.size) == ("PNG", (3 * 24 + 4, rows * 24 + 4))
        for row in range(rows):
            for column, view in enumerate((first, second), start=1):
                np.testing.assert_array_equal(picture(sheet, row, column), np.rint(view[row]))
            half = Image.fromarray(images[row]).resize((20, 20), Image.Resampling.BILINEAR)
            np.testing.assert_array_equal(picture(sheet, row, 0), half)


def test_a_photograph_is_shown_whole(tmp_path):
    images = np.zeros((1, 30, 60, 3), np.uint8)  # black, twice as wide as high
    write_views(tmp_path / "views.png", images, [views(1)])
    with Image.open(tmp_path / "views.png") as sheet:
        shown = picture(sheet, 0, 0)
    assert (shown[5:15] == 0).all()
    assert (shown[:5] == 255).all() and (shown[15:] == 255).all()


def test_as_jpeg(tmp_path):
    grey = np.full((2, 20, 20, 3), 90.0)
    write_views(tmp_path / "views.jpg", grey.astype(np.uint8), [grey])
    with Image.open(tmp_path / "views.jpg") as sheet:
        assert sheet.format == "JPEG"
        np.testing.assert_allclose(picture(sheet, 1, 1)[4:-4, 4:-4], 90, atol=3)


def test_values_outside_0_to_255_are_held_to_it(tmp_path):
    wide = np.full((1, 20, 20, 3), 300.0)
    wide[:, :10] = -20
    write_views(tmp_path / "views.png", photographs(1), [wide])
    with Image.open(tmp_path / "views.png") as sheet:
        shown = picture(sheet, 0, 1)
    assert (shown[:10] == 0).all() and (shown[10:] == 255).all()


def test_views_of_other_photographs_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"views \[3, 2\] of 3 photographs"):
        write_views(tmp_path / "views.png", photographs(3), [views(3), views(2)])
    assert not list(tmp_path.iterdir())


def test_a_place_that_cannot_be_written(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError):
        write_views(tmp_path / "file" / "views.png", photographs(1), [views(1)])
