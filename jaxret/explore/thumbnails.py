"""Small pictures of photographs: made when they are first looked at, kept in the workdir."""

import hashlib
import threading
from collections.abc import Hashable
from pathlib import Path

from jaxret.data.dataset import Dataset, FileSplit, Split
from jaxret.report.figures.pictures import small_jpeg
from jaxret.runtime.artifacts import atomic_write
from jaxret.runtime.machine import cores

SIDES = {"small": 200, "large": 1000}  # pixels of the longer side
FOLDER = "thumbnails"


class Thumbnails:
    """The pictures of all datasets of a workdir; many threads may ask.

    A picture's name is a digest of what it shows: of a file its path, size and time of change, of a
    benchmark's photograph its place in the release. A photograph that changes gets a new picture.
    """

    def __init__(self, root: Path) -> None:
        self._folder = root / FOLDER
        self._decoding = threading.BoundedSemaphore(cores())  # each may take half a gigabyte
        self._fingerprints: dict[Hashable, str] = {}

    def jpeg(self, dataset: Dataset, of_queries: bool, number: int, size: str) -> bytes:
        """One photograph, a query with its box drawn in.

        Raises:
          BadImage: it cannot be read.
          IndexError, KeyError: there is no such photograph or size.
        """
        split = dataset.queries if of_queries else dataset.database
        if not 0 <= number < len(split):
            raise IndexError(number)
        side = SIDES[size]
        file = self._file(split, number, f"{side}{'box' if of_queries else ''}")
        if file.exists():
            return file.read_bytes()
        with self._decoding:
            made, _ = small_jpeg(split, number, side, with_box=of_queries)
        with atomic_write(file) as stream:
            stream.write(made)
        return made

    def _file(self, split: Split, number: int, form: str) -> Path:
        shown = (self._content(split, number), split.boxes[number], form)
        name = hashlib.sha256(repr(shown).encode()).hexdigest()
        return self._folder / name[:2] / f"{name[2:22]}.jpg"

    def _content(self, split: Split, number: int) -> tuple[Hashable, ...]:
        if isinstance(split, FileSplit):
            path = split.path(number)
            try:
                status = path.stat()
            except OSError:  # reading it says why
                return (str(path.absolute()),)
            return (str(path.absolute()), status.st_size, status.st_mtime_ns)
        if id(split) not in self._fingerprints:
            self._fingerprints[id(split)] = split.fingerprint()
        return (self._fingerprints[id(split)], number)
