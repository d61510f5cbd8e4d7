"""Exact nearest neighbours by inner product, in blocks, ties to the smaller id."""

from __future__ import annotations

import jax
import numpy as np
from jax.sharding import Mesh
from numpy.typing import ArrayLike, NDArray

from jaxret import functional
from jaxret.errors import UserError
from jaxret.functional.settings import positive_integer
from jaxret.ranking.inputs import as_descriptors, measured
from jaxret.ranking.neighbours.device import DeviceSearch
from jaxret.ranking.neighbours.host.exact import RESCORED_AT_ONCE, CpuSearch, in_parts
from jaxret.ranking.neighbours.host.rescoring import MARGIN, rescore
from jaxret.ranking.neighbours.index import Index
from jaxret.ranking.on_device import Devices
from jaxret.ranking.ordering import Neighbours
from jaxret.ranking.placement import on_device, returned


def knn(
    queries: ArrayLike,
    database: ArrayLike | Index,
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
      database: [N, D], or an `Index` of it where several searches follow each other.
      k: neighbours a query; more than N gives N.
      block_size: database rows a block on the host or a mesh, None for what suits the caches or
        the device's memory.
      mesh: one axis of devices over which the database, in the host's memory, is spread in blocks;
        None for where the arrays lie, see `jaxret.ranking.placement`.
      precision: of the products on a mesh. "bfloat16" is faster, scores the 2 k candidates again
        in float32, and can miss a neighbour.
      recall: share of the true neighbours to aim for with `jax.lax.approx_max_k` on a mesh, None
        for all. `recall_of` measures it.

    Returns:
      (similarities float32 [Q, k], ids int32 [Q, k]); `jax.Array`s where one was given.

    Raises:
      UserError: see `as_descriptors`; an empty database; k below 1; precision or recall without
        a mesh.
    """
    rows = database.rows if isinstance(database, Index) else database
    if mesh is None and precision == "float32" and recall is None and on_device(queries, rows):
        return returned(_on_devices(queries, rows, k), queries, rows)
    index = database if isinstance(database, Index) else Index(*measured(database, "database"))
    queries = as_descriptors(queries, "query", index.rows.shape[1])
    _refuse_empty(index.rows)
    k = positive_integer(k, "k")
    mesh = mesh or _accelerators()
    if mesh is None:
        if precision != "float32" or recall is not None:
            raise UserError("A CPU searches exactly in float32; give a mesh of devices otherwise.")
        return returned(search(queries, index, k, block_size), queries, rows)
    devices = DeviceSearch(mesh, precision, recall, block_size)
    return returned(search(queries, index, k, devices=devices), queries, rows)


def _on_devices(queries: ArrayLike, database: ArrayLike, k: int) -> functional.Neighbours:
    devices = Devices.of(queries, database)
    rows = devices.rows(database, "database")
    queries = devices.rows(queries, "query", rows.shape[1])
    _refuse_empty(rows)
    return devices.top_k(queries, rows, positive_integer(k, "k"))


def _refuse_empty(rows: NDArray[np.float32] | jax.Array) -> None:
    if not len(rows):
        raise UserError("The database is empty; give at least one descriptor to search in.")


def search(
    queries: NDArray[np.float32],
    database: NDArray[np.float32] | Index,
    k: int,
    block_size: int | None = None,
    devices: DeviceSearch | None = None,
) -> Neighbours:
    """`knn` without its checks, for arrays that have passed them."""
    index = database if isinstance(database, Index) else Index.unchecked(database)
    rows = index.rows
    k = min(k, len(rows))
    # Most pairs of a long list are too close for the float32 that accelerators are good at.
    if devices is None and 32 * k <= len(rows) and (mesh := _accelerators()):
        devices = DeviceSearch(mesh, block_size=block_size)
    if devices is None:
        return CpuSearch(index, k, block_size).of(queries)
    sims, ids = devices.candidates(queries, rows, min(k + MARGIN, len(rows)))

    def find(part: slice) -> Neighbours:
        return rescore(queries[part], rows, (sims[part], ids[part]), k, index.longest)

    return in_parts(find, len(queries), k, RESCORED_AT_ONCE)


def recall_of(ids: NDArray[np.int32], exact: NDArray[np.int32]) -> float:
    """Share of the exact neighbours [Q, k] that `ids` [Q, k] hold."""
    found = sum(len(np.intersect1d(*pair)) for pair in zip(ids, exact, strict=True))
    return found / max(1, exact.size)


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
