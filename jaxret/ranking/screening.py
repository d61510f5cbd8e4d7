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
from jaxret.ranking.scratch import Scratch
from jaxret.ranking.selection import Neighbours, nothing, ordered
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
SCORED = 512  # rows scored at once, so that they stay in the caches
SORTED = 32  # queries of whose sample the best are sought at once


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
    scratch: Scratch = field(default_factory=Scratch)
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
        above = self.scratch.array("above", sims.shape, np.bool_)
        places = np.flatnonzero(np.greater_equal(sims, self.floors[part], out=above))
        queries, ids = np.divmod(places.astype(np.int32), np.int32(len(rows)))
        return queries.astype(np.uint16), ids + np.int32(start), sims.ravel()[places]

    def nearest(self, asked: slice) -> tuple[Neighbours, NDArray[np.bool_]]:
        """The nearest of some queries, all of one part, in the order of rankings.

        Returns:
          ((similarities, ids), each [q, count]), and which of the queries are sure [q].
        """
        sims, ids, counts = self._collected(asked)
        sure = (counts >= self.count) & (self.floors[asked, 0] < np.inf)
        nearest = nothing(len(sure), self.count)
        if sure.any():
            found = ordered(sims[sure], ids[sure])
            if not self.products.settled:
                found = ordered(*self._scored(asked.start + np.flatnonzero(sure), *found))
            for kept, there in zip(nearest, found, strict=True):
                kept[sure] = there[:, : self.count]
        # The last of the true nearest is no worse than the worst of any `count` rows.
        sure &= nearest[0][:, -1] - self.error[asked] >= self.floors[asked, 0]
        return nearest, sure

    def _collected(
        self, asked: slice
    ) -> tuple[NDArray[np.float32], NDArray[np.int32], NDArray[np.int64]]:
        """(similarities, ids, each [q, most], filled up with what comes last, and how many [q])."""
        index, first = divmod(asked.start, PART)
        pieces = []
        for _, found in sorted(self.found.items()):
            queries, ids, sims = found[index]
            begin, end = np.searchsorted(queries, (first, first + asked.stop - asked.start))
            pieces.append((queries[begin:end], ids[begin:end], sims[begin:end]))
        queries, ids, sims = (np.concatenate(arrays) for arrays in zip(*pieces, strict=True))
        order = np.argsort(queries, kind="stable")
        counts = np.bincount(queries - first, minlength=len(self.queries[asked]))
        there = np.arange(counts.max()) < counts[:, None]
        all_sims, all_ids = nothing(*there.shape)
        all_sims[there], all_ids[there] = sims[order], ids[order]
        all_sims[~there] = -np.inf
        return all_sims, all_ids, counts

    def _scored(
        self, queries: NDArray[np.int64], sims: NDArray[np.float32], ids: NDArray[np.int32]
    ) -> Neighbours:
        """Those of what queries [q] have collected that could be of their nearest, by float32.

        `sims`, `ids`: [q, c], in order; what could not be of the nearest comes out as the last.
        """
        scores = np.full_like(sims, -np.inf)
        for row, query in enumerate(queries):
            best = slice(self.count)
            self._multiply(query, ids[row, best], out=scores[row, best])
            least = scores[row, best].min() - self.error[query]
            others = slice(self.count, max(self.count, np.count_nonzero(sims[row] >= least)))
            self._multiply(query, ids[row, others], out=scores[row, others])
        return scores, ids

    def _multiply(self, query: int, ids: NDArray[np.int32], out: NDArray[np.float32]) -> None:
        """Inner products [c] of a query with rows of the database, by float32."""
        for part, rows in self.scratch.rows(self.database, ids, SCORED):
            np.matmul(rows, self.queries[query], out=out[part])
