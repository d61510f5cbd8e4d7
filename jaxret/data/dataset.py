"""What every dataset is, whatever it is read from: two splits of encoded photographs and, where
there is one, the ground truth.
"""

import dataclasses
import errno
import hashlib
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, runtime_checkable

from jaxret.data.images.decode import BadImage
from jaxret.runtime.file_digests import FileDigests

Box = tuple[float, float, float, float]
"""x1, y1, x2, y2 in stored pixels of the photograph, as the benchmarks' ground truth has them."""


@runtime_checkable
class Split(Protocol):
    """Photographs in a fixed order, read one by one; picklable, so that processes can share it."""

    @property
    def names(self) -> Sequence[str]: ...

    @property
    def boxes(self) -> Sequence[Box | None]:
        """What part of each photograph is asked for; None is the whole of it."""
        ...

    def __len__(self) -> int: ...

    def read(self, index: int) -> bytes:
        """The encoded photograph (JPEG, PNG, ...). Raises `BadImage` if it cannot be read."""
        ...

    def fingerprint(self) -> str:
        """Digest of all that the split holds: names, boxes and contents."""
        ...


@dataclass(frozen=True)
class Dataset:
    """Photographs to search in, photographs to search with, and what is right.

    Attributes:
        name: what reports call it.
        version: of the release or, for what has none, "folder".
        database: N photographs.
        queries: Q photographs with boxes; may be empty.
        ground_truth: one dict a query as the official files hold them (`ok`, `junk` or `easy`,
            `hard`, `junk`: ids of the database, 0-based), or None.
        protocols: those that the ground truth allows.
        image_size: pixels a side where this dataset has a default of its own.
        on_bad_image: "fail" or "skip", what is done by default with an unreadable photograph.
        notes: sentences for the report, such as the release used.
        left_out: printable name and reason of what lies beside the photographs and is none.
        metrics: keys of `evaluation.measures` that it is evaluated by, the main one first; none:
            mAP and mP@k.
        depth: results of a query that are kept, where all would be too many; None keeps all.
        query_crop: "bbox" or "none", what is done by default with the queries' boxes.
    """

    name: str
    version: str
    database: Split
    queries: Split
    ground_truth: list[dict] | None = None
    protocols: tuple[str, ...] = ()
    image_size: int | None = None
    on_bad_image: str = "fail"
    notes: tuple[str, ...] = ()
    left_out: tuple[tuple[str, str], ...] = ()
    metrics: tuple[str, ...] = ()
    depth: int | None = None
    query_crop: str = "bbox"


@dataclass(frozen=True)
class FileSplit:
    """Photographs that lie as files below a folder.

    Attributes:
        root: the folder.
        files: paths below it, as the operating system has them.
        boxes: one a photograph, or None.
        names: how reports call them: `files` made printable.
    """

    root: Path
    files: tuple[str, ...] = ()
    boxes: tuple[Box | None, ...] = ()
    names: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        if not self.boxes:
            object.__setattr__(self, "boxes", (None,) * len(self.files))
        object.__setattr__(self, "names", tuple(map(printable, self.files)))

    def __len__(self) -> int:
        return len(self.files)

    def read(self, index: int) -> bytes:
        try:
            return self.path(index).read_bytes()
        except OSError as error:
            raise BadImage(self.names[index], reading_failure(error)) from error

    def path(self, index: int) -> Path:
        return self.root / self.files[index]

    def digests(self) -> list[str]:
        """SHA-256 of each file's bytes; an unreadable file's is the digest of nothing."""
        known = FileDigests.of_folder(self.root)
        found = [known.digest(file) for file in self.files]
        known.save()
        return found

    def fingerprint(self) -> str:
        whole = hashlib.sha256()
        for name, box, digest in zip(self.names, self.boxes, self.digests(), strict=True):
            whole.update(repr((name, box, digest)).encode())
        return whole.hexdigest()


@dataclass(frozen=True)
class Subset:
    """Some photographs of another split.

    Attributes:
        whole: the other split.
        kept: which of its photographs, in order.
    """

    whole: Split
    kept: tuple[int, ...]

    @property
    def names(self) -> Sequence[str]:
        return [self.whole.names[i] for i in self.kept]

    @property
    def boxes(self) -> Sequence[Box | None]:
        return [self.whole.boxes[i] for i in self.kept]

    def __len__(self) -> int:
        return len(self.kept)

    def read(self, index: int) -> bytes:
        return self.whole.read(self.kept[index])

    def fingerprint(self) -> str:
        return hashlib.sha256(repr((self.whole.fingerprint(), self.kept)).encode()).hexdigest()


def without(dataset: Dataset, database: Iterable[int], queries: Iterable[int]) -> Dataset:
    """The dataset less some photographs, its ground truth counted anew.

    Args:
        dataset: stays as it is.
        database: ids of database photographs to leave out, of the ground truth's lists too.
        queries: ids of queries to leave out.
    """
    gone, dropped = {int(i) for i in database}, {int(i) for i in queries}
    if not gone and not dropped:
        return dataset
    kept = tuple(i for i in range(len(dataset.database)) if i not in gone)
    asked = tuple(i for i in range(len(dataset.queries)) if i not in dropped)
    new_id = {old: new for new, old in enumerate(kept)}
    truth = dataset.ground_truth
    return dataclasses.replace(
        dataset,
        database=Subset(dataset.database, kept),
        queries=Subset(dataset.queries, asked),
        ground_truth=None if truth is None else [_renumbered(truth[i], new_id) for i in asked],
    )


def _renumbered(query: dict, new_id: dict[int, int]) -> dict:
    """One query's lists with new ids; its box is no list of ids."""
    return {
        key: value if key == "bbx" else [new_id[i] for i in value if i in new_id]
        for key, value in query.items()
    }


def printable(file: str) -> str:
    r"""A file name that can be written anywhere: one line, valid UTF-8.

    >>> printable("tower\nat night \udcff.jpg")
    'tower\\nat night \\udcff.jpg'
    """
    if file.isprintable():
        return file
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in file)


def reading_failure(error: OSError) -> str:
    """Why a file could not be read, in words."""
    reasons = {
        errno.EISDIR: "it is a folder",
        errno.ENOENT: "there is no such file, or it is a link to nothing",
        errno.EACCES: "no permission to read it",
        errno.ELOOP: "it is a link to itself",
    }
    number = error.errno or 0
    return reasons.get(number, os.strerror(number) if number else str(error))
