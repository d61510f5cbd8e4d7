"""Candidates for the nearest neighbours in one pass over the database, by products of known error.

A sample of the database tells each query a floor that its nearest most likely lie above; the pass
collects what does. Afterwards it is known whether that holds every one of the nearest, and which
others the error of the products could confuse with them. Where it does not, the query is not sure
and has to be asked again in another way: nothing is left to the luck of the sample but time.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from jaxret.ranking.products import PART, Products
from jaxret.ranking.selection import Neighbours
from jaxret.ranking.workers import in_threads

SAMPLE = 8192  # rows at most, and one in SAMPLE_STEP of a smaller database
SAMPLE_STEP = 16
SMALLEST_SAMPLE = 256
# The rank of the floor in the sample is this many standard deviations above the one expected.
DEVIATIONS = 4
# The floor lies below it by this many times the error that the products may have: mostly theirs is
# much smaller.
SLACK = 1.1
# A query that collects this many times what is expected is given up: ties, or a misleading sample.
CROWDED = 4
SORTED = 32  # queries of whose sample the best are sought at once
SCORED = 256  # rows scored at once, so that they stay in the caches


@dataclass
class Screen:
    """What one pass over the database has found for a set of queries.

    Attributes:
      queries: [Q, D].
      database: [N, D].
      products: of these queries.
      count: nearest neighbours asked for.
      longest: length of the longest row of the database.
      floors: float32 [Q, 1], least similarity collected; infinite where given up.
      found: by the first row of a database block, for each part: (query, id, similarity), arrays.
      error: float32 [Q], of the products.
    """

    queries: NDArray[np.float32]
    database: NDArray[np.float32]
    products: Products
    count: int
    longest: float
    error: NDArray[np.float32] = field(init=False)
    floors: NDArray[np.float32] = field(init=False)
    found: dict[int, list[tuple[NDArray, NDArray, NDArray]]] = field(default_factory=dict)

    @property
    def starts(self) -> range:
        """The first query of each part."""
        return range(0, len(self.queries), PART)

    def run(self, size: int) -> None:
        """The pass, over blocks of `size` rows, a thread a core."""
        self.error = self.products.error(self.longest)
        crowd = self._set_floors(size)
        seen = np.zeros(len(self.queries), np.int64)

        def scan(start: int) -> None:
            rows = self.database[start : start + size]
            prepared = self.products.prepared(rows)
            self.found[start] = [self._above_floor(first, prepared, start) for first in self.starts]
            for first, (queries, _, _) in zip(self.starts, self.found[start], strict=True):
                part = slice(first, first + PART)
                seen[part] += np.bincount(queries, minlength=len(seen[part]))
            self.floors[seen > crowd] = np.inf

        in_threads(scan, range(0, len(self.database), size))

    def _set_floors(self, size: int) -> float:
        """Sets the floors; returns how many rows above its own make a query a hopeless one."""
        step = max(1, min(SAMPLE_STEP, len(self.database) // SMALLEST_SAMPLE))
        step = max(step, len(self.database) // SAMPLE)
        sample = self.database[::step]
        # The square root of the rank r for which r - DEVIATIONS sqrt(r) = count / step.
        root = DEVIATIONS / 2 + math.sqrt(DEVIATIONS**2 / 4 + self.count / step)
        rank = math.ceil(root**2)
        self.floors = np.full((len(self.queries), 1), -np.inf, np.float32)
        if rank >= len(sample):
            return np.inf
        for first in self.starts:
            self._set_floors_of(first, sample, rank, size)
        return 2 * CROWDED * rank * step

    def _set_floors_of(self, first: int, sample: NDArray[np.float32], rank: int, size: int) -> None:
        floors, error = self.floors[first : first + PART], self.error[first : first + PART]
        sims = np.empty((len(floors), len(sample)), np.float32)

        def multiply(start: int) -> None:
            rows = np.ascontiguousarray(sample[start : start + size])
            sims[:, start : start + size] = self.products.of(first, self.products.prepared(rows))

        def choose(start: int) -> None:
            part = slice(start, start + SORTED)
            at_rank = np.partition(sims[part], len(sample) - rank, axis=1)[:, len(sample) - rank]
            own = at_rank - np.float32(SLACK) * error[part]
            crowded = (sims[part] >= own[:, None]).sum(axis=1) > CROWDED * rank
            floors[part, 0] = np.where(crowded, np.inf, own)

        in_threads(multiply, range(0, len(sample), size))
        in_threads(choose, range(0, len(floors), SORTED))

    def _above_floor(
        self, first: int, rows: NDArray, start: int
    ) -> tuple[NDArray[np.uint16], NDArray[np.int32], NDArray[np.float32]]:
        part = slice(first, first + PART)
        sims = self.products.of(first, rows)
        places = np.flatnonzero(sims >= self.floors[part])
        queries, ids = np.divmod(places.astype(np.int32), np.int32(len(rows)))
        return queries.astype(np.uint16), ids + np.int32(start), sims.ravel()[places]

    def nearest(self, asked: slice) -> tuple[Neighbours, NDArray[np.bool_]]:
        """The nearest of some queries, all of one part, by float32 products, in any order.

        Returns:
          ((similarities, ids), each [q, count]), and which of the queries are sure [q].
        """
        ids, sims, ends = self._collected(asked)
        shape = len(ends) - 1, self.count
        nearest = np.zeros(shape, np.float32), np.zeros(shape, np.int32)
        sure = np.zeros(len(ends) - 1, np.bool_)
        for row in range(len(sure)):
            own = slice(ends[row], ends[row + 1])
            if own.stop - own.start >= self.count:
                found, sure[row] = self._best(asked.start + row, ids[own], sims[own])
                nearest[0][row], nearest[1][row] = found
        return nearest, sure

    def _collected(self, asked: slice) -> tuple[NDArray[np.int32], NDArray[np.float32], NDArray]:
        """(ids, similarities, where each query's begin, and the last one's end [q + 1])."""
        index, first = divmod(asked.start, PART)
        pieces = []
        for _, found in sorted(self.found.items()):
            queries, ids, sims = found[index]
            begin, end = np.searchsorted(queries, (first, first + asked.stop - asked.start))
            pieces.append((queries[begin:end], ids[begin:end], sims[begin:end]))
        queries, ids, sims = (np.concatenate(arrays) for arrays in zip(*pieces, strict=True))
        order = np.argsort(queries, kind="stable")
        counts = np.bincount(queries - first, minlength=len(self.queries[asked]))
        return ids[order], sims[order], np.concatenate([[0], np.cumsum(counts)])

    def _best(
        self, query: int, ids: NDArray[np.int32], sims: NDArray[np.float32]
    ) -> tuple[Neighbours, bool]:
        """The best `count` of what a query has collected, and whether no other could be better."""
        best = np.argpartition(sims, -self.count)[-self.count :]
        # The last of the true nearest is no worse than the worst of any `count` rows.
        if self.products.settled:
            least = sims[best].min()
        else:
            scored = _scored(self.queries[query], self.database, ids[best])
            least = scored.min() - self.error[query]
            sims[best] = np.nan  # no others
            others = np.flatnonzero(sims >= least)
            ids = np.concatenate([ids[best], ids[others]])
            more = _scored(self.queries[query], self.database, ids[self.count :])
            sims = np.concatenate([scored, more])
            best = np.argpartition(sims, -self.count)[-self.count :]
        return (sims[best], ids[best]), bool(least >= self.floors[query, 0])


def _scored(
    query: NDArray[np.float32], database: NDArray[np.float32], ids: NDArray[np.int32]
) -> NDArray[np.float32]:
    """Inner products [c] of a query [D] with rows of the database."""
    sims = np.empty(len(ids), np.float32)
    rows = np.empty((SCORED, len(query)), np.float32)
    for start in range(0, len(ids), SCORED):
        wanted = ids[start : start + SCORED]
        there = rows[: len(wanted)]
        np.take(database, wanted, axis=0, out=there, mode="clip")  # other modes fill a buffer first
        np.matmul(there, query, out=sims[start : start + SCORED])
    return sims
