"""Archives unpacked without trusting them: nothing lands outside, nothing fills the disk."""

import contextlib
import lzma
import os
import shutil
import stat
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO

from jaxret.errors import UserError
from jaxret.fetch import checks

_BLOCK = 1 << 20  # bytes
_MOST_FILES = 2_000_000
# Photographs and weights hardly compress; what grows a hundredfold is a bomb.
_MOST_GROWTH = 100
_SMALL = 100 << 20  # bytes that any archive may hold
_DAMAGED = (
    zipfile.BadZipFile,
    tarfile.TarError,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    NotImplementedError,
    RuntimeError,
)


def extract(archive: str | Path, member: str, destination: str | Path) -> Path:
    """One file out of an archive, whole or not at all.

    Args:
        archive: .zip or .tar, compressed or not; told from its content.
        member: its name inside, with or without the folders before it.
        destination: the file to write.

    Raises:
        UserError: it is not in there, there more than once, or the archive is damaged.
    """
    archive, destination = Path(archive), Path(destination)
    destination.parent.mkdir(parents=True, exist_ok=True)
    with (
        _damage_told(archive),
        tempfile.TemporaryDirectory(prefix=".unpacking.", dir=destination.parent) as folder,
    ):
        names = []
        for name, size, stream in _files(archive):
            names.append(str(name))
            if member in (str(name), name.name):
                _write(stream, Path(folder) / "file", size)
        found = [name for name in names if member in (name, PurePosixPath(name).name)]
        if len(found) != 1:
            listed = ", ".join(found or names[:5]) or "nothing"
            raise UserError(
                f"'{archive}' holds {'no' if not found else 'more than one'} '{member}': {listed}."
            )
        os.replace(Path(folder) / "file", destination)
    return destination


def unpack(archive: str | Path, folder: str | Path) -> list[Path]:
    """All files of an archive into a new folder, which appears once it is whole.

    Links, devices and empty folders inside the archive are left out.

    Args:
        archive: .zip or .tar, compressed or not; told from its content.
        folder: must not exist yet, or be empty.

    Returns:
        The files, sorted.

    Raises:
        UserError: a name leads outside, the archive grows beyond bounds or is damaged.
    """
    archive, folder = Path(archive), Path(folder)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(f"'{folder}' is there already and not empty. Move it away first.")
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        with _damage_told(archive):
            _unpack_into(archive, temporary / "new")
        if folder.exists():
            folder.rmdir()
        (temporary / "new").rename(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return sorted(file for file in folder.rglob("*") if file.is_file())


def _unpack_into(archive: Path, folder: Path) -> None:
    folder.mkdir()
    budget = max(_SMALL, _MOST_GROWTH * archive.stat().st_size)
    for count, (name, size, stream) in enumerate(_files(archive), 1):
        budget -= size
        if budget < 0 or count > _MOST_FILES:
            raise UserError(
                f"'{archive}' unpacks to far more than photographs or weights would"
                f" ({checks.human_size(archive.stat().st_size)} packed). It was not unpacked."
            )
        target = folder.joinpath(*name.parts)
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            if target.exists():
                raise FileExistsError(target)
        except OSError as error:
            raise UserError(f"'{archive}' holds '{name}' twice, or a file as a folder.") from error
        _write(stream, target, size)


def _files(archive: Path) -> Iterator[tuple[PurePosixPath, int, IO[bytes]]]:
    """Name, size and content of every plain file; the content is read before the next is asked."""
    return _zip_files(archive) if zipfile.is_zipfile(archive) else _tar_files(archive)


@contextlib.contextmanager
def _damage_told(archive: Path) -> Iterator[None]:
    """Turns what the archive modules raise on bad bytes into a sentence."""
    if not archive.is_file():
        raise UserError(f"There is no archive '{archive}'.")
    try:
        yield
    except _DAMAGED as error:
        raise UserError(
            f"'{archive}' is damaged or cut short ({error}). Remove it and download it again."
        ) from error


def _zip_files(archive: Path) -> Iterator[tuple[PurePosixPath, int, IO[bytes]]]:
    with zipfile.ZipFile(archive) as opened:
        for entry in opened.infolist():
            kind = stat.S_IFMT(entry.external_attr >> 16)
            if entry.is_dir() or kind not in (0, stat.S_IFREG):
                continue
            with opened.open(entry) as stream:
                yield _inside(entry.filename.replace("\\", "/"), archive), entry.file_size, stream


def _tar_files(archive: Path) -> Iterator[tuple[PurePosixPath, int, IO[bytes]]]:
    with tarfile.open(archive, mode="r|*") as opened:
        for entry in opened:
            if not entry.isfile():
                continue
            stream = opened.extractfile(entry)
            if stream is not None:
                yield _inside(entry.name, archive), entry.size, stream


def _inside(name: str, archive: Path) -> PurePosixPath:
    """The name as a path below the folder; one that leads out of it is refused."""
    path = PurePosixPath(name)
    drive = path.parts and ":" in path.parts[0]
    if path.is_absolute() or ".." in path.parts or drive or "\0" in name or not path.parts:
        raise UserError(
            f"'{archive}' holds '{name}', which would land outside the folder. It was not"
            " unpacked; do not trust it."
        )
    return path


def _write(stream: IO[bytes], target: Path, size: int) -> None:
    checks.require_space(target.parent, size, f"Unpacking '{target.name}'")
    written = 0
    with target.open("wb") as file:
        while block := stream.read(_BLOCK):
            written += len(block)
            file.write(block)
        file.flush()
        os.fsync(file.fileno())
    if written != size:
        raise EOFError(f"'{target.name}' has {written:,} of {size:,} bytes")
