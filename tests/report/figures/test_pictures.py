"""Picture sheets: the right photographs with the right verdicts, small and unbreakable."""

import base64
import io

import numpy as np
import pytest
from coloured_squares import Photographs, ranks_of
from PIL import Image

from jaxret.data.dataset import Dataset
from jaxret.report.figures.pictures import (
    BEST,
    BETWEEN,
    BOX_COLOUR,
    CORRECT,
    HIT_SIDE,
    JUNK,
    UNJUDGED,
    WORST,
    WRONG,
    picture_sheet,
    thumbnail,
)


@pytest.fixture
def dataset():
    truth = [{"easy": [0, 1], "hard": [2], "junk": [3]} for _ in range(12)]
    return Dataset("squares", "1", Photographs(20), Photographs(12), truth, ("easy", "medium"))


@pytest.fixture
def figure():
    ap = [None, *np.linspace(0, 1, 11)]
    return {"model": "m", "ranking": "G", "protocol": "medium", "ap": ap}


def pixels(picture):
    return Image.open(io.BytesIO(base64.b64decode(picture.uri.split(",")[1])))


def test_verdicts_follow_the_protocol(dataset, figure):
    ranks = ranks_of(2, 9, 3, 0)
    medium = picture_sheet(dataset, ranks, figure, queries=[1], top=4).rows[0]
    assert [hit.status for hit in medium.hits] == [CORRECT, WRONG, JUNK, CORRECT]
    assert (medium.positives, medium.found, medium.first_correct) == (3, 2, 1)
    easy = picture_sheet(dataset, ranks, figure | {"protocol": "easy"}, queries=[1], top=4).rows[0]
    assert [hit.status for hit in easy.hits] == [JUNK, WRONG, JUNK, CORRECT]
    assert easy.first_correct == 4


def test_best_worst_and_some_in_between_are_chosen(dataset, figure):
    rows = picture_sheet(dataset, ranks_of(0), figure).rows
    assert [row.why for row in rows] == [BEST] * 2 + [BETWEEN] * 4 + [WORST] * 4
    aps = [row.ap for row in rows]
    assert aps == sorted(aps, reverse=True)
    assert aps[0] == 1 and aps[-1] == 0
    assert len({row.picture.name for row in rows}) == 10


@pytest.mark.parametrize("judged", range(5))
def test_few_queries_are_each_shown_once(judged, dataset, figure):
    figure["ap"] = [0.1 * number for number in range(judged)] + [None] * (12 - judged)
    rows = picture_sheet(dataset, ranks_of(0), figure).rows
    assert len(rows) == judged
    assert len({row.picture.name for row in rows}) == judged


def test_a_search_without_ground_truth_is_unjudged(dataset):
    similarities = np.linspace(1, 0, 20)[None].repeat(12, 0)
    sheet = picture_sheet(dataset, ranks_of(5), None, similarities, queries=[0], top=3)
    (row,) = sheet.rows
    assert [hit.status for hit in row.hits] == [UNJUDGED] * 3
    assert [hit.picture.name for hit in row.hits][:2] == ["photo 5.png", "photo 0.png"]
    assert row.hits[0].similarity == 1 and row.ap is None and row.positives is None


def test_a_ranking_may_end_early(dataset, figure):
    ranks = np.full((12, 20), -1)
    ranks[:, 0] = 7
    (row,) = picture_sheet(dataset, ranks, figure, queries=[2]).rows
    assert len(row.hits) == 1 and row.first_correct is None


def test_an_unreadable_photograph_leaves_a_sentence(dataset, figure):
    dataset.database.broken.add(9)
    (row,) = picture_sheet(dataset, ranks_of(9), figure, queries=[2], top=2).rows
    assert row.hits[0].picture.uri == ""
    assert row.hits[0].picture.problem == "it does not decode"
    assert row.hits[1].picture.uri


def test_thumbnails_are_small_and_keep_the_shape():
    picture = thumbnail(Photographs(1, size=(400, 100)), 0, HIT_SIDE)
    assert (picture.width, picture.height) == (HIT_SIDE, HIT_SIDE // 4) == pixels(picture).size
    small = thumbnail(Photographs(1, size=(3, 2)), 0, HIT_SIDE)
    assert pixels(small).size == (3, 2)
    long = thumbnail(Photographs(1, size=(1000, 1)), 0, HIT_SIDE)
    assert pixels(long).size == (HIT_SIDE, 1)


def yellow(picture):
    """Where the colour of the box is, as (left, top, right, bottom) fractions."""
    image = np.asarray(pixels(picture).convert("RGB")).astype(int)
    near = np.abs(image - BOX_COLOUR).sum(-1) < 120
    ys, xs = np.nonzero(near)
    height, width = near.shape
    return (xs.min() / width, ys.min() / height, xs.max() / width, ys.max() / height)


def test_box_is_drawn_where_it_is():
    picture = thumbnail(Photographs(1, box=(100, 75, 300, 225)), 0, 320)
    assert np.allclose(yellow(picture), (0.25, 0.25, 0.75, 0.75), atol=0.02)


def test_box_at_the_edge_stays_visible():
    picture = thumbnail(Photographs(1, box=(-5, 0, 400, 300)), 0, 320)
    assert np.allclose(yellow(picture), (0, 0, 1, 1), atol=0.03)


def test_box_turns_with_the_photograph():
    exif = Image.Exif()
    exif[0x0112] = 6  # stored lying, shown turned clockwise: the stored left is the top
    photographs = Photographs(1, box=(0, 75, 100, 300), exif=exif)
    picture = thumbnail(photographs, 0, 320)
    assert (picture.width, picture.height) == (240, 320)
    left, top, right, bottom = yellow(picture)
    assert np.allclose((left, top, right, bottom), (0, 0, 0.75, 0.25), atol=0.03)
