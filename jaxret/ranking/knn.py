"""Exact nearest neighbours by inner product, in blocks, ties to the smaller id."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from jaxret.errors import UserError
from jaxret.ranking.inputs import as_descriptors, positive_integer

Neighbours = tuple[NDArray[np.float32], NDArray[np.int32]]


def knn(
    queries: ArrayLike, database: ArrayLike, k: int, *, block_size: int | None = None
) -> Neighbours:
    """The `k` database rows of largest inner product with each query, best first.

    The order is by (inner product rounded to float32, descending; id, ascending), so that it does
    not depend on the blocks.

    Args:
      queries: [Q, D]; Q may be 0.
      database: [N, D].
      k: neighbours a query; more than N gives N.
      block_size: queries a block, None for one that keeps a block's products near 256 MB.

    Returns:
      (similarities float32 [Q, k], ids int32 [Q, k]).

    Raises:
      UserError: see `as_descriptors`; an empty database; k below 1.
    """
    database = as_descriptors(database, "database")
    queries = as_descriptors(queries, "query", database.shape[1])
    if not len(database):
        raise UserError("The database is empty; give at least one descriptor to search in.")
    return search(queries, database, positive_integer(k, "k"), block_size)


def search(
    queries: NDArray[np.float32],
    database: NDArray[np.float32],
    k: int,
    block_size: int | None = None,
) -> Neighbours:
    """`knn` without its checks, for arrays that have passed them."""
    k = min(k, len(database))
    rows = block_size or max(1, (1 << 25) // len(database))
    sims = np.empty((len(queries), k), np.float32)
    ids = np.empty((len(queries), k), np.int32)
    # In float64 the products are right to far below a float32 step: equal rows tie whatever the
    # order of summation, hence whatever the block.
    wide = database.T.astype(np.float64)
    for start in range(0, len(queries), rows):
        part = slice(start, start + rows)
        products = queries[part].astype(np.float64) @ wide
        sims[part], ids[part] = best(products.astype(np.float32), k)
    return sims, ids


def best(sims: NDArray[np.float32], k: int) -> Neighbours:
    """The `k` largest of each row [Q, N], descending, equal ones by ascending column."""
    keys = _sortable(sims)
    if k < sims.shape[1]:
        keys = np.partition(keys, k - 1, axis=1)[:, :k]
    keys.sort(axis=1)
    ids = (keys & 0xFFFFFFFF).astype(np.int32)
    return np.take_along_axis(sims, ids, axis=1), ids


def _sortable(sims: NDArray[np.float32]) -> NDArray[np.int64]:
    """One integer an entry, ascending = similarity descending, then column ascending."""
    bits = (-sims + np.float32(0)).view(np.int32)  # + 0: -0.0 and 0.0 are the same similarity
    # IEEE floats order as their bits do, negative ones in reverse.
    ordered = np.where(bits < 0, bits ^ np.int32(0x7FFFFFFF), bits).astype(np.int64)
    return (ordered << 32) | np.arange(sims.shape[1], dtype=np.int64)


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
