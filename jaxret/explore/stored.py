"""The workdir as the page reads it: ranked lists and descriptors, never a pass of the encoder.

Lists that are not there, or not long enough, are made again from stored descriptors and kept, as
`jaxret.main` would have. One thing is done at a time: stages share what they have in memory.
"""

import collections
import threading
from collections.abc import Callable, Hashable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from jaxret.data.dataset import Dataset
from jaxret.errors import UserError
from jaxret.explore.catalogue import Entry
from jaxret.pipeline import Evaluation, describe, evaluate, ranking_settings
from jaxret.runtime.artifacts import Store
from jaxret.settings import ALL
from jaxret.stages.cached_results import CachedResults
from jaxret.stages.context import RunContext
from jaxret.stages.features import Features
from jaxret.stages.whitening import Whitened, whiten

LISTS_KEPT, ROWS_KEPT = 4, 2  # in memory: one ranking each (two sides, whole too); one entry each
MOST_PLACES = 50_000_000  # of whole lists, queries x photographs: 200 MB, and as much of scores

T = TypeVar("T")


class Recent:
    """The last few of what was made, by their keys."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._kept: collections.OrderedDict[Hashable, Any] = collections.OrderedDict()

    def __contains__(self, key: Hashable) -> bool:
        return key in self._kept

    def get(self, key: Hashable, make: Callable[[], T]) -> T:
        if key not in self._kept:
            made = make()
            while len(self._kept) >= self._most:
                self._kept.popitem(last=False)
            self._kept[key] = made
        self._kept.move_to_end(key)
        return self._kept[key]


@dataclass(frozen=True)
class Lists:
    """One ranking of one entry.

    Attributes:
      found: with the results of that ranking alone, numbered without unreadable photographs.
      queries, database: what those numbers are in the whole dataset, [n] and [N].
      remade: whether they were not in the workdir and were made from stored descriptors.
    """

    found: Evaluation
    queries: np.ndarray
    database: np.ndarray
    remade: bool

    @property
    def ids(self) -> np.ndarray:
        [top] = self.found.top.values()
        return top.ids


class Stored:
    """Everything of a workdir that its entries stand on; many threads may ask."""

    def __init__(self, root: Path) -> None:
        self.one_at_a_time = threading.RLock()
        self.context = RunContext(Store(root))
        self._datasets: dict[str, Dataset] = {}
        self._lists, self._rows = Recent(LISTS_KEPT), Recent(ROWS_KEPT)

    def dataset(self, entry: Entry) -> Dataset:
        """Its photographs; loaded once.

        Raises:
          UserError: they are no longer there.
        """
        if entry.dataset not in self._datasets:
            with self.one_at_a_time:
                settings = entry.settings
                loaded = self.context.dataset(settings.dataset, settings)
                self._datasets[entry.dataset] = loaded
        return self._datasets[entry.dataset]

    def features(self, entry: Entry) -> list[Features]:
        with self.one_at_a_time:
            self.dataset(entry)
            return self.context.members(entry.settings)

    def lists(self, entry: Entry, ranking: str, whole: bool = False) -> Lists:
        """What a ranking found, its first results or all of it.

        Raises:
          UserError: there is no such ranking, or neither lists nor descriptors.
        """
        if ranking not in entry.rankings:
            raise UserError(f"{entry.label} was not ranked by {ranking!r}.")
        key = entry.name, ranking, whole
        with self.one_at_a_time:
            return self._lists.get(key, lambda: self._ranked(entry, ranking, whole))

    def _ranked(self, entry: Entry, ranking: str, whole: bool) -> Lists:
        settings = replace(entry.settings, ranking=(ranking,), save_ranks=ALL if whole else None)
        features, dataset = self.features(entry), self.dataset(entry)
        how = ranking_settings(settings, dataset.depth)
        there = CachedResults.of(features, settings, how, self.context).read(ranking) is not None
        if not there:
            self._demand_descriptors(entry)
        found = evaluate(settings, self.context)
        queries, database = (
            np.setdiff1d(np.arange(size), found.unread.get(name, ()))
            for name, size in zip(("queries", "database"), found.sizes, strict=True)
        )
        return Lists(found, queries, database, remade=not there)

    def may_be_whole(self, entry: Entry) -> bool:
        """Whether whole lists of this dataset are few enough numbers to be made and kept."""
        dataset = self.dataset(entry)
        places = len(dataset.queries) * len(dataset.database)
        return dataset.depth is None and places <= MOST_PLACES

    def rows(self, entry: Entry) -> Whitened | None:
        """Descriptors as they were ranked; None where they are no longer in the workdir."""
        with self.one_at_a_time:
            if entry.name not in self._rows and self._absent(entry):
                return None
            return self._rows.get(entry.name, lambda: self._whitened(entry))

    def _whitened(self, entry: Entry) -> Whitened:
        features = self.features(entry)
        described = [describe(one, self.context) for one in features]
        return whiten(described, features, entry.settings, self.context)

    def _absent(self, entry: Entry) -> int:
        return sum(one.missing(self.context.store) for one in self.features(entry))

    def _demand_descriptors(self, entry: Entry) -> None:
        if absent := self._absent(entry):
            raise UserError(
                f"The workdir holds neither ranked lists nor all descriptors of {entry.label} on "
                f"{entry.dataset_label} ({absent} photographs have none, or have changed since): "
                "run the evaluation again; this page never runs an encoder for results."
            )
