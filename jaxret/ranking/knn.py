"""Exact nearest neighbours by inner product, in blocks, ties to the smaller id."""

from __future__ import annotations

import math
from collections.abc import Callable

import jax
import numpy as np
from jax.sharding import Mesh
from numpy.typing import ArrayLike, NDArray

from jaxret.errors import UserError
from jaxret.ranking.inputs import as_descriptors, positive_integer
from jaxret.ranking.knn_devices import DeviceSearch
from jaxret.ranking.selection import Neighbours, Pool, best, ordered
from jaxret.ranking.workers import cores, in_threads

QUERY_BLOCK = 512
DATABASE_BLOCK = 8192
# Candidates beyond k: among them lies everything that rounding can confuse with the k-th, or the
# query is done again in float64.
MARGIN = 16


def knn(
    queries: ArrayLike,
    database: ArrayLike,
    k: int,
    *,
    block_size: int | None = None,
    mesh: Mesh | None = None,
    precision: str = "float32",
    recall: float | None = None,
) -> Neighbours:
    """The `k` database rows of largest inner product with each query, best first.

    Exact: the order is by (inner product rounded to float32, descending; id, ascending), so that
    it does not depend on blocks, threads or devices.

    Args:
      queries: [Q, D]; Q may be 0.
      database: [N, D].
      k: neighbours a query; more than N gives N.
      block_size: database rows a block, None for what suits the caches or the device's memory.
      mesh: one axis of devices over which the database is spread; None for the accelerators of
        this process, or its cores where it has none.
      precision: of the products on a mesh. "bfloat16" is faster, scores the 2 k candidates again
        in float32, and can miss a neighbour.
      recall: share of the true neighbours to aim for with `jax.lax.approx_max_k` on a mesh, None
        for all. `recall_of` measures it.

    Returns:
      (similarities float32 [Q, k], ids int32 [Q, k]).

    Raises:
      UserError: see `as_descriptors`; an empty database; k below 1; precision or recall without
        a mesh.
    """
    database = as_descriptors(database, "database")
    queries = as_descriptors(queries, "query", database.shape[1])
    if not len(database):
        raise UserError("The database is empty; give at least one descriptor to search in.")
    k = positive_integer(k, "k")
    mesh = mesh or _accelerators()
    if mesh is None:
        if precision != "float32" or recall is not None:
            raise UserError("A CPU searches exactly in float32; give a mesh of devices otherwise.")
        return search(queries, database, k, block_size)
    return search(queries, database, k, None, DeviceSearch(mesh, precision, recall, block_size))


def search(
    queries: NDArray[np.float32],
    database: NDArray[np.float32],
    k: int,
    block_size: int | None = None,
    devices: DeviceSearch | None = None,
) -> Neighbours:
    """`knn` without its checks, for arrays that have passed them."""
    k = min(k, len(database))
    size = block_size or DATABASE_BLOCK
    # Float32 products cost half, but most pairs of a long list are too close for their order.
    narrow = 32 * k <= len(database)
    if devices is None and narrow and (mesh := _accelerators()):
        devices = DeviceSearch(mesh, block_size=block_size)
    find: Callable[[slice], Neighbours]
    if devices is not None:
        find = _found_on_devices(queries, database, k, devices)
    elif narrow:
        lengths = _lengths(queries, database)
        find = lambda part: _narrow(queries[part], database, k, lengths[part], size)  # noqa: E731
    else:
        find = lambda part: _wide(queries[part], database, k, size)  # noqa: E731
    share = -(-len(queries) // cores())
    rows = max(1, min(QUERY_BLOCK, share, (1 << 26) // len(database)))
    sims = np.empty((len(queries), k), np.float32)
    ids = np.empty((len(queries), k), np.int32)

    def one(start: int) -> None:
        part = slice(start, start + rows)
        sims[part], ids[part] = find(part)

    in_threads(one, range(0, len(queries), rows))
    return sims, ids


def _found_on_devices(
    queries: NDArray[np.float32],
    database: NDArray[np.float32],
    k: int,
    devices: DeviceSearch,
) -> Callable[[slice], Neighbours]:
    sims, ids = devices.candidates(queries, database, min(k + MARGIN, len(database)))
    lengths = _lengths(queries, database)

    def find(part: slice) -> Neighbours:
        candidates = sims[part], ids[part]
        return settle(queries[part], database, candidates, k, lengths[part])

    return find


def recall_of(ids: NDArray[np.int32], exact: NDArray[np.int32]) -> float:
    """Share of the exact neighbours [Q, k] that `ids` [Q, k] hold."""
    found = sum(len(np.intersect1d(*pair)) for pair in zip(ids, exact, strict=True))
    return found / max(1, exact.size)


def _wide(
    queries: NDArray[np.float32], database: NDArray[np.float32], k: int, size: int
) -> Neighbours:
    """By products in float64: right far below a float32 step, whatever the order of the sum."""
    sims = np.empty((len(queries), len(database)), np.float32)
    wide = queries.astype(np.float64)
    size = min(size, DATABASE_BLOCK // 4)  # float64, and converted: a quarter is as much memory
    for start in range(0, len(database), size):
        part = slice(start, start + size)
        sims[:, part] = wide @ database[part].astype(np.float64).T
    return best(sims, k)


def _narrow(
    queries: NDArray[np.float32],
    database: NDArray[np.float32],
    k: int,
    lengths: NDArray[np.float32],
    size: int,
) -> Neighbours:
    """By products in float32, and float64 where their rounding could change the order."""
    pool = Pool(len(queries), min(k + MARGIN, len(database)))
    for start in range(0, len(database), size):
        pool.add(queries @ database[start : start + size].T, start)
    return settle(queries, database, ordered(pool.sims, pool.ids), k, lengths, size)


def settle(
    queries: NDArray[np.float32],
    database: NDArray[np.float32],
    candidates: Neighbours,
    k: int,
    lengths: NDArray[np.float32],
    size: int = DATABASE_BLOCK,
) -> Neighbours:
    """The exact `k` best out of the c best by less exact products, whatever machine made them.

    Args:
      queries: [Q, D].
      database: [N, D].
      candidates: (similarities, ids), each [Q, c], c >= k, in order; nothing left out is better
        than the last of them by the same products.
      k: neighbours to return.
      lengths: [Q], |q| times the largest |d|.
      size: database rows a block, where a query has to be done again.
    """
    sims, ids = candidates[0].copy(), candidates[1]
    rounding = _rounding(sims, lengths, database.shape[1])
    close = sims[:, :-1] - sims[:, 1:] <= 2 * rounding[:, :-1]
    unsure = np.zeros(sims.shape, np.bool_)
    unsure[:, :-1] |= close
    unsure[:, 1:] |= close
    rows, columns = np.nonzero(unsure)
    sims[rows, columns] = _exact(queries, database, rows, ids[rows, columns])
    sims, ids = ordered(sims, ids)
    top_sims, top_ids = sims[:, :k], ids[:, :k]
    if ids.shape[1] < len(database):
        edge = candidates[0][:, k - 1] - candidates[0][:, -1] <= 2 * rounding[:, k - 1]
        if edge.any():
            top_sims[edge], top_ids[edge] = _wide(queries[edge], database, k, size)
    return top_sims, top_ids


def _rounding(
    sims: NDArray[np.float32], lengths: NDArray[np.float32], dim: int
) -> NDArray[np.float32]:
    """[Q, c]: what float32 inner products may be off by.

    D roundings of a partial sum add up like a random walk. A partial sum is about as large as the
    whole at most, or a quarter of |q||d| where products cancel. Measured over random, clustered,
    positive, cancelling, sparse and power-law rows of 16 to 2048 dimensions, the error stays below
    0.8 of this.
    """
    step = 1.5 * np.finfo(np.float32).eps * math.sqrt(dim + 64)
    return np.float32(step) * np.maximum(np.abs(sims), lengths[:, None] / 4)


def _lengths(queries: NDArray[np.float32], database: NDArray[np.float32]) -> NDArray[np.float32]:
    """[Q]: |q| times the largest |d|."""
    starts = range(0, len(database), DATABASE_BLOCK)
    parts = (database[start : start + DATABASE_BLOCK] for start in starts)
    longest = math.sqrt(max(np.einsum("nd,nd->n", part, part).max() for part in parts))
    return np.linalg.norm(queries, axis=1) * np.float32(longest)


def _exact(
    queries: NDArray[np.float32],
    database: NDArray[np.float32],
    rows: NDArray[np.int64],
    ids: NDArray[np.int32],
    block: int = 4096,
) -> NDArray[np.float32]:
    """Inner products of the pairs (queries[rows], database[ids]) by way of float64."""
    sims = np.empty(len(rows), np.float32)
    for start in range(0, len(rows), block):
        part = slice(start, start + block)
        left, right = queries[rows[part]], database[ids[part]]
        sims[part] = np.einsum("pd,pd->p", left, right, dtype=np.float64)
    return sims


def others(neighbours: Neighbours, first: int = 0) -> Neighbours:
    """Neighbour lists [N, k] of a set in itself without each node's own entry: [N, k - 1].

    Row i belongs to node `first` + i. Among duplicates a node need not stand first in its list, nor
    in it at all: it is known by its id, never by its column, and where it is absent the last entry
    goes instead.
    """
    sims, ids = neighbours
    own = ids == np.arange(first, first + len(ids), dtype=np.int32)[:, None]
    own[:, -1] |= ~own.any(axis=1)
    shape = (len(ids), ids.shape[1] - 1)
    return sims[~own].reshape(shape), ids[~own].reshape(shape)


def _accelerators() -> Mesh | None:
    if jax.default_backend() == "cpu":
        return None
    return Mesh(np.array(jax.local_devices()), ("database",))
