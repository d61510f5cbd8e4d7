"""Photographs out of archives: only those asked for, read as a stream, never along their paths."""

import lzma
import os
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

from jaxret.errors import UserError

TAR_ENDINGS = (".tgz", ".tar.gz", ".tar")
ENDINGS = (*TAR_ENDINGS, ".zip")
UNSUPPORTED = (".rar", ".7z")

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
    with tarfile.open(archive, mode="r|*") as tar:  # a stream: one pass, no seeking back
        for member in tar:
            if not member.isfile() or not wanted(member.name):
                continue
            stream = tar.extractfile(member)
            content = b"" if stream is None else stream.read()
            if len(content) < member.size:
                raise EOFError(f"{member.name} is cut off")
            yield member.name, content


def _zip_members(archive: Path, wanted: Callable[[str], bool]) -> Iterator[tuple[str, bytes]]:
    with zipfile.ZipFile(archive) as opened:
        for entry in opened.infolist():
            if not entry.is_dir() and wanted(entry.filename):
                yield entry.filename, opened.read(entry)
