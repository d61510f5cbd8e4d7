"""Rankings from one set of intermediate results.

    [DBA] -> [AQE] -> global search G or diffusion DFS -> [re-ranking SG, KR]

Each neighbour search, average and graph is made once and shared by all rankings that need it with
the same numbers.
"""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import ArrayLike, NDArray

from jaxret import defaults, ranking_names
from jaxret.defaults import RANKINGS
from jaxret.errors import UserError
from jaxret.functional.ranking import Database, Searches
from jaxret.functional.reranking import RERANKINGS, looked_at, reranked
from jaxret.functional.settings import RankingSettings, list_length, names_of, settings_of
from jaxret.ranking import expansion
from jaxret.ranking.compression.index import CompressedIndex
from jaxret.ranking.diffusion import offline, offline_files
from jaxret.ranking.diffusion.inductive import combine
from jaxret.ranking.diffusion.joint import JointDiffusion
from jaxret.ranking.diffusion.offline import Lists, Rows
from jaxret.ranking.inputs import BLOCK, normalised, unit_rows
from jaxret.ranking.neighbours.search import others, search
from jaxret.ranking.on_device import Devices
from jaxret.ranking.ordering import Neighbours, best, rank
from jaxret.ranking.placement import on_device, returned
from jaxret.ranking_names import Step
from jaxret.runtime.artifacts import digest


@dataclass(frozen=True)
class Ranked:
    """One ranking of the whole database for every query.

    Attributes:
      ids: int32 [Q, N], best first; [Q, depth] where the settings have one. A `jax.Array` where
        descriptors were.
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


@dataclass(frozen=True)
class Stored:
    """A database that is kept as codes.

    Attributes:
      index: the codes.
      rescored: how many first results of a search in codes are put in the order of their whole
        descriptors.
    """

    index: CompressedIndex
    rescored: int = 0


def rank_all(
    queries: ArrayLike,
    database: ArrayLike,
    rankings: Sequence[str] = RANKINGS,
    settings: RankingSettings | None = None,
    folder: Path | None = None,
    scored: int = 0,
    stored: Stored | None = None,
) -> dict[str, Ranked]:
    """Every ranking asked for, by name, in the order asked for.

    What is asked for with the same numbers shares its intermediate results.

    Args:
      queries: [Q, D].
      database: [N, D].
      rankings: names as `jaxret.ranking_names` reads them, or of `defaults.OTHER_RANKINGS`.
      settings: None for the paper's.
      folder: where inductive diffusion keeps its offline stage for the next call, and finds it; a
        database so large that it is wanted is ranked from the host.
      scored: of how many first results the scores are kept, on the host.
      stored: the codes that take the place of the database: global searches are of whole queries in
        codes; what is averaged, diffused and re-ranked is what the codes say.

    Returns:
      Rankings; their ids are `jax.Array`s where queries or database were.

    Raises:
      UserError: see `jaxret.ranking.inputs.as_descriptors`; a ranking that cannot be read.
    """
    settings = settings or RankingSettings()
    depth = settings.depth
    recipes = {name: Recipe.of(name, settings) for name in rankings}
    if depth is not None and any("DFS" in one.names for one in recipes.values()):
        raise UserError(
            "Diffusion ranks the whole database: leave out depth, or rankings with DFS."
        )
    if depth is not None:
        recipes = _deep_enough(recipes, depth)
    place = _on_devices if folder is None and on_device(queries, database) else _on_host
    make = place(queries, database, folder, stored)
    searches: dict[RankingSettings, _Searches | Searches] = {}
    for numbers in dict.fromkeys(one.settings for one in recipes.values()):
        steps = [one.names for one in recipes.values() if one.settings == numbers]
        searches[numbers] = make(list_length(steps, numbers), numbers)

    def give(found: Any) -> Any:
        return returned(found, queries, database)

    return {
        name: _ranked(name, recipe, searches[recipe.settings], give, scored, depth)
        for name, recipe in recipes.items()
    }


@dataclass(frozen=True)
class Recipe:
    """What the name of a ranking says.

    Attributes:
      steps: of its name; none of a ranking of `defaults.OTHER_RANKINGS`.
      settings: with what the name changes of them.
    """

    steps: tuple[Step, ...]
    settings: RankingSettings

    @classmethod
    def of(cls, name: str, settings: RankingSettings) -> Recipe:
        steps = () if name in defaults.OTHER_RANKINGS else ranking_names.parse(name)
        return cls(steps, settings_of(steps, settings))

    @property
    def names(self) -> frozenset[str]:
        return names_of(self.steps)

    @property
    def expanded_by(self) -> int:
        """First results of a search that are averaged into the query; 0 without AQE."""
        if "AQE" not in self.names:
            return 0
        return self.settings.aqe_n_with_dba if "DBA" in self.names else self.settings.aqe_n

    @property
    def looked_at(self) -> int:
        """First results of a search that its steps take further."""
        return max(self.expanded_by, looked_at(self.steps))


def _deep_enough(recipes: dict[str, Recipe], depth: int) -> dict[str, Recipe]:
    """Where `depth` results are kept, all that expansion and re-ranking look at are found."""
    deepest = max([depth, *(one.looked_at for one in recipes.values())])
    return {
        name: replace(one, settings=replace(one.settings, depth=deepest))
        for name, one in recipes.items()
    }


def _on_host(
    queries: ArrayLike, database: ArrayLike, folder: Path | None, stored: Stored | None
) -> _Make:
    rows = unit_rows(database, "database")
    asked = unit_rows(queries, "query", rows.shape[1])
    _refuse_empty(rows)
    answer: _Answer | None = None
    if stored is not None:
        answer = partial(stored.index.order, exact=rows, first=stored.rescored)
        rows = stored.index.decoded()
    return lambda length, s: _Searches(asked, _Database(rows, length, s, folder, answer))


def _on_devices(
    queries: ArrayLike, database: ArrayLike, _: Path | None, stored: Stored | None
) -> _Make:
    devices = Devices.of(queries, database)
    rows = devices.unit_rows(database, "database")
    asked = devices.unit_rows(queries, "query", rows.shape[1])
    _refuse_empty(rows)
    machine = devices.for_diffusion(len(asked) + len(rows))
    answer: Any = None
    if stored is not None:
        answer = devices.answer(stored.index, rows, stored.rescored)
        rows = devices.rows(stored.index.decoded(), "database")
    return lambda length, s: Searches(asked, Database(rows, length, s, machine, answer=answer))


def _refuse_empty(database: NDArray[np.float32] | jax.Array) -> None:
    if not len(database):
        raise UserError("The database is empty; give at least one descriptor to rank.")


def _ranked(
    name: str,
    recipe: Recipe,
    searches: _Searches | Searches,
    give: Callable[[Any], Any],
    scored: int,
    depth: int | None,
) -> Ranked:
    """One of the rankings, to that depth; `give` makes of arrays what the caller wants."""
    started = time.perf_counter()
    isolated: int | None = None
    scores: Any = None
    if recipe.steps:
        names = recipe.names
        search_in: Any = searches.of("DBA" in names, "AQE" in names)
        if "DFS" in names:
            scores, ids, connected_with_none = search_in.diffused
            isolated = int(jax.device_get(connected_with_none))
        else:
            scores, ids = search_in.order
        if names & RERANKINGS.keys():
            scores, ids = None, search_in.reranked(recipe.steps, ids)
    else:
        rows = give(searches.queries), give(searches.database.rows)
        ids = _function(defaults.OTHER_RANKINGS[name])(*rows, recipe.settings)
    ids = jax.block_until_ready(give(ids[:, :depth]))
    seconds = time.perf_counter() - started
    if not scored or scores is None:
        return Ranked(ids, isolated, seconds)
    # A copy: a view would keep the whole order alive.
    return Ranked(ids, isolated, seconds, np.array(scores[:, :depth][:, :scored], np.float32))


def _function(home: str) -> Callable[..., NDArray[np.int32]]:
    """The function of a row of `defaults.OTHER_RANKINGS`."""
    module, name = home.split(":")
    return getattr(importlib.import_module(module), name)


@dataclass(frozen=True)
class _Database:
    """The plain or the augmented database, its neighbour lists and its diffusion."""

    rows: NDArray[np.float32]
    list_length: int
    settings: RankingSettings
    folder: Path | None = None
    answer: _Answer | None = None  # as that of `functional.ranking.Database`

    @cached_property
    def nearest(self) -> Neighbours:
        return search(self.rows, self.rows, self.list_length, self.settings.block_size)

    @cached_property
    def augmented(self) -> _Database:
        s = self.settings
        sims, ids = others(self.nearest)
        nearest = (sims[:, : s.dba_n], ids[:, : s.dba_n])
        rows = expansion.augment(self.rows, nearest, s.dba_weights, s.dba_normalize, s.dba_alpha)
        return _Database(rows, s.diffusion.list_length, s, self.folder)

    @cached_property
    def unit(self) -> _Database:
        """The database for diffusion, whose graph wants cosines."""
        rows, _ = normalised(self.rows)
        return self if rows is self.rows else replace(self, rows=rows)

    @cached_property
    def decoded(self) -> _Database:
        """The rows alone."""
        return self if self.answer is None else replace(self, answer=None)

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
        if self.database.answer is not None:
            return self.database.answer(self.queries, k)
        return search(self.queries, rows, k, self.settings.block_size)

    def expanded(self, n: int) -> _Search:
        s, rows = self.settings, self.database.rows
        sims, ids = self.order
        nearest = (sims[:, :n], ids[:, :n])
        if self.database.answer is not None:  # what it orders by are no cosines
            cosines = np.einsum("qd,qnd->qn", self.queries, rows[nearest[1]], dtype=np.float64)
            nearest = cosines.astype(np.float32), nearest[1]
        queries = expansion.expand(self.queries, rows, nearest, s.aqe_weights, s.aqe_alpha)
        return _Search(queries, self.database)

    def reranked(self, steps: Sequence[Step], ids: NDArray[np.int32]) -> NDArray[np.int32]:
        """Its order or its diffusion's, re-ranked by the descriptors as DBA and AQE left them."""
        rows = jnp.asarray(self.queries), jnp.asarray(self.database.unit.rows)
        return np.asarray(reranked(steps, *rows, jnp.asarray(ids)))

    @cached_property
    def diffused(self) -> tuple[NDArray[np.float32], NDArray[np.int32], int]:
        """(scores [Q, N] in the order of the ids, ids [Q, N], number of isolated queries)."""
        plain = self.database.unit.decoded
        if plain is not self.database:
            return _Search(self.queries, plain).diffused
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


_Answer = Callable[[NDArray[np.float32], int], Neighbours]
_Make = Callable[[int, RankingSettings], _Searches | Searches]
