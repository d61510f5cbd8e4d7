"""Inner products of chosen pairs of a query and a database row, by way of float64.

Most of the time goes into fetching rows from all over the memory. XLA does it without a word to the
interpreter, for whose lock the threads of NumPy would queue after every few rows.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from numpy.typing import NDArray

from jaxret.ranking.neighbours.host.buffers import ALIGNED

AT_ONCE = 32  # rows of one query, so that they stay in the nearest cache
QUERIES, RUNS = 64, 256  # compiled for multiples of the one, and doublings of the other
_ROWS = lax.GatherDimensionNumbers((1,), (), (0,))


class Pairs:
    """Products with rows of a database, where they lie: no copy is made.

    Args:
      rows: float32 [N, D], contiguous, at least D + 15 numbers.
    """

    def __init__(self, rows: NDArray[np.float32]) -> None:
        self._rows = rows
        # XLA reads what begins at a multiple of ALIGNED; NumPy's memory seldom does.
        self._missing = -rows.ctypes.data % ALIGNED // rows.itemsize
        tail = rows.reshape(-1)[self._missing :]
        self._tail = jax.device_put(tail, jax.local_devices(backend="cpu")[0], may_alias=True)

    def products(
        self, queries: NDArray[np.float32], ids: NDArray[np.int32], counts: NDArray[np.int64]
    ) -> NDArray[np.float32]:
        """[q, c]: of queries [q, D] with the first `counts` [q] of `ids` [q, c], the rest -inf."""
        shape = len(ids), -(-ids.shape[1] // AT_ONCE), AT_ONCE
        last = len(self._rows) - 1  # a row that is always within reach
        by_runs = _padded(ids, (shape[0], shape[1] * AT_ONCE), last).reshape(shape)
        wanted = np.arange(0, shape[1] * AT_ONCE, AT_ONCE) < counts[:, None]
        products = np.full(shape, -np.inf, np.float32)
        products[wanted] = self._of_runs(queries, np.nonzero(wanted)[0], by_runs[wanted])
        products = products.reshape(len(ids), -1)[:, : ids.shape[1]]
        products[np.arange(ids.shape[1]) >= counts[:, None]] = -np.inf
        return products

    def _of_runs(
        self, queries: NDArray[np.float32], owners: NDArray[np.int64], ids: NDArray[np.int32]
    ) -> NDArray[np.float32]:
        """[r, AT_ONCE]: of the query that owns a run [r] with the rows `ids` [r, AT_ONCE]."""
        starts = ids.astype(np.int64) * queries.shape[1] - self._missing
        room = max(RUNS, 1 << (len(ids) - 1).bit_length())
        with jax.enable_x64(True):
            products = _products(
                self._tail,
                _padded(queries, (-(-len(queries) // QUERIES) * QUERIES, queries.shape[1])),
                _padded(owners, (room,)),
                _padded(np.maximum(starts, 0), (room, AT_ONCE)),
                len(ids),
            )
        products = np.array(products)[: len(ids)]
        # The first numbers of the database are out of XLA's reach.
        for run, place in np.argwhere(starts < 0):
            row = self._rows[ids[run, place]].astype(np.float64)
            products[run, place] = row @ queries[owners[run]].astype(np.float64)
        return products


def _padded(array: NDArray, shape: tuple[int, ...], value: int = 0) -> NDArray:
    """`array` with `value` behind it."""
    padded = np.full(shape, value, array.dtype)
    padded[tuple(slice(length) for length in array.shape)] = array
    return padded


@jax.jit
def _products(tail, queries, owners, starts, count):
    """[r, AT_ONCE] float32, of the rows that begin at `starts`; runs from `count` on stay at 0."""

    def run(number, products):
        rows = lax.gather(
            tail,
            starts[number][:, None],
            _ROWS,
            (queries.shape[1],),
            mode=lax.GatherScatterMode.PROMISE_IN_BOUNDS,
        )
        query = queries[owners[number]].astype(jnp.float64)
        return products.at[number].set((query @ rows.astype(jnp.float64).T).astype(jnp.float32))

    return lax.fori_loop(0, count, run, jnp.zeros(starts.shape, jnp.float32))
