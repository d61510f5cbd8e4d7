"""The k best of a passing database, on the cores of a CPU.

The k-th best so far is a floor for what is still to come: of a block only rows that float32 (or
bfloat16) products put above it, less what these may be off by, are scored in float64. Their number
falls as k / rows seen.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from jaxret.ranking.neighbours.host.candidates import CandidateSearch
from jaxret.ranking.neighbours.host.exact import (
    BLOCKS_A_CORE,
    DATABASE_BLOCK,
    RESCORED_AT_ONCE,
    CpuSearch,
)
from jaxret.ranking.neighbours.host.pair_products import Pairs
from jaxret.ranking.neighbours.host.products import (
    LONGEST,
    SHORTEST,
    Bfloat16Products,
    Float32Products,
    Products,
    bfloat16_pays,
)
from jaxret.ranking.neighbours.host.rescoring import wide
from jaxret.ranking.neighbours.index import Index
from jaxret.ranking.ordering import LAST, Neighbours, first_of, keys, read
from jaxret.runtime.threads import cores, in_threads

FEWEST_ROWS = 1024  # of a smaller block every product is made in float64
# A query with more candidates in a block than this many times k, and than this many, is asked by
# the plain search: its floor tells it nothing, as where thousands of rows are equal.
CROWDED, CROWD = 8, 1024


class HostStream:
    """What a stream has brought each query.

    Args:
      queries: float32 [Q, D].
      k: results a query.
    """

    def __init__(self, queries: NDArray[np.float32], k: int) -> None:
        self._queries, self._k, self._seen = queries, k, 0
        self._keys = np.full((len(queries), k), LAST, np.int64)
        self._lengths = np.linalg.norm(queries.astype(np.float64), axis=1)

    def add(self, index: Index, first: int) -> None:
        """Rows of the database, from the id `first` on."""
        rows = index.rows
        left = np.arange(len(self._queries))
        if self._seen >= self._k and len(rows) >= FEWEST_ROWS and self._is_apt(index):
            left = self._by_floors(index, first)
        if len(left):
            sims, ids = _exactly(self._queries[left], index, min(self._k, len(rows)))
            self._merge(left, keys(sims, ids + np.int32(first)))
        self._seen += len(rows)

    def found(self) -> Neighbours:
        """(similarities float32, ids int32), each [Q, k]; -inf where fewer rows have passed."""
        return read(self._keys)

    def _is_apt(self, index: Index) -> bool:
        """Whether no product in float32 runs over or under."""
        return bool(SHORTEST < index.longest < LONGEST) and bool(
            ((self._lengths > SHORTEST) & (self._lengths < LONGEST)).all()
        )

    def _by_floors(self, index: Index, first: int) -> NDArray[np.int64]:
        """Merges what lies above the floors; returns the queries [q] that are left."""
        products = _products(self._queries, index)
        error = products.error if products.rough else self._rounding(index)
        worst = read(self._keys[:, -1:])[0]
        floors = np.nextafter(worst - error[:, None], np.float32(-np.inf))
        search = CandidateSearch(self._queries, index, products, self._k)
        share = -(-len(index.rows) // (BLOCKS_A_CORE * cores()))
        search.run(min(DATABASE_BLOCK, share), floors, max(CROWD, CROWDED * self._k))
        pairs = Pairs(index.rows)

        def score(start: int) -> None:
            asked = np.arange(start, min(start + RESCORED_AT_ONCE, len(self._queries)))
            asked = asked[search.floors[asked, 0] < np.inf]
            candidates, counts = search.collected(slice(start, start + RESCORED_AT_ONCE))
            kept = np.isin(np.arange(start, start + len(counts)), asked)
            ids, counts = read(candidates[kept])[1], counts[kept]
            if counts.any():
                ids[np.arange(ids.shape[1]) >= counts[:, None]] = 0
                scores = pairs.products(self._queries[asked], ids, counts)
                self._merge(asked, keys(scores, ids + np.int32(first)))

        in_threads(score, range(0, len(self._queries), RESCORED_AT_ONCE))
        return np.flatnonzero(search.floors[:, 0] == np.inf)

    def _rounding(self, index: Index) -> NDArray[np.float32]:
        """[Q]: never less than what float32 products are off by, whatever the order of the sum.

        |fl(q.d) - q.d| <= D eps |q| |d| (Higham, Accuracy and Stability, 3.1), and the rounding of
        the exact product that it is compared with.
        """
        step = (self._queries.shape[1] + 2) * np.finfo(np.float32).eps
        return (step * index.longest * self._lengths).astype(np.float32)

    def _merge(self, asked: NDArray[np.int64], found: NDArray[np.int64]) -> None:
        both = np.concatenate([self._keys[asked], found], axis=1)
        self._keys[asked] = first_of(both, self._k)


def _exactly(queries: NDArray[np.float32], index: Index, k: int) -> Neighbours:
    """The `k` nearest in one block, each similarity by way of float64: those of others follow."""
    if len(index.rows) < FEWEST_ROWS:
        return wide(queries, index.rows, k)
    sims, ids = CpuSearch(index, k).of(queries)
    pairs, counts = Pairs(index.rows), np.full(len(queries), k)

    def score(start: int) -> None:
        part = slice(start, start + RESCORED_AT_ONCE)
        sims[part] = pairs.products(queries[part], ids[part], counts[part])

    in_threads(score, range(0, len(queries), RESCORED_AT_ONCE))
    return sims, ids


def _products(queries: NDArray[np.float32], index: Index) -> Products:
    kind = Bfloat16Products if bfloat16_pays(queries, index) else Float32Products
    return kind(queries, index)
