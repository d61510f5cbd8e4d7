"""Candidates for the nearest neighbours on accelerators: the database spread over a mesh.

Each device takes the best of its own rows, then all merge. The products are float32, or bfloat16
with the candidates scored again in float32; the selection is exact, or `jax.lax.approx_max_k`.
What rounding leaves open is rescored on the host, by `jaxret.ranking.neighbours.host.rescoring`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P
from numpy.typing import NDArray

from jaxret.errors import UserError
from jaxret.ranking.ordering import Neighbours, ordered
from jaxret.runtime.threads import free_bytes

PRECISIONS = ("float32", "bfloat16")
# Candidates by bfloat16 products for each one wanted: rounding moves a row past a few others.
BFLOAT16_CANDIDATES = 2


@dataclass(frozen=True)
class DeviceSearch:
    """How to look for candidates.

    Attributes:
      mesh: one axis of devices.
      precision: of the products, one of `PRECISIONS`.
      recall: share of the true neighbours that the selection aims to find, None for all.
      block_size: database rows a device holds at once, None for what its memory allows.
    """

    mesh: Mesh
    precision: str = "float32"
    recall: float | None = None
    block_size: int | None = None

    def __post_init__(self) -> None:
        if self.precision not in PRECISIONS:
            known = ", ".join(PRECISIONS)
            raise UserError(f"Unknown precision {self.precision!r}. Known: {known}.")
        if self.recall is not None and not 0 < self.recall <= 1:
            raise UserError(f"recall is {self.recall}; give a share above 0, at most 1.")

    def candidates(
        self, queries: NDArray[np.float32], database: NDArray[np.float32], count: int
    ) -> Neighbours:
        """The `count` best of the database [N, D] for each query, in order, each [Q, count]."""
        share, rows = self._blocks(database)
        chunk = share * self.mesh.size
        sims = np.full((len(queries), count), -np.inf, np.float32)
        ids = np.zeros((len(queries), count), np.int32)
        for first in range(0, len(database), chunk):
            part = database[first : first + chunk]
            over = NamedSharding(self.mesh, P(self.mesh.axis_names[0]))
            there = jax.device_put(_padded(part, chunk), over)
            for start in range(0, len(queries), rows):
                asked = queries[start : start + rows]
                found = _best_of_chunk(
                    _padded(asked, rows),
                    there,
                    np.int32(len(part)),
                    mesh=self.mesh,
                    take=min(count, share),
                    bfloat16=self.precision == "bfloat16",
                    recall=self.recall,
                )
                new_sims, new_ids = (np.asarray(array)[: len(asked)] for array in found)
                stop = start + len(asked)
                merged = ordered(
                    np.concatenate([sims[start:stop], new_sims], axis=1),
                    np.concatenate([ids[start:stop], new_ids + np.int32(first)], axis=1),
                )
                sims[start:stop], ids[start:stop] = (array[:, :count] for array in merged)
        return sims, ids

    def _blocks(self, database: NDArray[np.float32]) -> tuple[int, int]:
        """(database rows a device, queries a block)."""
        free = free_bytes(self.mesh.devices.flat[0])
        fits = self.block_size or max(1, free // 4 // (4 * database.shape[1]))
        share = min(-(-len(database) // self.mesh.size), fits)
        return share, int(np.clip(free // 16 // (4 * share), 1, 256))


@partial(jax.jit, static_argnames=("mesh", "take", "bfloat16", "recall"))
def _best_of_chunk(queries, database, valid, *, mesh: Mesh, take: int, bfloat16: bool, recall):
    """(sims, rows), each [B, devices * take], of the chunk's first `valid` rows; others -inf."""
    axis = mesh.axis_names[0]

    def best_of_share(queries, rows, valid):
        first = lax.axis_index(axis) * len(rows)
        sims = _product(queries, rows, bfloat16)
        sims = jnp.where(first + jnp.arange(len(rows)) < valid, sims, -jnp.inf)
        wanted = min(BFLOAT16_CANDIDATES * take, len(rows)) if bfloat16 else take
        if recall is None:
            sims, ids = lax.top_k(sims, wanted)
        else:
            sims, ids = lax.approx_max_k(sims, wanted, recall_target=recall)
        if bfloat16:
            sims, ids = _scored_again(queries, rows, sims, ids, take)
        return sims, (ids + first).astype(jnp.int32)

    return jax.shard_map(
        best_of_share,
        mesh=mesh,
        in_specs=(P(), P(axis), P()),
        out_specs=P(None, axis),
        check_vma=False,
    )(queries, database, valid)


def _product(queries, rows, bfloat16: bool):
    if bfloat16:
        queries, rows = queries.astype(jnp.bfloat16), rows.astype(jnp.bfloat16)
    return jnp.matmul(
        queries, rows.T, precision=lax.Precision.HIGHEST, preferred_element_type=jnp.float32
    )


def _scored_again(queries, rows, sims, ids, take: int):
    """The `take` best of the candidates [B, c] by float32 products, query by query."""

    def one(arguments):
        query, sims, ids = arguments
        exact = jnp.matmul(rows[ids], query, precision=lax.Precision.HIGHEST)
        exact, order = lax.top_k(jnp.where(jnp.isfinite(sims), exact, -jnp.inf), take)
        return exact, ids[order]

    return lax.map(one, (queries, sims, ids))


def _padded(rows: NDArray[np.float32], count: int) -> NDArray[np.float32]:
    if len(rows) == count:
        return rows
    padded = np.zeros((count, rows.shape[1]), np.float32)
    padded[: len(rows)] = rows
    return padded
