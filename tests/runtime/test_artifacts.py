"""Files appear whole or not at all, under the digest of what made them."""

import errno
import json
import os

import numpy as np
import pytest

from jaxret.errors import UserError
from jaxret.runtime import artifacts


def left_in(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_write_that_fails_leaves_the_old_file_and_nothing_beside_it(tmp_path):
    artifacts.write_text(tmp_path / "a.txt", "old")
    with pytest.raises(RuntimeError), artifacts.atomic_write(tmp_path / "a.txt") as file:
        file.write(b"half of the new")
        raise RuntimeError("the run dies here")
    assert (tmp_path / "a.txt").read_text() == "old"
    assert left_in(tmp_path) == ["a.txt"]


def test_equal_arrays_give_equal_bytes(tmp_path):
    arrays = {"x": np.arange(6, dtype=np.float32).reshape(2, 3), "names": np.array(["a", "ß"])}
    for name in ("one.npz", "two.npz"):
        artifacts.write_arrays(tmp_path / name, **arrays)
    assert (tmp_path / "one.npz").read_bytes() == (tmp_path / "two.npz").read_bytes()
    again = artifacts.read_arrays(tmp_path / "one.npz")
    assert sorted(again) == sorted(arrays)
    for name, array in arrays.items():
        np.testing.assert_array_equal(again[name], array)


def test_digest_ignores_the_order_of_keys_and_nothing_else():
    key = {"size": 724, "weights": {"a": 1, "b": 2}}
    assert artifacts.digest(key) == artifacts.digest({"weights": {"b": 2, "a": 1}, "size": 724})
    assert artifacts.digest(key) != artifacts.digest({**key, "size": 723})
    assert artifacts.digest(key) != artifacts.digest({**key, "size": "724"})


def test_a_changed_key_gets_another_folder_and_says_in_words_what_made_it(tmp_path):
    store = artifacts.Store(tmp_path)
    one, two = (store.folder("features", {"size": size}) for size in (224, 448))
    assert one != two
    assert store.folder("features", {"size": 224}) == one
    assert json.loads((two / "key.json").read_text()) == {"size": 448}


@pytest.mark.parametrize(
    ("number", "says"), [(errno.ENOSPC, "is full"), (errno.EROFS, "cannot be written")]
)
def test_full_disk_and_read_only_folder_are_one_sentence(tmp_path, monkeypatch, number, says):
    def refuse(handle):
        raise OSError(number, os.strerror(number))

    artifacts.write_text(tmp_path / "good.txt", "good")
    monkeypatch.setattr(artifacts.os, "fsync", refuse)
    with pytest.raises(UserError, match=says):
        artifacts.write_text(tmp_path / "bad.txt", "bad")
    assert left_in(tmp_path) == ["good.txt"]


def test_a_file_where_the_workdir_should_be_is_one_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be written"):
        artifacts.write_text(tmp_path / "file" / "a.txt", "")
