"""Archives that are what they seem, and archives that are not."""

import io
import os
import tarfile
import zipfile
from pathlib import Path

import pytest

from jaxret import fetch
from jaxret.errors import UserError
from jaxret.fetch import archive as archives

FILES = {"jpg/a.jpg": b"a" * 1000, "jpg/sub folder/b.jpg": os.urandom(5000), "empty": b""}


def _zip(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as opened:
        for name, data in files.items():
            opened.writestr(name, data)
    return path


def _tar(path: Path, files: dict[str, bytes], mode: str = "w:gz") -> Path:
    with tarfile.open(path, mode) as opened:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            opened.addfile(member, io.BytesIO(data))
    return path


MAKERS = {
    "zip": _zip,
    "tar": lambda path, files: _tar(path, files, "w"),
    "tar.gz": _tar,
    "tar.xz": lambda path, files: _tar(path, files, "w:xz"),
}


@pytest.fixture(params=MAKERS)
def make(request, tmp_path):
    # No ending says what it is: that is told from the content.
    return lambda files: MAKERS[request.param](tmp_path / "archive", files)


def test_unpacks_all_files(make, tmp_path):
    files = fetch.unpack(make(FILES), tmp_path / "out")
    assert {str(file.relative_to(tmp_path / "out")): file.read_bytes() for file in files} == FILES
    assert sorted(path.name for path in tmp_path.iterdir()) == ["archive", "out"]


def test_extracts_one(make, tmp_path):
    path = fetch.extract(make(FILES), "b.jpg", tmp_path / "new" / "b")
    assert path.read_bytes() == FILES["jpg/sub folder/b.jpg"]
    fetch.extract(tmp_path / "archive", "jpg/a.jpg", tmp_path / "new" / "b")
    assert path.read_bytes() == FILES["jpg/a.jpg"]
    assert os.listdir(tmp_path / "new") == ["b"]
    with pytest.raises(UserError, match=r"holds no 'c\.jpg': .*jpg/a\.jpg"):
        fetch.extract(tmp_path / "archive", "c.jpg", tmp_path / "c")
    assert not (tmp_path / "c").exists()


def test_two_of_a_name_are_not_guessed_between(make, tmp_path):
    archive = make({"x/a.pt": b"1", "y/a.pt": b"2"})
    with pytest.raises(UserError, match=r"more than one 'a\.pt'"):
        fetch.extract(archive, "a.pt", tmp_path / "out")
    assert fetch.extract(archive, "y/a.pt", tmp_path / "out").read_bytes() == b"2"


@pytest.mark.parametrize(
    "name", ["../evil", "a/../../evil", "/tmp/evil", "C:/evil", "a/b/../../../evil"]
)
def test_nothing_lands_outside(make, tmp_path, name):
    with pytest.raises(UserError, match="outside the folder"):
        fetch.unpack(make({"good": b"x", name: b"x"}), tmp_path / "in" / "out")
    assert list((tmp_path / "in").iterdir()) == []
    assert not (tmp_path / "evil").exists()


def test_backslashes_of_a_zip_are_slashes(tmp_path):
    archive = _zip(tmp_path / "archive", {"..\\evil": b"x"})
    with pytest.raises(UserError, match="outside the folder"):
        fetch.unpack(archive, tmp_path / "out")


def test_links_and_devices_are_left_out(tmp_path):
    with tarfile.open(tmp_path / "archive", "w") as opened:
        for name, kind in {
            "link": tarfile.SYMTYPE,
            "hard": tarfile.LNKTYPE,
            "pipe": tarfile.FIFOTYPE,
            "device": tarfile.CHRTYPE,
        }.items():
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, "/etc/passwd"
            opened.addfile(member)
        # Through the link, if it had been made.
        member = tarfile.TarInfo("link/file")
        member.size = 1
        opened.addfile(member, io.BytesIO(b"x"))
    files = fetch.unpack(tmp_path / "archive", tmp_path / "out")
    assert [file.relative_to(tmp_path / "out").as_posix() for file in files] == ["link/file"]
    assert not (tmp_path / "out" / "link").is_symlink()


def test_zip_with_a_link(tmp_path):
    with zipfile.ZipFile(tmp_path / "archive", "w") as opened:
        entry = zipfile.ZipInfo("link")
        entry.external_attr = 0o120777 << 16
        opened.writestr(entry, "/etc/passwd")
        opened.writestr("file", "x")
    files = fetch.unpack(tmp_path / "archive", tmp_path / "out")
    assert [file.name for file in files] == ["file"]


@pytest.mark.parametrize("form", ["zip", "tar.gz", "tar.xz"])
def test_bombs_are_not_unpacked(form, tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "_SMALL", 10_000)
    archive = MAKERS[form](tmp_path / "archive", {f"{i}": bytes(400_000) for i in range(20)})
    with pytest.raises(UserError, match="far more than photographs or weights would"):
        fetch.unpack(archive, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_zip_that_lies_about_its_sizes(tmp_path):
    data = bytearray(_zip(tmp_path / "archive", {"a": bytes(100_000)}).read_bytes())
    central = data.rindex(b"PK\x01\x02")
    data[central + 24 : central + 28] = (10).to_bytes(4, "little")
    (tmp_path / "archive").write_bytes(data)
    with pytest.raises(UserError, match="damaged"):
        fetch.unpack(tmp_path / "archive", tmp_path / "out")


@pytest.mark.parametrize("keep", [0.3, 0.95])
def test_cut_short(make, tmp_path, keep):
    archive = make({"a": os.urandom(50_000), "b": os.urandom(50_000)})
    archive.write_bytes(archive.read_bytes()[: int(keep * archive.stat().st_size)])
    with pytest.raises(UserError, match="damaged or cut short"):
        fetch.unpack(archive, tmp_path / "out")
    with pytest.raises(UserError, match="damaged or cut short"):
        fetch.extract(archive, "b", tmp_path / "b")
    assert [path.name for path in tmp_path.iterdir()] == ["archive"]


def test_no_archive_at_all(tmp_path):
    with pytest.raises(UserError, match="There is no archive"):
        fetch.unpack(tmp_path / "missing", tmp_path / "out")
    (tmp_path / "text").write_text("hello")
    with pytest.raises(UserError, match="damaged or cut short"):
        fetch.unpack(tmp_path / "text", tmp_path / "out")


def test_what_is_there_is_not_overwritten(make, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").write_text("x")
    with pytest.raises(UserError, match="not empty"):
        fetch.unpack(make(FILES), tmp_path / "out")
    assert os.listdir(tmp_path / "out") == ["mine"]


@pytest.mark.filterwarnings("ignore:Duplicate name:UserWarning")
def test_a_file_twice(tmp_path):
    with zipfile.ZipFile(tmp_path / "archive", "w") as opened:
        opened.writestr("a", "1")
        opened.writestr("a", "2")
    with pytest.raises(UserError, match="'a' twice"):
        fetch.unpack(tmp_path / "archive", tmp_path / "out")
