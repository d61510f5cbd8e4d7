"""Splits over what a TFDS builder prepared, and splits put together."""

import bisect
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import accumulate
from pathlib import Path
from typing import Any

from jaxret.data.dataset import Box, FileSplit, Split
from jaxret.data.images.decode import BadImage


@dataclass(frozen=True)
class PreparedSplit:
    """Some of the photographs that lie in a prepared dataset.

    The record files are opened at the first `read` of each process, so that a split costs little
    to send to another.

    Attributes:
      folder: TFDS's folder of the prepared photographs (.../photographs/1.0.0).
      places: their rows in its `database` split.
      names: as in the ground truth.
      boxes: one a photograph, or None.
      digests: SHA-256 of the encoded photographs, taken when they were prepared.
    """

    folder: Path
    places: tuple[int, ...]
    names: tuple[str, ...]
    boxes: tuple[Box | None, ...]
    digests: tuple[str, ...] = field(repr=False)

    def __len__(self) -> int:
        return len(self.places)

    def read(self, index: int) -> bytes:
        try:
            return bytes(self._rows[self.places[index]]["image"])
        except (OSError, ValueError, RuntimeError) as error:  # a record file gone or damaged
            raise BadImage(self.names[index], f"{self.folder} cannot be read ({error})") from error

    def fingerprint(self) -> str:
        return fingerprint_of(self.names, self.boxes, self.digests)

    @cached_property
    def _rows(self) -> Sequence[dict[str, Any]]:
        import tensorflow_datasets as tfds

        builder = tfds.builder_from_directory(self.folder)
        return builder.as_data_source("database", decoders={"image": tfds.decode.SkipDecoding()})

    def __getstate__(self) -> dict[str, Any]:
        return {key: value for key, value in self.__dict__.items() if key != "_rows"}


@dataclass(frozen=True)
class NamedFileSplit(FileSplit):
    """Files that reports call by their benchmark's names instead of their paths."""

    known_as: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "names", self.known_as)


@dataclass(frozen=True)
class JoinedSplit:
    """Several splits one behind the other; the first one's photographs keep their indices."""

    parts: tuple[Split, ...]

    @cached_property
    def names(self) -> Sequence[str]:
        return [name for part in self.parts for name in part.names]

    @cached_property
    def boxes(self) -> Sequence[Box | None]:
        return [box for part in self.parts for box in part.boxes]

    @cached_property
    def _ends(self) -> list[int]:
        return list(accumulate(len(part) for part in self.parts))

    def __len__(self) -> int:
        return self._ends[-1] if self.parts else 0

    def read(self, index: int) -> bytes:
        if not 0 <= index < len(self):
            raise IndexError(index)
        number = bisect.bisect_right(self._ends, index)
        return self.parts[number].read(index - self._ends[number] + len(self.parts[number]))

    def fingerprint(self) -> str:
        whole = hashlib.sha256()
        for part in self.parts:
            whole.update(part.fingerprint().encode())
        return whole.hexdigest()


def fingerprint_of(
    names: Sequence[str], boxes: Sequence[Box | None], digests: Sequence[str]
) -> str:
    """One digest over names, boxes and the digests of the contents, in order."""
    whole = hashlib.sha256()
    for item in zip(names, boxes, digests, strict=True):
        whole.update(repr(item).encode())
    return whole.hexdigest()
