"""The whole composition: [DBA] -> [AQE] -> global search G or diffusion DFS -> [SG, KR].

Every step is a jitted function of its own; each intermediate result is made once for all rankings
that need it, and on the devices where the descriptors lie.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import Protocol

import jax
import jax.numpy as jnp

from jaxret import ranking_names
from jaxret.functional import reranking
from jaxret.functional.diffusion import Graph, combine, cosines, diffuse, lists_of, mutual_graph
from jaxret.functional.expansion import augment, expand
from jaxret.functional.lengths import at_length_one
from jaxret.functional.neighbours import (
    Neighbours,
    best,
    best_of,
    in_blocks,
    inner_products,
    others,
    top_k,
)
from jaxret.functional.order import order
from jaxret.functional.settings import (
    DiffusionSettings,
    RankingSettings,
    list_length,
    names_of,
    settings_of,
)
from jaxret.ranking_names import Step

MERGED_AT_ONCE = 1 << 25  # similarities


@partial(jax.jit, static_argnames=("ranking", "settings"))
def rank(
    queries: jax.Array,
    database: jax.Array,
    ranking: str = "G",
    settings: RankingSettings | None = None,
) -> jax.Array:
    """One ranking, by its name (`jaxret.ranking_names`).

    Args:
      queries: [Q, D], rows L2-normalised.
      database: [N, D], rows L2-normalised.
      ranking: such as "G+DBA+AQE+DFS" or "G+AQE(alpha=3,n=50)+SG(m=100)", static.
      settings: static, None for the study's.

    Returns:
      int32 [Q, N]: the ids of the whole database for every query, best first.
    """
    steps = ranking_names.parse(ranking)
    settings = settings_of(steps, settings or RankingSettings())
    names = names_of(steps)
    searches = Searches(queries, Database(database, list_length([names], settings), settings))
    search = searches.of("DBA" in names, "AQE" in names)
    ids = search.diffused[1] if "DFS" in names else search.order[1]
    return search.reranked(steps, ids)


class Machine(Protocol):
    """Who does the two steps that cost most: as the functions of these names."""

    def top_k(self, queries: jax.Array, database: jax.Array, k: int) -> Neighbours: ...

    def diffuse(
        self, graph: Graph, lists: jax.Array, alpha: float, tolerance: float, rounds: int
    ) -> jax.Array: ...


class OneDevice:
    """The functions themselves; `sharded.Spread` is another machine."""

    top_k = staticmethod(top_k)
    diffuse = staticmethod(diffuse)


@dataclass(frozen=True)
class Searches:
    """The four searches that eight rankings are made of: with DBA or not, with AQE or not."""

    queries: jax.Array
    database: Database

    def of(self, dba: bool, aqe: bool) -> Search:
        if dba:
            return self._augmented_expanded if aqe else self._augmented
        return self._expanded if aqe else self._plain

    @cached_property
    def _plain(self) -> Search:
        return Search(self.queries, self.database)

    @cached_property
    def _expanded(self) -> Search:
        return self._plain.expanded(self.database.settings.aqe_n)

    @cached_property
    def _augmented(self) -> Search:
        return Search(self.queries, self.database.augmented)

    @cached_property
    def _augmented_expanded(self) -> Search:
        return self._augmented.expanded(self.database.settings.aqe_n_with_dba)


@dataclass(frozen=True)
class Database:
    """The plain or the augmented database, its neighbour lists and its diffusion.

    Attributes:
      answer: the global search (queries, k) in a database that is kept as codes; `rows` is then
        what the codes say. None where the rows themselves are searched.
    """

    rows: jax.Array
    list_length: int
    settings: RankingSettings
    on: Machine = field(default_factory=OneDevice)
    is_unit: bool = True
    answer: Callable[[jax.Array, int], Neighbours] | None = None

    @cached_property
    def nearest(self) -> Neighbours:
        """`list_length` neighbours of each row, itself counted."""
        return self.on.top_k(self.rows, self.rows, self.list_length)

    @cached_property
    def augmented(self) -> Database:
        s = self.settings
        sims, ids = others(self.nearest)
        near = sims[:, : s.dba_n], ids[:, : s.dba_n]
        rows = augment(self.rows, near, s.dba_weights, s.dba_normalize, s.dba_alpha)
        is_unit = s.dba_normalize or s.dba_n == 0
        return replace(
            self,
            rows=rows,
            list_length=s.diffusion.list_length,
            is_unit=is_unit,
            answer=None,
        )

    @cached_property
    def decoded(self) -> Database:
        """The rows alone."""
        return self if self.answer is None else replace(self, answer=None)

    @cached_property
    def unit(self) -> Database:
        """The database for diffusion, whose graph wants cosines."""
        if self.is_unit:
            return self
        return replace(self, rows=at_length_one(self.rows), is_unit=True)

    @cached_property
    def diffused(self) -> tuple[jax.Array, jax.Array]:
        """(lists, offline rows)."""
        return offline_rows(others(self.nearest), self.settings.diffusion, self.on)


@dataclass(frozen=True)
class Search:
    """One form of the queries in one form of the database."""

    queries: jax.Array
    database: Database

    @cached_property
    def sims(self) -> jax.Array:
        """[Q, N]."""
        return inner_products(self.queries, self.database.rows)

    @cached_property
    def order(self) -> Neighbours:
        """Global search: the database in order for every query, each [Q, N] or [Q, depth]."""
        depth, size = self.database.settings.depth, len(self.database.rows)
        if self.database.answer is not None:
            return self.database.answer(self.queries, size if depth is None else min(depth, size))
        return order(self.sims) if depth is None else best(self.sims, min(depth, size))

    def _nearest(self, n: int) -> Neighbours:
        """The first of the order with their cosines."""
        n = min(n, len(self.database.rows))
        if self.database.answer is None:
            return best(self.sims, n)
        ids = self.order[1][:, :n]
        return jnp.take_along_axis(self.sims, ids, axis=1), ids

    def expanded(self, n: int) -> Search:
        nearest = self._nearest(n)
        s = self.database.settings
        rows = expand(self.queries, self.database.rows, nearest, s.aqe_weights, s.aqe_alpha)
        return Search(rows, self.database)

    def reranked(self, steps: Sequence[Step], ids: jax.Array) -> jax.Array:
        """Its order or its diffusion's, re-ranked by the descriptors as DBA and AQE left them."""
        return reranking.reranked(steps, self.queries, self.database.unit.rows, ids)

    @cached_property
    def diffused(self) -> tuple[jax.Array, jax.Array, jax.Array]:
        """(scores [Q, N] in the order of the ids, ids [Q, N], number of isolated queries)."""
        plain = self.database.unit.decoded
        if plain is not self.database:
            return Search(self.queries, plain).diffused
        s = self.database.settings
        if s.dfs == "joint":
            nearest = others(self._joint_nearest())
            lists, rows = offline_rows(nearest, s.diffusion, self.database.on)
            scores = cosines(lists, rows, len(self.queries))
        else:
            near = best(self.sims, min(s.kq, self.sims.shape[1]))
            scores = combine(*self.database.diffused, near, s.diffusion.gamma)
        ranked, ids = order(scores, self.sims if s.dfs_rest == "global" else None)
        return ranked, ids, (~(scores != 0).any(axis=1)).sum(dtype=jnp.int32)

    def _joint_nearest(self) -> Neighbours:
        among = inner_products(self.queries, self.queries)
        size = len(self.queries) + len(self.database.rows)
        length = min(size, self.database.settings.diffusion.list_length)
        return joint_nearest(among, self.sims, self.database.nearest, length)


def offline_rows(
    nearest: Neighbours, settings: DiffusionSettings, on: Machine
) -> tuple[jax.Array, jax.Array]:
    """(lists, offline rows) over `others` of a set in itself."""
    s = settings
    lists = lists_of(nearest, s.truncation)
    graph = mutual_graph(nearest, s.kd, s.gamma)
    return lists, on.diffuse(graph, lists, s.alpha, s.tolerance, s.rounds)


@partial(jax.jit, static_argnames="length")
def joint_nearest(
    among: jax.Array, cross: jax.Array, nearest: Neighbours, length: int
) -> Neighbours:
    """Neighbours of [queries; database] in itself, from those of the database in itself.

    Args:
      among: similarities of the queries [Q, Q].
      cross: similarities of queries and database [Q, N].
      nearest: of the database in itself, each [N, m], m = min(N, length) or more.
      length: neighbours a node, itself counted, static.

    Returns:
      (similarities, ids), each [Q + N, length].
    """
    count = len(among)
    asked = jnp.arange(count, dtype=jnp.int32)[None]

    def merge(cross: jax.Array, sims: jax.Array, ids: jax.Array) -> Neighbours:
        # Queries have the smaller ids, so the columns are in the order that ties want.
        known = jnp.concatenate([jnp.broadcast_to(asked, cross.shape), ids + count], axis=1)
        return best_of((jnp.concatenate([cross, sims], axis=1), known), length)

    of_queries = best(jnp.concatenate([among, cross], axis=1), length)
    at_once = max(1, MERGED_AT_ONCE // (count + nearest[1].shape[1]))
    of_database = in_blocks(merge, at_once, cross.T, *nearest)
    return jax.tree.map(lambda *parts: jnp.concatenate(parts), of_queries, of_database)
