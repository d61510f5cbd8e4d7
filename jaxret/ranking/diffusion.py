"""Diffusion (DFS) after Yang et al., AAAI 2019: offline rows for a database, then searches.

Offline, node i of the database: the i-th column of (I - alpha S)^-1, truncated to the node's
`truncation` nearest after S was normalised on the whole graph ("late truncation").
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from jaxret import defaults
from jaxret.errors import UserError
from jaxret.ranking import cg
from jaxret.ranking.graph import mutual_graph
from jaxret.ranking.grouping import close_order
from jaxret.ranking.inputs import positive_integer, unit_rows
from jaxret.ranking.knn import others, search
from jaxret.ranking.selection import Neighbours, best


@dataclass(frozen=True)
class DiffusionSettings:
    """What one diffusion is made with; the defaults are the paper's."""

    truncation: int = defaults.DFS_TRUNCATION
    kd: int = defaults.DFS_KD
    gamma: float = defaults.DFS_GAMMA
    alpha: float = defaults.DFS_ALPHA
    tolerance: float = defaults.CG_TOLERANCE
    rounds: int = defaults.CG_ROUNDS

    def __post_init__(self) -> None:
        positive_integer(self.truncation, "truncation")
        positive_integer(self.rounds, "rounds")
        if positive_integer(self.kd, "kd") < 2:
            raise UserError("kd is 1; a node counts as its own neighbour, so give 2 or more.")
        if not 0 <= self.alpha < 1:
            raise UserError(f"alpha is {self.alpha}; give a number in [0, 1).")
        if not self.gamma > 0:
            raise UserError(f"gamma is {self.gamma}; give a number above 0.")

    @property
    def list_length(self) -> int:
        """Neighbours a node, itself counted, that the offline stage needs to know."""
        return max(self.truncation, self.kd)


@dataclass(frozen=True)
class Rows:
    """The sparse offline matrix: node i holds scores[i] at the nodes ids[i], itself first."""

    ids: NDArray[np.int32]
    scores: NDArray[np.float32]
    isolated: NDArray[np.bool_]


def offline(nearest: Neighbours, settings: DiffusionSettings, block_size: int | None) -> Rows:
    """Diffuses every node over lists of its nearest others: (similarities, ids), each [N, m].

    m is at least max(truncation, kd) - 1, or N - 1.
    """
    sims, ids = nearest
    width = settings.kd - 1
    graph = mutual_graph((sims[:, :width], ids[:, :width]), settings.gamma)
    nodes = np.arange(len(ids), dtype=np.int32)[:, None]
    lists = np.concatenate([nodes, ids[:, : settings.truncation - 1]], axis=1)
    solver = cg.Solver(graph, settings.alpha, settings.tolerance, settings.rounds, block_size)
    order = close_order(lists[:, 1:], graph.degrees)
    scores = np.empty(lists.shape, np.float32)
    scores[order] = solver.solve(lists[order])
    return Rows(lists, scores, graph.isolated)


@dataclass(frozen=True)
class Diffusion:
    """A database diffused offline, to search with queries not known beforehand."""

    database: NDArray[np.float32]
    rows: Rows
    settings: DiffusionSettings

    @classmethod
    def fit(
        cls,
        database: ArrayLike,
        truncation: int = defaults.DFS_TRUNCATION,
        kd: int = defaults.DFS_KD,
        gamma: float = defaults.DFS_GAMMA,
        alpha: float = defaults.DFS_ALPHA,
        *,
        tolerance: float = defaults.CG_TOLERANCE,
        rounds: int = defaults.CG_ROUNDS,
        block_size: int | None = None,
    ) -> Diffusion:
        """Diffuses a database; returns when the work is done.

        Args:
          database: [N, D], L2-normalised here where it is not.
          truncation: nodes a row keeps, itself counted; more than N takes N.
          kd: neighbours a node has in the graph, itself counted.
          gamma: affinity = max(similarity, 0) ** gamma.
          alpha: weight of the walk against the restart.
          tolerance: residual, relative to the right-hand side, at which a node is done.
          rounds: of conjugate gradients, at most.
          block_size: nodes solved at once, None for what the memory allows.

        Raises:
          UserError: see `jaxret.ranking.inputs.as_descriptors`; a setting out of range.
        """
        settings = DiffusionSettings(truncation, kd, gamma, alpha, tolerance, rounds)
        database = unit_rows(database, "database")
        if not len(database):
            raise UserError("The database is empty; give at least one descriptor to diffuse.")
        nearest = search(database, database, settings.list_length)
        return cls(database, offline(others(nearest), settings, block_size), settings)

    def search(
        self,
        queries: ArrayLike,
        k: int,
        kq: int = defaults.DFS_KQ,
        *,
        rest: str = "global",
    ) -> Neighbours:
        """The `k` best database rows of each query: sum over its kq nearest of sim^gamma times row.

        Args:
          queries: [Q, D].
          k: results a query; more than N gives N.
          kq: database neighbours that a query starts from.
          rest: order of the rows that diffusion leaves at 0, "global" by similarity to the query,
            "none" by id.

        Returns:
          (scores float32 [Q, k], ids int32 [Q, k]), best first, equal ones by the smaller id.

        Raises:
          UserError: see `jaxret.ranking.inputs.as_descriptors`; k or kq below 1; unknown `rest`.
        """
        queries = unit_rows(queries, "query", self.database.shape[1])
        k = min(positive_integer(k, "k"), len(self.database))
        kq = min(positive_integer(kq, "kq"), len(self.database))
        check_rest(rest)
        depth = len(self.database) if rest == "global" else kq
        found = search(queries, self.database, depth)
        scores = combine(self.rows, (found[0][:, :kq], found[1][:, :kq]), self.settings.gamma)
        return rank(scores, k, found[1] if rest == "global" else None)


def check_rest(rest: str) -> None:
    if rest not in ("global", "none"):
        raise UserError(f"Unknown rest {rest!r}. Known: global, none.")


def combine(rows: Rows, nearest: Neighbours, gamma: float) -> NDArray[np.float32]:
    """Online part of the inductive form: scores [Q, N] from each query's nearest, each [Q, kq]."""
    sims, ids = nearest
    scores = np.zeros((len(ids), len(rows.ids)), np.float32)
    # Not clipped: the public code leaves a negative similarity negative here.
    weights = np.sign(sims) * np.abs(sims) ** np.float32(gamma)
    for query in range(len(ids)):
        for weight, node in zip(weights[query], ids[query], strict=True):
            scores[query, rows.ids[node]] += weight * rows.scores[node]
    return scores


def rank(
    scores: NDArray[np.float32], k: int, global_order: NDArray[np.int32] | None = None
) -> Neighbours:
    """The `k` best of each row of scores [Q, N]; those at 0 in the global order where it is given.

    Other equal scores go to the smaller id.
    """
    if global_order is None:
        return best(scores, k)
    sims, ids = best(scores, scores.shape[1])
    for row, order in enumerate(global_order):
        ids[row][sims[row] == 0] = order[scores[row][order] == 0]
    return sims[:, :k], ids[:, :k]


@dataclass(frozen=True)
class JointDiffusion:
    """Queries and database in one graph: cosines of the diffused rows.

    Attributes:
      scores: float32 [Q, N]; 0 where a query and a database row reach no common node.
      isolated: bool [Q]; queries that reach no database row at all.
    """

    scores: NDArray[np.float32]

    @property
    def isolated(self) -> NDArray[np.bool_]:
        return np.logical_not(self.scores.any(axis=1))

    @classmethod
    def of(cls, rows: Rows, queries: int) -> JointDiffusion:
        """From the offline rows of [queries; database]."""
        lengths = np.linalg.norm(rows.scores, axis=1, keepdims=True)
        unit = rows.scores / np.where(lengths > 0, lengths, 1)
        dense = np.zeros((len(rows.ids), queries), np.float32)
        np.put_along_axis(dense.T, rows.ids[:queries], unit[:queries], axis=1)
        scores = np.empty((len(rows.ids) - queries, queries), np.float32)
        for row in range(len(scores)):
            scores[row] = unit[queries + row] @ dense[rows.ids[queries + row]]
        return cls(np.ascontiguousarray(scores.T))


def diffuse_jointly(
    queries: ArrayLike,
    database: ArrayLike,
    k: int,
    truncation: int = defaults.DFS_TRUNCATION,
    kd: int = defaults.DFS_KD,
    gamma: float = defaults.DFS_GAMMA,
    alpha: float = defaults.DFS_ALPHA,
    *,
    rest: str = "none",
    tolerance: float = defaults.CG_TOLERANCE,
    rounds: int = defaults.CG_ROUNDS,
    block_size: int | None = None,
) -> Neighbours:
    """Transductive diffusion: the `k` best database rows of each query, both in one graph.

    What the default search of the public code runs. A query in no one's list of kd is isolated:
    its scores are 0 for the whole database (`joint_diffusion` tells which).

    Args:
      queries: [Q, D].
      database: [N, D].
      k: results a query; more than N gives N.
      truncation: see `Diffusion.fit`, as are the other settings.
      rest: order of the rows at score 0, "none" by id as published, "global" by similarity.

    Returns:
      (cosines of the diffused rows float32 [Q, k], ids int32 [Q, k]), best first, equal ones by
      the smaller id.
    """
    check_rest(rest)
    k = positive_integer(k, "k")
    settings = DiffusionSettings(truncation, kd, gamma, alpha, tolerance, rounds)
    database = unit_rows(database, "database")
    queries = unit_rows(queries, "query", database.shape[1])
    if not len(database):
        raise UserError("The database is empty; give at least one descriptor to diffuse.")
    together = np.concatenate([queries, database])
    nearest = others(search(together, together, settings.list_length))
    joint = JointDiffusion.of(offline(nearest, settings, block_size), len(queries))
    order = search(queries, database, len(database))[1] if rest == "global" else None
    return rank(joint.scores, min(k, len(database)), order)
