"""The aspect ratio kept: sizes in steps of the stride, batches of one shape each."""

import numpy as np
import pytest
from photographs import MemorySplit, encode, noise

from jaxret.data.images import loader
from jaxret.data.images.decode import to_pixels
from jaxret.data.images.loader import batches
from jaxret.data.images.resize import kept_size, sizes_at


@pytest.mark.parametrize(
    ("size", "box", "shape"),
    [
        ((1024, 768), None, (480, 640)),
        ((768, 1024), None, (640, 480)),
        ((320, 240), None, (480, 640)),  # small photographs grow
        ((1024, 768), (0, 0, 512, 384), (256, 320)),  # a cut-out keeps its photograph's scale
        ((1000, 1000), (0, 0, 3, 1000), (640, 32)),
    ],
)
def test_longer_side_of_the_photograph_decides(size, box, shape):
    pixels = to_pixels(encode(noise(*size), "JPEG"), "x", 640, box, resize="keep")
    assert pixels.shape == (*shape, 3)


def test_steps_of_the_stride():
    rng = np.random.default_rng(0)
    for _ in range(200):
        size = tuple(int(v) for v in rng.integers(1, 3000, 2))
        kept = kept_size(size, 724 / max(size))
        for side, exact in zip(kept, np.array(size) * 724 / max(size), strict=True):
            assert side % 32 == 0 and (abs(side - exact) <= 16 or side == 32)


def test_batches_hold_one_shape_and_every_photograph_once():
    rng = np.random.default_rng(0)
    split = MemorySplit([encode(noise(*rng.integers(30, 90, 2))) for _ in range(40)])
    seen = []
    for batch in batches(split, 96, 4, workers=2, resize="keep"):
        assert len(batch.images) == 4
        for row, index in enumerate(batch.indices):
            expected = to_pixels(split.contents[index], "", 96, resize="keep")
            np.testing.assert_array_equal(batch.images[row], expected)
            seen.append(int(index))
        assert not batch.images[batch.count :].any()
    assert sorted(seen) == list(range(40))


def test_rare_shapes_do_not_wait_for_ever(monkeypatch):
    monkeypatch.setattr(loader, "WAITING_BATCHES", 1)
    sizes = [(96, 32), (96, 64), (96, 96), (64, 96), (32, 96)]
    split = MemorySplit([encode(noise(*size)) for size in sizes])
    counts = [batch.count for batch in batches(split, 96, 4, resize="keep")]
    assert counts == [1] * 5
    stream = batches(split, 96, 4, resize="keep")
    next(stream)
    assert split.reads[-1] == 4  # the fifth photograph made one too many


def test_scales():
    assert sizes_at(724) == (724, 512, 362)
    assert sizes_at(1, (0.1,)) == (1,)


def test_resize_must_be_known():
    with pytest.raises(ValueError, match="square, keep, thumbnail, longer, center"):
        next(batches(MemorySplit([]), 8, 1, resize="fit"))


def test_sides_are_whole_patches_of_a_vision_transformer():
    """So that photographs of one grid are of one shape, and nothing of them is cut off."""
    split = MemorySplit([encode(noise(60, 80 + i)) for i in range(8)])
    found = batches(split, 98, 4, resize="keep", side_multiple=14)
    assert {batch.images.shape for batch in found} == {(4, 98, 70, 3)}
