"""Diffusion (DFS), the inductive form of Yang et al., AAAI 2019: for queries not known beforehand.

Offline each database row is diffused (`jaxret.ranking.diffusion.offline`); online a query sums the
rows of its nearest:  score = sum over its kq nearest j of sim_j ** gamma * row_j.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import ArrayLike, NDArray

from jaxret import defaults, functional
from jaxret.errors import UserError
from jaxret.functional.settings import DiffusionSettings, check_rest, positive_integer
from jaxret.ranking.diffusion import offline, offline_files
from jaxret.ranking.diffusion.joint import diffuse_jointly
from jaxret.ranking.diffusion.offline import Lists, Rows
from jaxret.ranking.inputs import unit_rows
from jaxret.ranking.neighbours.search import search
from jaxret.ranking.on_device import Devices
from jaxret.ranking.ordering import Neighbours, rank
from jaxret.ranking.placement import on_device, returned

__all__ = ["Diffusion", "DiffusionSettings", "combine", "diffuse_jointly"]

SCORES_AT_ONCE = 1 << 26  # 256 MB


@dataclass(frozen=True)
class Diffusion:
    """A database diffused offline.

    Attributes:
      database: float32 [N, D], rows L2-normalised; in memory, mapped from a file or, with the
        offline matrix, on devices.
      rows: the offline matrix.
      settings: what it was made with.
    """

    database: NDArray[np.float32]
    rows: Rows
    settings: DiffusionSettings

    @classmethod
    def fit(
        cls,
        database: ArrayLike,
        truncation: int | None = defaults.DFS_TRUNCATION,
        kd: int = defaults.DFS_KD,
        gamma: float = defaults.DFS_GAMMA,
        alpha: float = defaults.DFS_ALPHA,
        *,
        tolerance: float = defaults.CG_TOLERANCE,
        rounds: int = defaults.CG_ROUNDS,
        block_size: int | None = None,
        folder: str | Path | None = None,
        shard_size: int = offline_files.SHARD_SIZE,
    ) -> Diffusion:
        """Diffuses a database; returns when the work is done.

        Args:
          database: [N, D], L2-normalised here where it is not.
          truncation: nodes a row keeps, itself counted; more than N takes N, None takes all.
          kd: neighbours a node has in the graph, itself counted.
          gamma: affinity = max(similarity, 0) ** gamma.
          alpha: weight of the walk against the restart.
          tolerance: residual, relative to the right-hand side, at which a node is done.
          rounds: of conjugate gradients, at most.
          block_size: nodes solved at once on accelerators, None for what their memory allows; a
            CPU always takes sixteen a core.
          folder: where to keep the result, as `load` reads it, and to go on after an interruption;
            None keeps it in memory.
          shard_size: nodes a file.

        Raises:
          UserError: see `jaxret.ranking.inputs.as_descriptors`; a setting out of range; a folder
            that holds something else.
        """
        if folder is None and on_device(database):
            return cls._fit_on_devices(
                database, truncation, kd, gamma, alpha, tolerance=tolerance, rounds=rounds
            )
        rows = unit_rows(database, "database")
        settings = _settings(rows, truncation, kd, gamma, alpha, tolerance=tolerance, rounds=rounds)
        if folder is not None:
            size = positive_integer(shard_size, "shard_size")
            offline_files.diffuse_in(Path(folder), rows, settings, block_size, size)
            return cls.load(folder)
        lists = Lists.of(search(rows, rows, settings.list_length), settings)
        return cls(rows, offline.diffuse(lists, settings, block_size), settings)

    @classmethod
    def _fit_on_devices(
        cls, database: ArrayLike, truncation: int | None, *numbers: Any, **rule: Any
    ) -> Diffusion:
        devices = Devices.of(database)
        there = devices.unit_rows(database, "database")
        settings = _settings(there, truncation, *numbers, **rule)
        rows, ids, scores = jax.block_until_ready((there, *devices.offline(there, settings)))
        return cls(rows, Rows([ids], [scores]), settings)

    def search(
        self,
        queries: ArrayLike,
        k: int,
        kq: int = defaults.DFS_KQ,
        *,
        rest: str = "global",
    ) -> Neighbours:
        """The `k` best database rows of each query.

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
        k = min(positive_integer(k, "k"), len(self.database))
        kq = min(positive_integer(kq, "kq"), len(self.database))
        check_rest(rest)
        dimension, fill = self.database.shape[1], rest == "global"
        size = max(1, SCORES_AT_ONCE // len(self.database))
        if isinstance(self.database, jax.Array):
            devices = Devices.of(self.database)
            there = devices.unit_rows(queries, "query", dimension)
            starts = range(0, len(there) or 1, size)
            blocks = [self._on_devices(there[i : i + size], k, kq, fill) for i in starts]
            found = jax.tree.map(lambda *parts: jnp.concatenate(parts), *blocks)
            return returned(found, queries)
        unit = unit_rows(queries, "query", dimension)
        scores = np.empty((len(unit), k), np.float32)
        ids = np.empty((len(unit), k), np.int32)
        for start in range(0, len(unit), size):
            part = slice(start, start + size)
            scores[part], ids[part] = self._search(unit[part], k, kq, fill)
        return returned((scores, ids), queries)

    def _on_devices(self, queries: jax.Array, k: int, kq: int, fill: bool) -> functional.Neighbours:
        database, lists, rows = map(jnp.asarray, (self.database, *self.rows.whole()))
        nearest = functional.top_k(queries, database, k=kq)
        scores = functional.combine(lists, rows, nearest, gamma=self.settings.gamma)
        sims = functional.inner_products(queries, database) if fill else None
        scores, ids = functional.order(scores, sims)
        return scores[:, :k], ids[:, :k]

    def _search(self, queries: NDArray[np.float32], k: int, kq: int, fill: bool) -> Neighbours:
        nearest = search(queries, self.database, kq)
        scores = combine(self.rows, nearest, self.settings.gamma)
        if not fill:
            return rank(scores, k)
        # However many of the globally best are among those reached, k others remain.
        reached = int(np.count_nonzero(scores, axis=1).max(initial=0))
        return rank(scores, k, search(queries, self.database, k + reached)[1])

    def save(self, folder: str | Path) -> None:
        """Keeps it in a folder of .npy files, for `load`.

        Raises:
          UserError: the folder holds something else.
        """
        folder, size = Path(folder), len(self.rows.ids[0])
        offline_files.claim(folder, self.database, self.settings, size)
        files = offline_files.Files(folder, len(self.database), size)
        for start, ids, scores in zip(files.starts, self.rows.ids, self.rows.scores, strict=True):
            offline_files.write(files.ids(start), ids)
            offline_files.write(files.scores(start), scores)

    @classmethod
    def load(cls, folder: str | Path) -> Diffusion:
        """Out of a folder that `save` or `fit` has written; files are mapped, not read.

        Raises:
          UserError: the folder is not complete.
        """
        folder = Path(folder)
        try:
            settings = json.loads((folder / "diffusion.json").read_text("utf-8"))["settings"]
            database = np.load(folder / "database.npy", mmap_mode="r")
            return cls(database, offline_files.read(folder), DiffusionSettings(**settings))
        except FileNotFoundError as error:
            raise UserError(
                f"{folder} holds no finished diffusion ({Path(error.filename).name} is missing); "
                "call Diffusion.fit with this folder to make or finish one."
            ) from error


def _settings(
    rows: NDArray[np.float32] | jax.Array, truncation: int | None, *numbers: Any, **rule: Any
) -> DiffusionSettings:
    """With the whole database for no truncation."""
    if not len(rows):
        raise UserError("The database is empty; give at least one descriptor to diffuse.")
    return DiffusionSettings(len(rows) if truncation is None else truncation, *numbers, **rule)


def combine(rows: Rows, nearest: Neighbours, gamma: float) -> NDArray[np.float32]:
    """Scores [Q, N] from the nearest of each query: (similarities, ids), each [Q, kq]."""
    sims, ids = nearest
    scores = np.zeros((len(ids), len(rows)), np.float32)
    # Not clipped: the public code leaves a negative similarity negative here.
    weights = np.sign(sims) * np.abs(sims) ** np.float32(gamma)
    for query in range(len(ids)):
        for weight, node in zip(weights[query], ids[query], strict=True):
            reached, row = rows.row(int(node))
            scores[query, reached] += weight * row
    return scores
