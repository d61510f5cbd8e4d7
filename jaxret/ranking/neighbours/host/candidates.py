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

from jaxret.ranking.neighbours.host.buffers import Buffers
from jaxret.ranking.neighbours.host.pair_products import Pairs
from jaxret.ranking.neighbours.host.products import PART, Products
from jaxret.ranking.neighbours.index import Index
from jaxret.ranking.ordering import LAST, Neighbours, first_of, keys, nothing, read
from jaxret.runtime.threads import in_threads

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


@dataclass
class CandidateSearch:
    """What one pass over the database has found for a set of queries.

    Attributes:
      queries: [Q, D].
      index: the database.
      products: of these queries with it.
      count: nearest neighbours asked for.
      floors: float32 [Q, 1], least similarity collected; infinite where given up.
      found: by the first row of a database block, for each part: (query, key of a row), arrays.
    """

    queries: NDArray[np.float32]
    index: Index
    products: Products
    count: int
    buffers: Buffers = field(default_factory=Buffers)
    floors: NDArray[np.float32] = field(init=False)
    found: dict[int, list[tuple[NDArray[np.uint16], NDArray[np.int64]]]] = field(
        default_factory=dict
    )

    @property
    def starts(self) -> range:
        """The first query of each part."""
        return range(0, len(self.queries), PART)

    def run(
        self, size: int, floors: NDArray[np.float32] | None = None, crowd: float = math.inf
    ) -> None:
        """The pass, over blocks of `size` rows, a thread a core.

        Args:
          floors: [Q, 1] where they are known; None takes them from a sample.
          crowd: with `floors`: rows above its own that make a query a hopeless one.
        """
        if floors is None:
            crowd = self._set_floors(size)
        else:
            self.floors = floors
        count = len(self.index.rows)
        seen = np.zeros(len(self.queries), np.int64)

        def scan(start: int) -> None:
            rows = self.products.prepared(slice(start, min(start + size, count)))
            self.found[start] = [self._above_floor(first, rows, start) for first in self.starts]
            for first, (queries, _) in zip(self.starts, self.found[start], strict=True):
                part = slice(first, first + PART)
                seen[part] += np.bincount(queries, minlength=len(seen[part]))
            self.floors[seen > crowd] = np.inf

        in_threads(scan, range(0, count, size))

    def _set_floors(self, size: int) -> float:
        """Sets the floors; returns how many rows above its own make a query a hopeless one."""
        rows = len(self.index.rows)
        step = max(1, min(SAMPLE_STEP, rows // SMALLEST_SAMPLE), rows // SAMPLE)
        # The square root of the rank r for which r - DEVIATIONS sqrt(r) = count / step.
        root = DEVIATIONS / 2 + math.sqrt(DEVIATIONS**2 / 4 + self.count / step)
        rank = math.ceil(root**2)
        self.floors = np.full((len(self.queries), 1), -np.inf, np.float32)
        if rank >= len(range(0, rows, step)):
            return np.inf
        for first in self.starts:
            self._set_floors_of(first, step, rank, size)
        return 2 * CROWDED * rank * step

    def _set_floors_of(self, first: int, step: int, rank: int, size: int) -> None:
        floors = self.floors[first : first + PART]
        error = self.products.error[first : first + PART]
        sample = range(0, len(self.index.rows), step)
        sims = np.empty((len(floors), len(sample)), np.float32)

        def multiply(start: int) -> None:
            part = sample[start : start + size]
            rows = self.products.prepared(slice(part.start, part.stop, step))
            sims[:, start : start + size] = self.products.of(first, rows)

        def choose(start: int) -> None:
            part = slice(start, start + SORTED)
            place = len(sample) - rank
            sims[part].partition(place, axis=1)
            own = sims[part, place] - np.float32(SLACK) * error[part]
            crowded = np.count_nonzero(sims[part] >= own[:, None], axis=1) > CROWDED * rank
            floors[part, 0] = np.where(crowded, np.inf, own)

        in_threads(multiply, range(0, len(sample), size))
        in_threads(choose, range(0, len(floors), SORTED))

    def _above_floor(
        self, first: int, rows: NDArray, start: int
    ) -> tuple[NDArray[np.uint16], NDArray[np.int64]]:
        sims = self.products.of(first, rows)
        above = self.buffers.array("above", sims.shape, np.bool_)
        np.greater_equal(sims, self.floors[first : first + PART], out=above)
        places = np.flatnonzero(above)
        queries, ids = np.divmod(places.astype(np.int32), np.int32(len(rows)))
        return queries.astype(np.uint16), keys(sims.ravel()[places], ids + np.int32(start))

    def nearest(self, asked: slice) -> tuple[Neighbours, NDArray[np.bool_]]:
        """The nearest of some queries, all of one part, in the order of rankings.

        Returns:
          ((similarities, ids), each [q, count]), and which of the queries are sure [q]. The
          similarities are exact where the products are rough.
        """
        found, counts = self.collected(asked)
        sure = (counts >= self.count) & (self.floors[asked, 0] < np.inf)
        nearest = nothing(len(sure), self.count)
        if sure.any():
            found = found[sure]
            if self.products.rough:
                found = self._scored(asked.start + np.flatnonzero(sure), found)
            for kept, there in zip(nearest, read(first_of(found, self.count)), strict=True):
                kept[sure] = there
        # The last of the true nearest is no worse than the worst of any `count` rows.
        sure &= nearest[0][:, -1] - self.products.error[asked] >= self.floors[asked, 0]
        return nearest, sure

    def collected(self, asked: slice) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """(keys of the rows found [q, most], filled up with `LAST`, and how many they are [q])."""
        index, first = divmod(asked.start, PART)
        pieces = []
        for _, found in sorted(self.found.items()):
            queries, those = found[index]
            begin, end = np.searchsorted(queries, (first, first + asked.stop - asked.start))
            pieces.append((queries[begin:end], those[begin:end]))
        queries, those = (np.concatenate(arrays) for arrays in zip(*pieces, strict=True))
        counts = np.bincount(queries - first, minlength=len(self.queries[asked]))
        there = np.arange(counts.max()) < counts[:, None]
        collected = np.full(there.shape, LAST)
        collected[there] = those[np.argsort(queries, kind="stable")]
        return collected, counts

    def _scored(self, asked: NDArray[np.int64], found: NDArray[np.int64]) -> NDArray[np.int64]:
        """Keys [q, c] by exact products of what of `found` could be of the nearest.

        Args:
          asked: queries [q].
          found: keys [q, c], c at least `count`.
        """
        sims, ids = read(np.sort(found, axis=1))
        queries, pairs = self.queries[asked], Pairs(self.index.rows)
        counts = np.full(len(asked), self.count)
        scores = pairs.products(queries, ids[:, : self.count], counts)
        least = scores.min(axis=1, keepdims=True) - self.products.error[asked, None]
        counts = np.count_nonzero(sims[:, self.count :] >= least, axis=1)
        ids = ids[:, : self.count + counts.max()]
        others = pairs.products(queries, ids[:, self.count :], counts)
        return keys(np.concatenate([scores, others], axis=1), ids)
