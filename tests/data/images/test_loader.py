"""Batches: order, padding, threads, and what happens to a photograph that does not decode."""

import threading

import numpy as np
import pytest
from photographs import MemorySplit, encode, noise

from jaxret.data.images.decode import BadImage, to_pixels
from jaxret.data.images.loader import batches


def split_of(count: int) -> MemorySplit:
    return MemorySplit([encode(noise(20 + i, 15, seed=i)) for i in range(count)])


@pytest.mark.parametrize("workers", [0, 1, 3])
@pytest.mark.parametrize("indices", [None, [6, 2, 2, 0], []])
def test_batches_are_in_order_and_padded(workers, indices):
    split = split_of(7)
    found = list(batches(split, 10, 3, indices, workers=workers))
    order = list(range(7)) if indices is None else indices
    assert [i for batch in found for i in batch.indices] == order
    assert all(batch.images.shape == (3, 10, 10, 3) for batch in found)
    for batch in found:
        for row, index in enumerate(batch.indices):
            expected = to_pixels(split.contents[index], "", 10)
            np.testing.assert_array_equal(batch.images[row], expected)
        assert not batch.images[batch.count :].any()


def test_crop_is_a_choice():
    split = split_of(1)
    split.boxes = [(2, 3, 9, 11)]
    (cropped,) = batches(split, 8, 1)
    (whole,) = batches(split, 8, 1, crop=False)
    part = to_pixels(split.contents[0], "", 8, (2, 3, 9, 11))
    np.testing.assert_array_equal(cropped.images[0], part)
    np.testing.assert_array_equal(whole.images[0], to_pixels(split.contents[0], "", 8))


@pytest.mark.parametrize("workers", [0, 2])
def test_bad_photograph_fails_by_its_name(workers):
    split = split_of(5)
    split.contents[3] = b"no picture"
    with pytest.raises(BadImage, match="photo3"):
        list(batches(split, 8, 2, workers=workers))


@pytest.mark.parametrize("workers", [0, 2])
def test_bad_photographs_are_skipped_and_told(workers):
    split = split_of(6)
    split.contents[0] = split.contents[4] = b""
    bad: list[tuple[str, str]] = []
    found = list(batches(split, 8, 2, workers=workers, on_bad="skip", bad=bad))
    assert [batch.indices.tolist() for batch in found] == [[1, 2], [3, 5]]
    assert [name for name, _ in bad] == ["photo0.png", "photo4.png"]
    assert all("empty" in sentence for _, sentence in bad)


@pytest.mark.parametrize("workers", [0, 2])
def test_an_error_of_another_kind_is_not_taken_for_a_bad_photograph(workers):
    split = split_of(3)
    split.contents[1] = 5  # a bug, not a photograph
    with pytest.raises(TypeError):
        list(batches(split, 8, 2, workers=workers, on_bad="skip", bad=[]))


def test_reads_ahead_no_farther_than_it_must():
    split = split_of(40)
    stream = batches(split, 8, 4, workers=2)
    next(stream)
    assert 4 < len(split.reads) <= 4 + 4 + 2 * 2
    stream.close()


def test_stopping_early_leaves_no_thread():
    stream = batches(split_of(30), 8, 2, workers=2)
    next(stream)
    stream.close()
    assert not [t for t in threading.enumerate() if t.name.startswith("jaxret-decode")]


def test_on_bad_must_be_known():
    with pytest.raises(ValueError, match="skip"):
        next(batches(split_of(1), 8, 1, on_bad="ignore"))
