"""Inner products of many pairs, fast and of known error, for the search for candidates.

float32 by BLAS, or bfloat16 with float32 sums by XLA: where the processor has instructions for it
(AMX, AVX512-BF16), two to seven times as many products in the same time.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from jaxret.ranking.neighbours.host import bfloat16
from jaxret.ranking.neighbours.host.buffers import Buffers
from jaxret.ranking.neighbours.index import Index

PART = 256  # queries
# Converting the database costs as much as the products of some forty queries; where it has been
# done, XLA is slow at single ones only.
FEWEST_QUERIES, FEWEST_OF_INDEX = 64, 4
# A length whose products, or what their rounding loses, come near the ends of float32.
SHORTEST, LONGEST = 1e-15, 1e15
# bfloat16 keeps eight binary digits: of its length a row loses less than this part.
LOST = 2.0**-8


class Products(Protocol):
    """Inner products of a fixed set of queries [Q, D] with rows of an index.

    What a thread is given lies in memory of that thread, which its next call may use again.

    Attributes:
      rough: whether what they find has to be scored again; otherwise they are float32's own.
      error: float32 [Q], what they may be off by if they are rough.
    """

    rough: bool
    error: NDArray[np.float32]

    def prepared(self, part: slice) -> NDArray:
        """Database rows [B, D] in the form that `of` takes."""

    def of(self, first: int, rows: NDArray) -> NDArray[np.float32]:
        """[q, B]: of the `PART` queries that begin at `first`, with prepared rows."""


class Float32Products:
    """By BLAS."""

    rough = False

    def __init__(self, queries: NDArray[np.float32], index: Index) -> None:
        self.error = np.zeros(len(queries), np.float32)
        self._queries, self._rows = queries, index.rows
        self._buffers = Buffers()

    def prepared(self, part: slice) -> NDArray:
        return np.ascontiguousarray(self._rows[part])

    def of(self, first: int, rows: NDArray) -> NDArray[np.float32]:
        queries = self._queries[first : first + PART]
        out = self._buffers.array("products", (len(queries), len(rows)), np.float32)
        return np.matmul(queries, rows.T, out=out)


class Bfloat16Products:
    """By XLA: both sides rounded to bfloat16, sums in float32."""

    rough = True

    def __init__(self, queries: NDArray[np.float32], index: Index) -> None:
        starts = range(0, len(queries), PART)
        self._parts = [bfloat16.rounded(queries[i : i + PART], Buffers()) for i in starts]
        self.error = _error(queries, np.concatenate(self._parts), index)
        self._index = index
        self._buffers = Buffers()
        self._multiplier = bfloat16.Multiplier()

    def prepared(self, part: slice) -> NDArray:
        if self._index.rounded is None:
            return bfloat16.rounded(self._index.rows[part], self._buffers)
        return np.ascontiguousarray(self._index.rounded[part])

    def of(self, first: int, rows: NDArray) -> NDArray[np.float32]:
        return self._multiplier.product(self._parts[first // PART], rows)


def _error(queries: NDArray[np.float32], rounded: NDArray, index: Index) -> NDArray[np.float32]:
    """Never more, by Cauchy and Schwarz.

    |q.d - q'.d'| <= |q - q'| |d| + |q'| |d - d'|. To that the rounding of D partial sums in
    float32, and of the exact product where it is compared.
    """
    lengths, lost = bfloat16.lengths(queries), bfloat16.lost(queries, rounded)
    longest = index.longest
    most_lost = LOST * longest if index.lost is None else index.lost
    summing = (queries.shape[1] + 2) * np.finfo(np.float32).eps * longest
    error = lost * longest + (lengths + lost) * (most_lost + summing)
    apt = (lengths > SHORTEST) & (lengths < LONGEST) & (SHORTEST < longest < LONGEST)
    return np.where(apt, error, np.inf).astype(np.float32)


def bfloat16_pays(queries: NDArray[np.float32], index: Index) -> bool:
    """Whether candidates from bfloat16 is worth what it costs besides."""
    if index.rounded is not None:
        return len(queries) >= FEWEST_OF_INDEX
    return len(queries) >= FEWEST_QUERIES and bfloat16.suits(len(index.rows))
