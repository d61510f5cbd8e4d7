"""Splits of files, subsets, and names that can be written anywhere."""

import os
import pickle

import pytest

from jaxret.data.dataset import Dataset, FileSplit, Split, printable, without
from jaxret.data.images.decode import BadImage


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    place = tmp_path / "photographs"
    place.mkdir()
    for number in range(5):
        path = place / f"{number}.jpg"
        path.write_bytes(b"photograph %d" % number)
        os.utime(path, (1e9, 1e9))  # long settled
    return place


def dataset_of(folder) -> Dataset:
    truth = [
        {"easy": [0, 3], "hard": [1], "junk": [4], "bbx": [1, 2, 3, 4]},
        {"easy": [2], "hard": [], "junk": []},
    ]
    database = FileSplit(folder, tuple(f"{i}.jpg" for i in range(5)))
    queries = FileSplit(folder, ("0.jpg", "2.jpg"), ((1, 2, 3, 4), None))
    return Dataset("d", "1", database, queries, truth)


def test_file_split_is_a_split_that_processes_can_share(folder):
    split = dataset_of(folder).queries
    again = pickle.loads(pickle.dumps(split))
    assert isinstance(again, Split) and again == split
    assert again.read(1) == b"photograph 2" and len(again) == 2


def test_without_counts_anew(folder):
    whole = dataset_of(folder)
    less = without(whole, [0, 2], [])
    assert list(less.database.names) == ["1.jpg", "3.jpg", "4.jpg"]
    assert less.database.read(1) == b"photograph 3"
    assert less.ground_truth == [
        {"easy": [1], "hard": [0], "junk": [2], "bbx": [1, 2, 3, 4]},
        {"easy": [], "hard": [], "junk": []},
    ]
    fewer = without(whole, [], [0])
    assert fewer.ground_truth == [whole.ground_truth[1]]
    assert list(fewer.queries.boxes) == [None] and list(fewer.queries.names) == ["2.jpg"]
    assert fewer.queries.fingerprint() != whole.queries.fingerprint()


def test_without_nothing_is_the_same(folder):
    whole = dataset_of(folder)
    assert without(whole, [], []) is whole


def test_fingerprint_sees_names_boxes_and_contents(folder):
    def fingerprint(files=("0.jpg", "1.jpg"), boxes=()):
        return FileSplit(folder, files, boxes).fingerprint()

    first = fingerprint()
    assert first == fingerprint()
    assert first != fingerprint(files=("1.jpg", "0.jpg"))
    assert first != fingerprint(boxes=((0, 0, 1, 1), None))
    (folder / "1.jpg").write_bytes(b"photograph I")  # as long as before
    assert first != fingerprint()
    (folder / "0.jpg").rename(folder / "5.jpg")
    assert fingerprint(files=("5.jpg", "1.jpg")) != fingerprint(files=("0.jpg", "1.jpg"))


def test_contents_are_read_once(folder, monkeypatch):
    split = dataset_of(folder).database
    first = split.fingerprint()
    for path in folder.iterdir():
        status = path.stat()
        path.write_bytes(b"x" * status.st_size)
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert split.fingerprint() == first  # size and time are what is looked at


def test_just_written_files_are_read_again(folder):
    split = FileSplit(folder, ("new.jpg",))
    (folder / "new.jpg").write_bytes(b"one")
    stamp = (folder / "new.jpg").stat().st_mtime_ns
    first = split.fingerprint()
    (folder / "new.jpg").write_bytes(b"two")
    os.utime(folder / "new.jpg", ns=(stamp, stamp))  # within the clock's tick
    assert split.fingerprint() != first


@pytest.mark.parametrize("kept", [b"", b"[1, 2]", b'{"0.jpg": 3}', b"\xff", b'{"0.jpg": [1'])
def test_damaged_cache_of_digests_is_no_harm(folder, tmp_path, kept):
    split = dataset_of(folder).database
    first = split.fingerprint()
    (store,) = (tmp_path / "cache").rglob("*.json")
    store.write_bytes(kept)
    assert split.fingerprint() == first


def test_cache_that_cannot_be_written_is_no_harm(folder, tmp_path, monkeypatch):
    first = dataset_of(folder).database.fingerprint()
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder / "0.jpg"))
    assert dataset_of(folder).database.fingerprint() == first


def test_unreadable_file_has_a_fingerprint_and_a_reason(folder):
    split = FileSplit(folder, ("gone.jpg",))
    assert split.fingerprint() == split.fingerprint()
    with pytest.raises(BadImage, match=r"gone.jpg.*no such file"):
        split.read(0)


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("a b/ç é.jpg", "a b/ç é.jpg"),
        ("two\nlines\t.jpg", r"two\nlines\t.jpg"),
        (os.fsdecode(b"\xff\xfe.jpg"), r"\udcff\udcfe.jpg"),
        ("\u202egpj.exe", r"\u202egpj.exe"),  # turns the reading direction
    ],
)
def test_printable(file, name):
    assert printable(file) == name
    assert name.encode()
