"""The study's eight rankings from one set of intermediate results.

    [DBA] -> [AQE] -> global search G or diffusion DFS

Each neighbour search, average and graph is made once and shared by all rankings that need it.
"""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from jaxret import defaults
from jaxret.defaults import RANKINGS
from jaxret.errors import UserError
from jaxret.ranking import expansion
from jaxret.ranking.diffusion import offline, offline_files
from jaxret.ranking.diffusion.inductive import combine
from jaxret.ranking.diffusion.joint import JointDiffusion
from jaxret.ranking.diffusion.offline import DiffusionSettings, Lists, Rows
from jaxret.ranking.inputs import BLOCK, normalised, positive_integer, unit_rows
from jaxret.ranking.neighbours.search import others, search
from jaxret.ranking.ordering import Neighbours, best, check_rest, rank
from jaxret.runtime.artifacts import digest

DFS_FORMS = ("joint", "inductive")


@dataclass(frozen=True)
class RankingSettings:
    """How descriptors become ranked lists; the defaults are the paper's.

    Attributes:
      aqe_n, aqe_n_with_dba: neighbours of query expansion, alone and over an augmented database.
      aqe_weights, dba_n, dba_weights, dba_normalize: see `jaxret.ranking.expansion`.
      dfs: "joint" (queries and database in one graph) or "inductive" (queries unknown beforehand).
      dfs_rest: order of what diffusion leaves at 0, "global" or "none".
      kq: database neighbours that a query starts from in the inductive form.
      diffusion: truncation, kd, gamma, alpha and the stopping rule.
      block_size: rows a block, None for what the memory allows.
      depth: results of a query that are kept, None for all; diffusion wants all.
    """

    aqe_n: int = defaults.AQE_N
    aqe_n_with_dba: int = defaults.AQE_N_WITH_DBA
    aqe_weights: str = "none"
    dba_n: int = defaults.DBA_N
    dba_weights: str = "gordo"
    dba_normalize: bool = True
    dfs: str = "joint"
    dfs_rest: str = "global"
    kq: int = defaults.DFS_KQ
    diffusion: DiffusionSettings = field(default_factory=DiffusionSettings)
    block_size: int | None = None
    depth: int | None = None

    def __post_init__(self) -> None:
        expansion.check(self.aqe_n, self.aqe_weights, expansion.QUERY_WEIGHTS)
        expansion.check(self.aqe_n_with_dba, self.aqe_weights, expansion.QUERY_WEIGHTS)
        expansion.check(self.dba_n, self.dba_weights, expansion.DATABASE_WEIGHTS)
        check_rest(self.dfs_rest)
        positive_integer(self.kq, "kq")
        if self.dfs not in DFS_FORMS:
            raise UserError(f"Unknown form of DFS {self.dfs!r}. Known: {', '.join(DFS_FORMS)}.")


@dataclass(frozen=True)
class Ranked:
    """One ranking of the whole database for every query.

    Attributes:
      ids: int32 [Q, N], best first; [Q, depth] where the settings have one.
      isolated: queries that diffusion connects with no database row; None without diffusion.
      seconds: what this ranking took beyond the intermediate results that earlier ones had made.
      scores: what the first results are ordered by, float32 [Q, at most `scored`]: similarities,
        or with DFS the scores of diffusion (0 for what it leaves); None where they were not asked
        for, and for rankings beyond the study's.
    """

    ids: NDArray[np.int32]
    isolated: int | None
    seconds: float
    scores: NDArray[np.float32] | None = None


def rank_all(
    queries: ArrayLike,
    database: ArrayLike,
    rankings: Sequence[str] = RANKINGS,
    settings: RankingSettings | None = None,
    folder: Path | None = None,
    scored: int = 0,
) -> dict[str, Ranked]:
    """Every ranking asked for, by name, in the order asked for.

    Args:
      queries: [Q, D].
      database: [N, D].
      rankings: names out of `RANKINGS` and `defaults.OTHER_RANKINGS`.
      settings: None for the paper's.
      folder: where inductive diffusion keeps its offline stage for the next call, and finds it.
      scored: of how many first results the scores are kept.

    Raises:
      UserError: see `jaxret.ranking.inputs.as_descriptors`; an unknown ranking.
    """
    known = (*RANKINGS, *defaults.OTHER_RANKINGS)
    for name in rankings:
        if name not in known:
            raise UserError(f"Unknown ranking {name!r}. Known: {', '.join(known)}.")
    settings = settings or RankingSettings()
    if settings.depth is not None and any("DFS" in name.split("+") for name in rankings):
        raise UserError(
            "Diffusion ranks the whole database: leave out depth, or rankings with DFS."
        )
    database = unit_rows(database, "database")
    queries = unit_rows(queries, "query", database.shape[1])
    if not len(database):
        raise UserError("The database is empty; give at least one descriptor to rank.")
    steps = [frozenset(name.split("+") if name in RANKINGS else ()) for name in rankings]
    whole = _Database(database, _list_length(steps, settings), settings, folder)
    searches = _Searches(queries, whole)
    ranked = {}
    for name, with_steps in zip(rankings, steps, strict=True):
        started = time.perf_counter()
        isolated, scores = None, None
        if name in RANKINGS:
            search_in = searches.of("DBA" in with_steps, "AQE" in with_steps)
            scores, ids = search_in.order
            if "DFS" in with_steps:
                scores, ids, isolated = search_in.diffused
            scores = scores[:, :scored].copy() if scored else None
        else:
            ids = _function(defaults.OTHER_RANKINGS[name])(queries, database, settings)
        ranked[name] = Ranked(ids, isolated, time.perf_counter() - started, scores)
    return ranked


def _function(home: str) -> Callable[..., NDArray[np.int32]]:
    """The function of a row of `defaults.OTHER_RANKINGS`."""
    module, name = home.split(":")
    return getattr(importlib.import_module(module), name)


def _list_length(steps: Sequence[frozenset[str]], settings: RankingSettings) -> int:
    """The longest list, itself counted, that a node of the plain database needs."""
    dba = settings.dba_n + 1 if any("DBA" in with_steps for with_steps in steps) else 1
    dfs = any("DFS" in with_steps and "DBA" not in with_steps for with_steps in steps)
    return max(dba, settings.diffusion.list_length if dfs else 1)


@dataclass(frozen=True)
class _Database:
    """The plain or the augmented database, its neighbour lists and its diffusion."""

    rows: NDArray[np.float32]
    list_length: int
    settings: RankingSettings
    folder: Path | None = None

    @cached_property
    def nearest(self) -> Neighbours:
        return search(self.rows, self.rows, self.list_length, self.settings.block_size)

    @cached_property
    def augmented(self) -> _Database:
        s = self.settings
        sims, ids = others(self.nearest)
        nearest = (sims[:, : s.dba_n], ids[:, : s.dba_n])
        rows = expansion.augment(self.rows, nearest, s.dba_weights, s.dba_normalize)
        return _Database(rows, s.diffusion.list_length, s, self.folder)

    @cached_property
    def unit(self) -> _Database:
        """The database for diffusion, whose graph wants cosines."""
        rows, _ = normalised(self.rows)
        return self if rows is self.rows else replace(self, rows=rows)

    @cached_property
    def diffused(self) -> Rows:
        s = self.settings
        if self.folder is not None:
            name = digest(offline_files.describe(self.rows, s.diffusion))
            return offline_files.diffuse_in(
                self.folder / name, self.rows, s.diffusion, s.block_size
            )
        return offline.diffuse(Lists.of(self.nearest, s.diffusion), s.diffusion, s.block_size)


@dataclass(frozen=True)
class _Search:
    """One form of the queries in one form of the database."""

    queries: NDArray[np.float32]
    database: _Database

    @property
    def settings(self) -> RankingSettings:
        return self.database.settings

    @cached_property
    def order(self) -> Neighbours:
        """Global search: the database in order for every query, each [Q, N] or [Q, depth]."""
        rows, depth = self.database.rows, self.settings.depth
        k = len(rows) if depth is None else min(depth, len(rows))
        return search(self.queries, rows, k, self.settings.block_size)

    def expanded(self, n: int) -> _Search:
        sims, ids = self.order
        nearest = (sims[:, :n], ids[:, :n])
        weights = self.settings.aqe_weights
        queries = expansion.expand(self.queries, self.database.rows, nearest, weights)
        return _Search(queries, self.database)

    @cached_property
    def diffused(self) -> tuple[NDArray[np.float32], NDArray[np.int32], int]:
        """(scores [Q, N] in the order of the ids, ids [Q, N], number of isolated queries)."""
        if self.database.unit is not self.database:
            return _Search(self.queries, self.database.unit).diffused
        s = self.settings
        if s.dfs == "joint":
            rows = offline.diffuse(self._joint_lists(), s.diffusion, s.block_size)
            scores = JointDiffusion.of(rows, len(self.queries)).scores
        else:
            sims, ids = self.order
            nearest = (sims[:, : s.kq], ids[:, : s.kq])
            scores = combine(self.database.diffused, nearest, s.diffusion.gamma)
        order = self.order[1] if s.dfs_rest == "global" else None
        ranked, ids = rank(scores, scores.shape[1], order)
        return ranked, ids, int((~scores.any(axis=1)).sum())

    def _joint_lists(self) -> Lists:
        """Lists over [queries; database], from the database's own lists and the global search."""
        count, size = len(self.queries), len(self.database.rows)
        settings = self.settings.diffusion
        length = min(count + size, settings.list_length)
        return Lists.collect(self._joint_nearest(length), count + size, length, settings)

    def _joint_nearest(self, length: int) -> Iterator[Neighbours]:
        count = len(self.queries)
        among = search(self.queries, self.queries, count, self.settings.block_size)
        cross = _by_id(self.order)
        yield best(np.concatenate([_by_id(among), cross], axis=1), length)
        asked = np.arange(count, dtype=np.int32)
        for start in range(0, cross.shape[1], BLOCK):
            part = slice(start, start + BLOCK)
            sims, ids = (array[part] for array in self.database.nearest)
            sims, columns = best(np.concatenate([cross[:, part].T, sims], axis=1), length)
            known = np.concatenate([np.broadcast_to(asked, (len(ids), count)), ids + count], axis=1)
            yield sims, np.take_along_axis(known, columns, axis=1)


def _by_id(ranked: Neighbours) -> NDArray[np.float32]:
    """Similarities [Q, N] in the order of the ids, from a ranking of all N."""
    sims, ids = ranked
    unsorted = np.empty_like(sims)
    np.put_along_axis(unsorted, ids, sims, axis=1)
    return unsorted


@dataclass(frozen=True)
class _Searches:
    """The four searches that eight rankings are made of: with DBA or not, with AQE or not."""

    queries: NDArray[np.float32]
    database: _Database

    def of(self, dba: bool, aqe: bool) -> _Search:
        if dba:
            return self._augmented_expanded if aqe else self._augmented
        return self._expanded if aqe else self._plain

    @cached_property
    def _plain(self) -> _Search:
        return _Search(self.queries, self.database)

    @cached_property
    def _expanded(self) -> _Search:
        return self._plain.expanded(self.database.settings.aqe_n)

    @cached_property
    def _augmented(self) -> _Search:
        return _Search(self.queries, self.database.augmented)

    @cached_property
    def _augmented_expanded(self) -> _Search:
        return self._augmented.expanded(self.database.settings.aqe_n_with_dba)
