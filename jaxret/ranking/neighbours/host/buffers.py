"""Memory that a thread uses again and again.

Fresh memory has to be cleared and mapped by the system, page by page: as slow as a matrix product
that fills it.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator

import numpy as np
from numpy.typing import DTypeLike, NDArray

ALIGNED = 64  # bytes: XLA copies an array that does not start at a multiple


class Buffers(threading.local):
    """Named arrays, other ones for every thread.

    What one holds lasts until the same thread asks for the same name again.
    """

    def __init__(self) -> None:
        self._kept: dict[str, NDArray[np.uint8]] = {}

    def array(self, name: str, shape: tuple[int, ...], dtype: DTypeLike) -> NDArray:
        """An array of undefined content."""
        size = math.prod(shape) * np.dtype(dtype).itemsize
        kept = self._kept.get(name)
        if kept is None or len(kept) < size:
            self._kept[name] = kept = aligned((size,), np.uint8)
        return kept[:size].view(dtype).reshape(shape)

    def rows(
        self, database: NDArray[np.float32], ids: NDArray[np.int32], at_once: int
    ) -> Iterator[tuple[slice, NDArray[np.float32]]]:
        """Rows of a database [N, D] by their ids [c], `at_once` of them: (which of the c, rows)."""
        for start in range(0, len(ids), at_once):
            part = slice(start, min(start + at_once, len(ids)))
            rows = self.array("rows", (part.stop - start, database.shape[1]), np.float32)
            # Other modes fill a buffer first.
            yield part, np.take(database, ids[part], axis=0, out=rows, mode="clip")


def aligned(shape: tuple[int, ...], dtype: DTypeLike) -> NDArray:
    """An array of undefined content, that XLA reads where it lies."""
    size = math.prod(shape) * np.dtype(dtype).itemsize
    memory = np.empty(size + ALIGNED, np.uint8)
    first = -memory.ctypes.data % ALIGNED
    return memory[first : first + size].view(dtype).reshape(shape)
