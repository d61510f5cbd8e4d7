"""Diffusion with queries and database in one graph, and the full solve: for evaluation.

What the default search of the public code of Yang et al. runs: x = [queries; database], offline
rows for all of them, L2-normalised; score(q, d) = row_q . row_d.
"""

from __future__ import annotations

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import csr_matrix

from jaxret import defaults, functional
from jaxret.errors import UserError
from jaxret.functional.settings import DiffusionSettings, check_rest, positive_integer
from jaxret.ranking.diffusion import offline
from jaxret.ranking.diffusion.graph import mutual_graph
from jaxret.ranking.diffusion.offline import Lists, Rows
from jaxret.ranking.diffusion.solver import Solver
from jaxret.ranking.inputs import BLOCK, unit_rows
from jaxret.ranking.neighbours.search import others, search
from jaxret.ranking.on_device import Devices
from jaxret.ranking.ordering import Neighbours, rank
from jaxret.ranking.placement import on_device, returned


@dataclass(frozen=True)
class JointDiffusion:
    """Cosines of the diffused rows of queries and database.

    Attributes:
      scores: float32 [Q, N]; 0 where a query and a database row reach no common node.
    """

    scores: NDArray[np.float32]

    @property
    def isolated(self) -> NDArray[np.bool_]:
        """[Q]: queries that reach no database row at all, all of their scores being 0."""
        return np.logical_not(self.scores.any(axis=1))

    @classmethod
    def of(cls, rows: Rows, queries: int) -> JointDiffusion:
        """From the offline rows of [queries; database]."""
        ids, scores = rows.whole()
        asked = _unit_matrix(ids[:queries], scores[:queries], len(ids))
        found = np.empty((queries, len(ids) - queries), np.float32)
        for start in range(queries, len(ids), BLOCK):
            part = _unit_matrix(ids[start : start + BLOCK], scores[start : start + BLOCK], len(ids))
            stop = start + part.shape[0]
            found[:, start - queries : stop - queries] = (asked @ part.T).toarray()
        return cls(found)

    @classmethod
    def fit(
        cls,
        queries: ArrayLike,
        database: ArrayLike,
        settings: DiffusionSettings | None = None,
        block_size: int | None = None,
    ) -> JointDiffusion:
        """From descriptors [Q, D] and [N, D]; see `diffuse_jointly`."""
        return _joint(*_checked(queries, database), settings or DiffusionSettings(), block_size)


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
    """Transductive diffusion: the `k` best database rows of each query, all in one graph.

    A query in no one's list of kd is isolated: its scores are 0 for the whole database
    (`JointDiffusion.isolated` tells which).

    Args:
      queries: [Q, D].
      database: [N, D].
      k: results a query; more than N gives N.
      truncation, kd, gamma, alpha, tolerance, rounds, block_size: see `Diffusion.fit`.
      rest: order of the rows at score 0, "none" by id as published, "global" by similarity.

    Returns:
      (cosines of the diffused rows float32 [Q, k], ids int32 [Q, k]), best first, equal ones by
      the smaller id.

    Raises:
      UserError: see `jaxret.ranking.inputs.as_descriptors`; a setting out of range.
    """
    check_rest(rest)
    k = positive_integer(k, "k")
    settings = DiffusionSettings(truncation, kd, gamma, alpha, tolerance, rounds)
    if on_device(queries, database):
        found = _on_devices(queries, database, k, settings, rest == "global")
        return returned(found, queries, database)
    asked, rows = _checked(queries, database)
    joint = _joint(asked, rows, settings, block_size)
    order = search(asked, rows, len(rows))[1] if rest == "global" else None
    return returned(rank(joint.scores, min(k, len(rows)), order), queries, database)


def _on_devices(
    queries: ArrayLike, database: ArrayLike, k: int, settings: DiffusionSettings, fill: bool
) -> functional.Neighbours:
    devices = Devices.of(queries, database)
    rows = devices.unit_rows(database, "database")
    _refuse_empty(rows)
    asked = devices.unit_rows(queries, "query", rows.shape[1])
    offline = devices.offline(jnp.concatenate([asked, rows]), settings)
    scores = functional.cosines(*offline, queries=len(asked))
    sims = functional.inner_products(asked, rows) if fill else None
    scores, ids = functional.order(scores, sims)
    return scores[:, :k], ids[:, :k]


def diffuse_fully(
    queries: ArrayLike,
    database: ArrayLike,
    k: int,
    kd: int = defaults.DFS_KD,
    kq: int = defaults.DFS_KQ,
    gamma: float = defaults.DFS_GAMMA,
    alpha: float = defaults.DFS_ALPHA,
    *,
    rest: str = "global",
    tolerance: float = defaults.CG_TOLERANCE,
    rounds: int = defaults.CG_ROUNDS,
) -> Neighbours:
    """The untruncated solve of Iscen et al., CVPR 2017, for small databases; nothing is offline.

    f solves (I - alpha S) f = y with y = max(similarity, 0) ** gamma at the query's kq nearest.

    Args:
      queries: [Q, D].
      database: [N, D].
      k: results a query; more than N gives N.
      kq: database neighbours that a query starts from.
      kd, gamma, alpha, tolerance, rounds: see `Diffusion.fit`.
      rest: order of the rows at score 0, "none" by id, "global" by similarity.

    Returns:
      (f float32 [Q, k], ids int32 [Q, k]), best first, equal ones by the smaller id.

    Raises:
      UserError: see `jaxret.ranking.inputs.as_descriptors`; a setting out of range.
    """
    check_rest(rest)
    k, kq = positive_integer(k, "k"), positive_integer(kq, "kq")
    DiffusionSettings(kd, kd, gamma, alpha, tolerance, rounds)  # refuses what is out of range
    queries, database = _checked(queries, database)
    solver = Solver(
        mutual_graph(others(search(database, database, kd)), gamma), alpha, tolerance, rounds
    )
    sims, ids = search(queries, database, len(database) if rest == "global" else kq)
    y = np.zeros((len(database), len(queries)), np.float32)
    np.put_along_axis(y.T, ids[:, :kq], np.maximum(sims[:, :kq], 0) ** np.float32(gamma), axis=1)
    scores = np.ascontiguousarray(solver.solve_everywhere(y).T)
    return rank(scores, min(k, len(database)), ids if rest == "global" else None)


def _joint(
    queries: NDArray[np.float32],
    database: NDArray[np.float32],
    settings: DiffusionSettings,
    block_size: int | None,
) -> JointDiffusion:
    """`JointDiffusion.fit` without its checks."""
    together = np.concatenate([queries, database])
    lists = Lists.of(search(together, together, settings.list_length), settings)
    return JointDiffusion.of(offline.diffuse(lists, settings, block_size), len(queries))


def _unit_matrix(ids: NDArray[np.int32], scores: NDArray[np.float32], columns: int) -> csr_matrix:
    """Some rows of the offline matrix, L2-normalised: [rows, columns]."""
    lengths = np.linalg.norm(scores, axis=1, keepdims=True)
    unit = scores / np.where(lengths > 0, lengths, 1)
    starts = np.arange(len(ids) + 1) * ids.shape[1]
    return csr_matrix((unit.ravel(), ids.ravel(), starts), shape=(len(ids), columns))


def _checked(
    queries: ArrayLike, database: ArrayLike
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    database = unit_rows(database, "database")
    _refuse_empty(database)
    return unit_rows(queries, "query", database.shape[1]), database


def _refuse_empty(database: NDArray[np.float32] | jax.Array) -> None:
    if not len(database):
        raise UserError("The database is empty; give at least one descriptor to diffuse.")
