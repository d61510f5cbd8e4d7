"""A database in many files, one behind the other, of which a block at a time is in memory.

A shard is an .npy [rows, D] of real numbers, mostly float16, or an array. The first row of a shard
follows the last of the one before: ids count through all of them, in the order of the list.
"""

from __future__ import annotations

import bisect
import glob
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from jaxret.errors import UserError

MOST_ROWS = 2**31 - 1  # ids are int32 everywhere
BLOCK_NUMBERS = 1 << 26  # of a block: 128 MiB in float16, 256 as float32
_HEADERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}


@dataclass(frozen=True, eq=False)
class Shard:
    """Rows of a file, or of an array where there is one.

    Attributes:
      name: for messages.
      shape: rows, D.
      dtype: of the numbers.
      path: the .npy, whose numbers begin at the byte `offset`.
    """

    name: str
    shape: tuple[int, int]
    dtype: np.dtype
    path: Path | None = None
    offset: int = 0
    array: NDArray[Any] | None = None

    def __len__(self) -> int:
        return self.shape[0]

    @classmethod
    def of_array(cls, array: NDArray[Any], number: int) -> Shard:
        return cls(f"array {number}", _matrix(array.shape, f"array {number}"), array.dtype,
                   array=array)  # fmt: skip

    @classmethod
    def of_file(cls, path: Path) -> Shard:
        """By the header of an .npy alone.

        Raises:
          UserError: no such file, another form, or fewer bytes than its header says.
        """
        try:
            with path.open("rb") as file:
                version = np.lib.format.read_magic(file)
                shape, by_columns, dtype = _HEADERS[version](file)
                offset, size = file.tell(), os.fstat(file.fileno()).st_size
        except OSError as error:
            raise UserError(f"{path} cannot be read: {error.strerror}.") from error
        except (ValueError, KeyError) as error:
            raise UserError(
                f"{path} is no .npy: a shard is what numpy.save writes, [rows, dimension]."
            ) from error
        rows, dim = _matrix(shape, str(path))
        if by_columns or dtype.kind != "f":
            form = "stored column by column" if by_columns else f"of type {dtype}"
            raise UserError(
                f"{path} is {form}: a shard holds float16 or float32 row by row, so "
                "save numpy.ascontiguousarray(rows, numpy.float16)."
            )
        if size - offset != rows * dim * dtype.itemsize:
            raise UserError(
                f"{path} holds {size - offset} bytes of numbers, and its header says "
                f"{rows * dim * dtype.itemsize}: it is cut off or damaged, so make it again."
            )
        return cls(str(path), (rows, dim), dtype, path, offset)

    def read_into(self, rows: NDArray[Any], start: int) -> None:
        """Fills rows [B, D] with those from `start` on."""
        if self.array is not None or rows.dtype != self.dtype:
            rows[:] = self._read(start, start + len(rows))
            return
        self._fill(rows, start)

    def _read(self, start: int, stop: int) -> NDArray[Any]:
        if self.array is not None:
            return self.array[start:stop]
        rows = np.empty((stop - start, self.shape[1]), self.dtype)
        self._fill(rows, start)
        return rows

    def _fill(self, rows: NDArray[Any], start: int) -> None:
        # Not memory-mapped: pages that have been looked at would count as memory of the process.
        assert self.path is not None
        left = rows.data.cast("B") if rows.size else memoryview(b"")
        with self.path.open("rb", buffering=0) as file:
            file.seek(self.offset + start * self.shape[1] * self.dtype.itemsize)
            while len(left):  # a single call reads 2 GiB at most
                count = file.readinto(left)
                if not count:
                    raise UserError(f"{self.path} has become shorter while it was read.")
                left = left[count:]


@dataclass(frozen=True, eq=False)
class Shards:
    """A database in shards; nothing but their headers is in memory.

    Attributes:
      parts: those that have rows.
    """

    parts: tuple[Shard, ...]

    @classmethod
    def of(cls, sources: Any) -> Shards:
        """The shards of a list, checked by their headers.

        Args:
          sources: Shards; or files, folders (their .npy, in order of their names), patterns such
            as "features/*.npy", and arrays [rows, D]; one of them or several, in order.

        Raises:
          UserError: nothing there, a file twice, another dimension, or more than MOST_ROWS rows;
            see `Shard.of_file`.
        """
        if isinstance(sources, Shards):
            return sources
        single = isinstance(sources, str | os.PathLike) or hasattr(sources, "shape")
        parts: list[Shard] = []
        for one in [sources] if single else sources:
            if isinstance(one, str | os.PathLike):
                parts += [Shard.of_file(path) for path in _files(one)]
            else:
                parts.append(Shard.of_array(np.asarray(one), len(parts)))
        _check(parts)
        return cls(tuple(part for part in parts if len(part)))

    @property
    def dim(self) -> int:
        return self.parts[0].shape[1]

    @cached_property
    def starts(self) -> tuple[int, ...]:
        """Id of the first row of each shard."""
        return tuple(accumulate((len(part) for part in self.parts[:-1]), initial=0))

    def __len__(self) -> int:
        return self.starts[-1] + len(self.parts[-1])

    def place(self, row: int) -> tuple[int, int]:
        """(shard, row in it) of an id."""
        shard = bisect.bisect_right(self.starts, row) - 1
        return shard, row - self.starts[shard]

    @cached_property
    def dtype(self) -> np.dtype:
        """The one that all shards have, else float32."""
        kinds = {part.dtype for part in self.parts}
        return kinds.pop() if len(kinds) == 1 else np.dtype(np.float32)

    def read(self, start: int, stop: int) -> NDArray[Any]:
        """Rows [start, stop) as stored, whichever shards they lie in."""
        rows = np.empty((stop - start, self.dim), self.dtype)
        row = start
        while row < stop:
            shard, first = self.place(row)
            count = min(stop - row, len(self.parts[shard]) - first)
            self.parts[shard].read_into(rows[row - start : row - start + count], first)
            row += count
        return rows

    def blocks(self, start: int, stop: int, most: int) -> Iterator[tuple[int, NDArray[Any]]]:
        """(id of the first row, rows as stored), `most` rows at a time; the next is read ahead."""
        ends = [(first, min(first + most, stop)) for first in range(start, stop, most)]
        with ThreadPoolExecutor(1, "shards") as pool:
            promised = [pool.submit(self.read, *ends[0])] if ends else []
            for place, (first, _) in enumerate(ends):
                rows = promised.pop().result()
                if place + 1 < len(ends):
                    promised.append(pool.submit(self.read, *ends[place + 1]))
                yield first, rows
                del rows  # two blocks are held, never three

    def rows(self, ids: NDArray[np.integer]) -> NDArray[np.float32]:
        """float32 [c, D]: the rows of ids [c], each read where it lies."""
        found = np.empty((len(ids), self.dim), np.float32)
        for place, row in enumerate(ids.tolist()):
            found[place] = self.read(row, row + 1)[0]
        return found


def _matrix(shape: tuple[int, ...], name: str) -> tuple[int, int]:
    if len(shape) != 2 or (shape[0] and not shape[1]):
        raise UserError(f"{name} has shape {shape}: a shard is a matrix [rows, dimension].")
    return shape[0], shape[1]


def _files(place: str | os.PathLike) -> list[Path]:
    """The files that a file, a folder or a pattern means."""
    path = Path(place).expanduser()
    if path.is_dir():
        found = sorted(path.glob("*.npy"))
        if not found:
            raise UserError(f"{path} holds no .npy: a folder of shards is wanted.")
        return found
    if path.exists() or not glob.has_magic(str(path)):
        return [path]
    matches = sorted(map(Path, glob.glob(str(path))))
    if not matches:
        raise UserError(f"No file is named like {path}.")
    return matches


def _check(parts: Sequence[Shard]) -> None:
    if not sum(map(len, parts)):
        raise UserError("The shards hold no row: give at least one descriptor to search in.")
    whole = next(part for part in parts if len(part))
    seen: set[Path] = set()
    for part in parts:
        if part.path is not None and (real := part.path.resolve()) in seen:
            raise UserError(f"{part.path} is listed twice: each of its rows would be found twice.")
        elif part.path is not None:
            seen.add(real)
        if len(part) and part.shape[1] != whole.shape[1]:
            raise UserError(
                f"{part.name} has {part.shape[1]} numbers a row and {whole.name} has "
                f"{whole.shape[1]}: all shards must come from one encoder and whitening."
            )
    count = sum(map(len, parts))
    if count > MOST_ROWS:
        raise UserError(f"The shards hold {count} rows, more than the {MOST_ROWS} that ids count.")
