"""Photographs out of archives: only those asked for, read as a stream, never along their paths."""

import bz2
import gzip
import io
import lzma
import os
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

from jaxret.errors import UserError

TAR_ENDINGS = (".tgz", ".tar.gz", ".tar")
ENDINGS = (*TAR_ENDINGS, ".zip")
UNSUPPORTED = (".rar", ".7z")

_BLOCK = 1 << 20  # bytes read at once

# What a cut-off or damaged archive raises, by format.
_DAMAGED = (tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, OSError)


def find_archives(folder: Path, endings: tuple[str, ...] = ENDINGS) -> list[Path]:
    """Archives anywhere below the folder, in order of their paths."""
    found = []
    for place, _, files in os.walk(folder):
        found += [Path(place) / file for file in files if file.lower().endswith(endings)]
    return sorted(found)


def members(archive: Path, wanted: Callable[[str], bool]) -> Iterator[tuple[str, bytes]]:
    """Path and content of each file in the archive whose path is wanted, in the archive's order.

    Links, devices and folders inside the archive are passed over.

    Raises:
      UserError: the archive is cut off or damaged; what came before has been yielded.
    """
    count = 0
    read = _zip_members if archive.name.lower().endswith(".zip") else _tar_members
    try:
        for path, content in read(archive, wanted):
            count += 1
            yield path, content
    except _DAMAGED as error:
        raise UserError(
            f"{archive} cannot be read beyond its first {count} photographs ({error}); it is cut "
            "off or damaged, so fetch it again."
        ) from error


def _tar_members(archive: Path, wanted: Callable[[str], bool]) -> Iterator[tuple[str, bytes]]:
    with _decompressed(archive) as stream, tarfile.open(fileobj=stream, mode="r|") as tar:
        for member in tar:  # a stream: one pass, no seeking back
            if not member.isfile() or not wanted(member.name):
                continue
            file = tar.extractfile(member)
            content = b"" if file is None else file.read()
            if len(content) < member.size:
                raise EOFError(f"{member.name} is cut off")
            yield member.name, content
        # tarfile takes the end of the file for the end of the archive, wherever it comes
        if stream.ended_before(tar.offset):
            raise EOFError("it ends without the mark that a tar archive ends with")


class _Counted(io.RawIOBase):
    """A stream that knows where its bytes ended."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream, self._count = stream, 0

    def read(self, size: int = -1) -> bytes:
        content = self._stream.read(size)
        self._count += len(content)
        return content

    def ended_before(self, offset: int) -> bool:
        """Whether no whole block lies behind `offset`; reads what is left, so that it is checked.

        gzip says at its end if something was cut off or damaged.
        """
        while self.read(_BLOCK):
            pass
        return self._count < offset + tarfile.BLOCKSIZE

    def close(self) -> None:
        self._stream.close()
        super().close()


def _decompressed(archive: Path) -> _Counted:
    """What gzip, bzip2 or xz hold, or the file itself, by how it begins."""
    with archive.open("rb") as file:
        start = file.read(6)
    openers: tuple[tuple[bytes, Callable[[Path], Any]], ...] = (
        (b"\x1f\x8b", gzip.open),
        (b"BZh", bz2.open),
        (b"\xfd7zXZ\x00", lzma.open),
    )
    for magic, opener in openers:
        if start.startswith(magic):
            return _Counted(opener(archive))
    return _Counted(archive.open("rb"))


def _zip_members(archive: Path, wanted: Callable[[str], bool]) -> Iterator[tuple[str, bytes]]:
    with zipfile.ZipFile(archive) as opened:
        for entry in opened.infolist():
            if not entry.is_dir() and wanted(entry.filename):
                yield entry.filename, opened.read(entry)
