"""Exact nearest neighbours on the cores of a CPU."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from jaxret.ranking.neighbours.host.candidates import CandidateSearch
from jaxret.ranking.neighbours.host.products import (
    PART,
    Bfloat16Products,
    Float32Products,
    Products,
    bfloat16_pays,
)
from jaxret.ranking.neighbours.host.rescoring import MARGIN, rescore, wide
from jaxret.ranking.neighbours.index import Index
from jaxret.ranking.ordering import Neighbours, nothing
from jaxret.runtime.threads import cores, in_threads

DATABASE_BLOCK, BLOCKS_A_CORE = 8192, 4
LARGEST_BLOCK = 1 << 20  # so that 32 bits count its products with a part of the queries
# Queries of one pass over the database, and neighbours that they may ask for together.
MOST_QUERIES, MOST_NEIGHBOURS = 4096, 1 << 23
RESCORED_AT_ONCE = 64  # queries rescored at once, a divisor of PART
WIDE_PART, WIDE_PRODUCTS = 512, 1 << 26  # queries and products at once in float64


@dataclass(frozen=True)
class CpuSearch:
    """How to find the neighbours of any queries.

    Attributes:
      index: the database.
      k: neighbours a query, at most N.
      block_size: database rows a block, None for what suits the caches.
    """

    index: Index
    k: int
    block_size: int | None = None

    def of(self, queries: NDArray[np.float32]) -> Neighbours:
        """(similarities, ids), each [Q, k], in the order of rankings."""
        # Most pairs of a long list are too close for float32 to tell their order.
        if 32 * self.k > len(self.index.rows):
            return self._by_float64(queries)
        at_once = int(np.clip(MOST_NEIGHBOURS // max(1, self.k), PART, MOST_QUERIES))
        found = nothing(len(queries), self.k)
        for start in range(0, len(queries), at_once):
            part = slice(start, start + at_once)
            found[0][part], found[1][part] = self._by_candidates(queries[part])
        return found

    def _by_candidates(self, queries: NDArray[np.float32]) -> Neighbours:
        """By the fastest products; by those of float32 what these leave open, then of float64."""
        found = nothing(len(queries), self.k)
        left = np.arange(len(queries))
        kinds: list[Callable[[NDArray[np.float32], Index], Products]] = [Float32Products]
        if bfloat16_pays(queries, self.index):
            kinds.insert(0, Bfloat16Products)
        for kind in kinds:
            asked = queries[left]
            (found[0][left], found[1][left]), sure = self._by(kind(asked, self.index), asked)
            left = left[~sure]
            if not len(left):
                return found
        found[0][left], found[1][left] = self._by_float64(queries[left])
        return found

    def _by(
        self, products: Products, queries: NDArray[np.float32]
    ) -> tuple[Neighbours, NDArray[np.bool_]]:
        """(similarities, ids), each [Q, k], and for which queries they are known to be right."""
        database = self.index.rows
        count = self.k if products.rough else min(self.k + MARGIN, len(database))
        search = CandidateSearch(queries, self.index, products, count)
        share = -(-len(database) // (BLOCKS_A_CORE * cores()))
        search.run(min(self.block_size or min(DATABASE_BLOCK, share), LARGEST_BLOCK))
        sure = np.zeros(len(queries), np.bool_)

        def find(part: slice) -> Neighbours:
            found, sure[part] = search.nearest(part)
            if products.rough:
                return found
            known = sure[part]
            rescored = nothing(len(known), self.k)
            candidates = found[0][known], found[1][known]
            rescored[0][known], rescored[1][known] = rescore(
                queries[part][known], database, candidates, self.k, self.index.longest
            )
            return rescored

        return in_parts(find, len(queries), self.k, RESCORED_AT_ONCE), sure

    def _by_float64(self, queries: NDArray[np.float32]) -> Neighbours:
        database = self.index.rows
        share = -(-len(queries) // cores())
        rows = max(1, min(WIDE_PART, share, WIDE_PRODUCTS // len(database)))

        def find(part: slice) -> Neighbours:
            return wide(queries[part], database, self.k, self.block_size)

        return in_parts(find, len(queries), self.k, rows)


def in_parts(find: Callable[[slice], Neighbours], count: int, k: int, rows: int) -> Neighbours:
    """[count, k] each: what `find` finds for `rows` queries at a time, a thread a core."""
    found = nothing(count, k)

    def one(start: int) -> None:
        part = slice(start, start + rows)
        found[0][part], found[1][part] = find(part)

    in_threads(one, range(0, count, rows))
    return found
