"""Photographs in tar files: what lies where, and which files are refused."""

import gzip

import pytest
from tars import jpeg, pack, samples

from jaxret.data.tar_shards import TarSplit, find_tars, key_of
from jaxret.errors import UserError


@pytest.fixture
def tar(tmp_path):
    return pack(tmp_path / "00000.tar", samples(0, 5))


def test_photographs_are_read_where_they_lie(tar):
    split = TarSplit.open(tar)
    assert split.names == ("00000", "00001", "00002", "00003", "00004")
    assert [split.read(place) for place in range(5)] == [jpeg(number) for number in range(5)]
    assert list(split.boxes) == [None] * 5
    assert split.fingerprint() == TarSplit.open(tar).fingerprint()


@pytest.mark.parametrize(
    ("path", "key"),
    [
        ("a/b/0001.jpg", "a/b/0001"),
        ("./0001.PNG", "0001"),
        ("0001.left.jpg", "0001"),
        ("a.b/0001.webp", "a.b/0001"),
        ("0001.json", None),
        ("0001.txt", None),
        ("a/.jpg", None),
        ("._0001.jpg", None),
        ("jpg", None),
    ],
)
def test_keys_are_those_of_webdataset(path, key):
    assert key_of(path) == key


def _cut(tar):
    content = tar.read_bytes()
    tar.write_bytes(content[: len(content) // 2 + 100])


def _cut_between_members(tar):
    """Whole blocks are left, but not the zeros of the end."""
    split = TarSplit.open(tar)
    start, _ = split.places[3]
    tar.write_bytes(tar.read_bytes()[: start - 512])


def _damaged(tar):
    content = bytearray(tar.read_bytes())
    start, _ = TarSplit.open(tar).places[2]
    content[start - 512 : start] = b"x" * 512
    tar.write_bytes(content)


def _twice(tar):
    pack(tar, [("a/1.jpg", jpeg(1)), ("a/2.jpg", jpeg(2)), ("a/1.png", jpeg(3))])


def _none(tar):
    pack(tar, [("1.json", b"{}")])


def _packed(tar):
    tar.write_bytes(gzip.compress(tar.read_bytes()))


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (_cut, "00000.tar cannot be read beyond its first . photographs"),
        (_cut_between_members, "cannot be read beyond its first 3 photographs: it is cut off"),
        (_damaged, "cannot be read beyond its first 2 photographs: it is cut off or damaged"),
        (_twice, "two photographs of one name, 'a/1'"),
        (_none, "holds no photograph"),
        (_packed, "cut off, damaged, or compressed"),
        (lambda tar: tar.write_bytes(b""), "cannot be read beyond its first 0 photographs"),
        (lambda tar: tar.unlink(), "cannot be read: there is no such file"),
    ],
)
def test_what_is_no_whole_tar_is_refused_in_a_sentence(tar, spoil, sentence):
    spoil(tar)
    with pytest.raises(UserError, match=sentence):
        TarSplit.open(tar)


def test_tars_by_pattern_folder_and_name(tmp_path):
    for folder, name in (("a", "1"), ("a", "2"), ("b", "3")):
        (tmp_path / folder).mkdir(exist_ok=True)
        (tmp_path / folder / f"{name}.tar").touch()
    found = find_tars([f"{tmp_path}/a/*.tar", str(tmp_path / "b")])
    assert [path.name for path in found] == ["1.tar", "2.tar", "3.tar"]
    with pytest.raises(UserError, match=r"1.tar is listed twice"):
        find_tars([f"{tmp_path}/a/*.tar", f"{tmp_path}/a/1.tar"])
    (tmp_path / "b" / "1.tar").touch()
    with pytest.raises(UserError, match=r"have one name, by which their descriptors are kept"):
        find_tars([str(tmp_path / "a"), str(tmp_path / "b")])
    with pytest.raises(UserError, match=r"--tars=.*c/\*.tar means no tar file"):
        find_tars([f"{tmp_path}/c/*.tar"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=r"--tars=.*empty means no tar file"):
        find_tars([str(tmp_path / "empty")])
