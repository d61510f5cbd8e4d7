"""The k best of a passing database, on the devices of this process.

Each device takes an equal part of every block and keeps the best of its own: nothing passes between
devices until the end.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P
from numpy.typing import NDArray

from jaxret.functional import neighbours
from jaxret.functional.lengths import at_length_one, lengths
from jaxret.functional.neighbours import Neighbours
from jaxret.ranking import ordering
from jaxret.ranking.inputs import UNIT_TOLERANCE
from jaxret.runtime import parallel

FINE = np.int32(2**31 - 1)  # no row is bad


class DeviceStream:
    """What a stream has brought each query, as (similarities, ids) [devices, Q, k].

    Args:
      queries: float32 [Q, D].
      k: results a query.
      size: rows of a block at most; every block is padded to it.
      unit: whether rows are L2-normalised first.
    """

    def __init__(self, queries: NDArray[np.float32], k: int, size: int, unit: bool) -> None:
        self._mesh = parallel.local_mesh()
        self._share = -(-size // self._mesh.size)
        self._k, self._unit = k, unit
        self._spread = parallel.over_devices(self._mesh)
        self._queries = jax.device_put(queries, NamedSharding(self._mesh, P()))
        shape = self._mesh.size, len(queries), k
        nothing = np.full(shape, -np.inf, np.float32), np.zeros(shape, np.int32)
        self._best = jax.device_put(nothing, self._spread)
        self._bad = jax.device_put(np.full(self._mesh.size, FINE), self._spread)

    def add(self, rows: NDArray[Any], first: int) -> None:
        """Rows [B, D] of the database as stored, from the id `first` on."""
        whole, sent = self._share * self._mesh.size, _sent(rows.dtype)
        if len(rows) < whole or rows.dtype != sent:
            padded = np.zeros((whole, rows.shape[1]), sent)
            padded[: len(rows)] = rows
            rows, count = padded, len(rows)
        else:
            count = whole
        self._best, self._bad = _step(
            self._queries,
            self._best,
            self._bad,
            jax.device_put(rows, self._spread),
            np.int32(first),
            np.int32(count),
            mesh=self._mesh,
            k=self._k,
            unit=self._unit,
        )

    def bad(self) -> int | None:
        """Id of the first row that has no direction, if there was one."""
        first = int(np.asarray(self._bad).min())
        return None if first == FINE else first

    def found(self) -> ordering.Neighbours:
        """(similarities float32, ids int32), each [Q, k]; -inf where fewer rows have passed."""
        sims, ids = (np.concatenate(list(np.asarray(array)), axis=1) for array in self._best)
        found = ordering.first_of(ordering.keys(sims, ids), self._k)
        return ordering.read(found)


def _sent(dtype: np.dtype) -> np.dtype:
    """As what numbers go to the devices: float16 as they are, which halves the way."""
    return dtype if dtype == np.float16 else np.dtype(np.float32)


@partial(jax.jit, static_argnames=("mesh", "k", "unit"), donate_argnums=(1, 2))
def _step(queries, best, bad, rows, first, count, *, mesh: Mesh, k: int, unit: bool):
    axis = mesh.axis_names[0]

    def of_device(queries: jax.Array, best: Neighbours, bad, rows, first, count):
        start = lax.axis_index(axis).astype(jnp.int32) * len(rows)
        rows = rows.astype(jnp.float32)
        peaks = jnp.abs(rows).max(axis=1)
        wrong = ~jnp.isfinite(peaks) | (peaks == 0)
        places = start + jnp.arange(len(rows), dtype=jnp.int32)
        wrong = jnp.where(wrong & (places < count), first + places, FINE).min()
        if unit:  # as `inputs.normalised` does it; what is padding stays out of it
            there = places < count
            far = ((jnp.abs(lengths(rows) - 1) > UNIT_TOLERANCE) & there).any()
            rows = jnp.where(far & there[:, None], at_length_one(rows), rows)
        sims, ids = neighbours.top_k_of_first(queries, rows, min(k, len(rows)), count - start)
        # What is older has the smaller ids, and stands first: equal ones stay in that order.
        both = (
            jnp.concatenate([best[0][0], sims], axis=1),
            jnp.concatenate([best[1][0], ids + first + start], axis=1),
        )
        kept = neighbours.best_of(both, k)
        return jax.tree.map(lambda array: array[None], kept), jnp.minimum(bad, wrong)

    parts = P(axis)
    return jax.shard_map(
        of_device,
        mesh=mesh,
        in_specs=(P(), parts, parts, parts, P(), P()),
        out_specs=(parts, parts),
        check_vma=False,
    )(queries, best, bad, rows, first, count)
