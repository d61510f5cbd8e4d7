"""A database in files: what is read is what lies there, what is no shard is refused by name."""

import numpy as np
import pytest

from jaxret.errors import UserError
from jaxret.ranking.streamed.shards import Shards


@pytest.fixture
def folder(tmp_path):
    """Three shards of 5, 0 and 8 rows of 4 numbers."""
    rows = np.arange(1, 53, dtype=np.float16).reshape(13, 4)
    for name, part in (("a", rows[:5]), ("b", rows[5:5]), ("c", rows[5:])):
        np.save(tmp_path / f"{name}.npy", part)
    return tmp_path


def everything(shards, size):
    return np.concatenate([rows for _, rows in shards.blocks(0, len(shards), size)])


@pytest.mark.parametrize("size", [1, 3, 5, 13, 100])
def test_blocks_are_the_rows_in_order(folder, size):
    shards = Shards.of(folder)
    assert len(shards) == 13 and shards.dim == 4 and shards.dtype == np.float16
    expected = np.arange(1, 53, dtype=np.float16).reshape(13, 4)
    np.testing.assert_array_equal(everything(shards, size), expected)
    firsts = [first for first, _ in shards.blocks(0, len(shards), size)]
    assert firsts == list(range(0, 13, size))


def test_a_run_of_rows_and_single_ones(folder):
    shards = Shards.of([folder / "a.npy", folder / "b.npy", folder / "c.npy"])
    expected = np.arange(1, 53, dtype=np.float32).reshape(13, 4)
    np.testing.assert_array_equal(shards.read(3, 9), expected[3:9])
    ids = np.array([12, 0, 5, 5, 4])
    np.testing.assert_array_equal(shards.rows(ids), expected[ids])
    assert [shards.place(row) for row in (0, 4, 5, 12)] == [(0, 0), (0, 4), (1, 0), (1, 7)]


def test_arrays_and_files_of_several_types(folder):
    extra = np.full((2, 4), 0.1, np.float64)
    shards = Shards.of([extra, str(folder / "?.npy")])
    assert shards.dtype == np.float32
    np.testing.assert_array_equal(everything(shards, 4)[:2], extra.astype(np.float32))
    np.testing.assert_array_equal(everything(shards, 4)[2:], everything(Shards.of(folder), 7))


def _cut(folder):
    content = (folder / "c.npy").read_bytes()
    (folder / "c.npy").write_bytes(content[:-3])
    return folder


def _other_dimension(folder):
    np.save(folder / "d.npy", np.ones((2, 3), np.float16))
    return folder


def _twice(folder):
    (folder / "link.npy").symlink_to(folder / "a.npy")
    return folder


def _integers(folder):
    np.save(folder / "a.npy", np.ones((2, 4), np.int32))
    return folder


def _by_columns(folder):
    np.save(folder / "a.npy", np.asfortranarray(np.ones((2, 4), np.float16)))
    return folder


def _vector(folder):
    np.save(folder / "a.npy", np.ones(4, np.float16))
    return folder


def _text(folder):
    (folder / "a.npy").write_text("no numbers")
    return folder


def _empty(folder):
    for path in folder.glob("*.npy"):
        path.unlink()
    return folder


def _no_rows(folder):
    return folder / "b.npy"


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (_cut, "c.npy holds 61 bytes of numbers, and its header says 64: it is cut off"),
        (_other_dimension, "d.npy has 3 numbers a row and .*a.npy has 4"),
        (_twice, "link.npy is listed twice"),
        (_integers, "a.npy is of type int32"),
        (_by_columns, "a.npy is stored column by column"),
        (_vector, r"a.npy has shape \(4,\)"),
        (_text, "a.npy is no .npy"),
        (_empty, "holds no .npy"),
        (_no_rows, "hold no row"),
        (lambda folder: folder / "absent.npy", "absent.npy cannot be read: No such file"),
        (lambda folder: folder / "x*.npy", "No file is named like"),
    ],
)
def test_what_is_no_shard_is_refused_in_a_sentence(folder, spoil, sentence):
    with pytest.raises(UserError, match=sentence):
        Shards.of(spoil(folder))


def test_a_file_that_shrinks_while_it_is_read(folder):
    shards = Shards.of(folder)
    _cut(folder)
    with pytest.raises(UserError, match="has become shorter"):
        everything(shards, 4)
