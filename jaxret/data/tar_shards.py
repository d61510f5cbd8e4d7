"""Photographs in tar files as WebDataset has them: read where they lie, nothing is unpacked.

    000123.jpg  000123.json  000123.txt     the files of a sample share a name up to the first point

A photograph is told by its ending; what lies beside it is passed over.
"""

import glob
import hashlib
import re
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from jaxret.data.dataset import Box, printable, reading_failure
from jaxret.data.images.decode import BadImage
from jaxret.data.photographs import EXTENSIONS
from jaxret.errors import UserError

# WebDataset's __key__: folders, and the file's name up to its first point.
_KEY = re.compile(r"(?P<key>(?:.*/)?[^./][^./]*)\.[^/]*")


@dataclass(frozen=True)
class TarSplit:
    """The photographs of one tar file, in its order; a `Split`.

    Attributes:
      path: the file, not compressed.
      names: their keys, printable.
      places: where each begins in the file, and its bytes.
    """

    path: Path
    names: tuple[str, ...]
    places: tuple[tuple[int, int], ...] = field(repr=False)

    @classmethod
    def open(cls, path: Path) -> "TarSplit":
        """By the headers of the file's members, every one of which is read.

        Raises:
          UserError: it cannot be read, is compressed, cut off or damaged, or holds two photographs
            of one name, or none.
        """
        names, places = [], []
        try:
            with tarfile.open(path, "r:") as tar:
                while (member := tar.next()) is not None:
                    tar.members.clear()  # type: ignore[attr-defined]  # it would keep them all
                    if member.isfile() and (name := key_of(member.name)) is not None:
                        names.append(printable(name))
                        places.append((member.offset_data, member.size))
                end = tar.offset
        except tarfile.TarError as error:
            raise UserError(
                f"{path} cannot be read beyond its first {len(names)} photographs ({error}): it is "
                "cut off, damaged, or compressed. Fetch it again, or unpack the compression."
            ) from error
        except OSError as error:
            raise UserError(f"{path} cannot be read: {reading_failure(error)}.") from error
        _check_end(path, end, len(names))
        _check_names(path, names)
        return cls(path, tuple(names), tuple(places))

    @property
    def boxes(self) -> Sequence[Box | None]:
        return (None,) * len(self.names)

    def __len__(self) -> int:
        return len(self.names)

    def read(self, index: int) -> bytes:
        start, size = self.places[index]
        try:
            with self.path.open("rb") as file:
                file.seek(start)
                content = file.read(size)
        except OSError as error:
            raise BadImage(self.names[index], f"{self.path}: {reading_failure(error)}") from error
        if len(content) < size:
            raise UserError(f"{self.path} has become shorter while it was read.")
        return content

    def fingerprint(self) -> str:
        """Of names and sizes: the contents of a hundred million are not read for it."""
        return hashlib.sha256(repr((self.names, self.places)).encode()).hexdigest()


def key_of(path: str) -> str | None:
    """The key of a member that is a photograph by its ending, else None.

    >>> key_of("yfcc/0012.jpg"), key_of("yfcc/0012.json"), key_of("._0012.jpg")
    ('yfcc/0012', None, None)
    """
    match = _KEY.fullmatch(path.removeprefix("./"))
    if match is None or not path.lower().endswith(EXTENSIONS):
        return None
    return match["key"]


def find_tars(patterns: Sequence[str]) -> list[Path]:
    """The tar files of patterns, files or folders, each once, in the order given.

    Raises:
      UserError: one of them means no file, or two of the files have one name.
    """
    found: list[Path] = []
    for pattern in patterns:
        place = Path(pattern).expanduser()
        if place.is_dir():
            matches = sorted(place.glob("*.tar"))
        elif place.exists() or not glob.has_magic(pattern):
            matches = [place]
        else:
            matches = sorted(map(Path, glob.glob(str(place), recursive=True)))
        if not matches or not all(map(Path.is_file, matches)):
            raise UserError(
                f"--tars={pattern} means no tar file: give files, or a pattern such as "
                "FOLDER/*.tar."
            )
        found += matches
    seen: dict[str, Path] = {}
    for path in found:
        other = seen.setdefault(path.stem, path)
        if other is not path:
            same = other.resolve() == path.resolve()
            raise UserError(
                f"{path} is listed twice: every photograph would be found twice."
                if same
                else f"{other} and {path} have one name, by which their descriptors are kept: "
                "rename one."
            )
    return found


def _check_end(path: Path, end: int, count: int) -> None:
    """A tar ends with a block of zeros; tarfile takes whatever it cannot read for the end."""
    with path.open("rb") as file:
        file.seek(end)
        mark = file.read(tarfile.BLOCKSIZE)
    if mark != bytes(tarfile.BLOCKSIZE):
        raise UserError(
            f"{path} cannot be read beyond its first {count} photographs: it is cut off or "
            "damaged, so fetch it again."
        )


def _check_names(path: Path, names: Sequence[str]) -> None:
    if not names:
        raise UserError(
            f"{path} holds no photograph: members of a shard end in .jpg, .png, .webp or the like."
        )
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise UserError(
                f"{path} holds two photographs of one name, {name!r}: which is whose could not be "
                "told, so pack it again."
            )
        seen.add(name)
