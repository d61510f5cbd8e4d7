"""Query expansion (AQE) and database-side augmentation (DBA): averages over nearest neighbours."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from jaxret import defaults, functional
from jaxret.errors import UserError
from jaxret.functional.weights import (
    ALPHA,
    CANCELLED,
    DATABASE_WEIGHTS,
    QUERY_WEIGHTS,
    check,
    line_of_weights,
)
from jaxret.ranking.inputs import unit_rows
from jaxret.ranking.neighbours.index import Index
from jaxret.ranking.neighbours.search import others, search
from jaxret.ranking.on_device import Devices
from jaxret.ranking.ordering import Neighbours
from jaxret.ranking.placement import on_device, returned

AT_ONCE = 256  # rows, so that what they become stays in the caches


def expand_queries(
    queries: ArrayLike,
    database: ArrayLike | Index,
    n: int = defaults.AQE_N,
    weights: str = "none",
    alpha: float = ALPHA,
) -> NDArray[np.float32]:
    """Average query expansion: the query and its `n` nearest, averaged, L2-normalised.

    Args:
      queries: [Q, D].
      database: [N, D], or an `Index` of rows that are L2-normalised.
      n: neighbours; 0 leaves the queries as they are, more than N takes N.
      weights: of the r-th neighbour (r = 0 .. n-1) beside the query's 1: "none" 1 (Chum et al.,
        ICCV 2007), "linear" (n - r) / n, "alpha" max(similarity, 0) ** alpha (Radenovic et al.).
      alpha: exponent of "alpha".

    Returns:
      float32 [Q, D], rows L2-normalised.

    Raises:
      UserError: see `jaxret.ranking.inputs.as_descriptors`; unknown weights; n below 0; an index of
        rows that are not L2-normalised.
    """
    check(n, weights, QUERY_WEIGHTS)
    given = _unit_index(database).rows if isinstance(database, Index) else database
    if on_device(queries, given):
        devices = Devices.of(queries, given)
        there = devices.unit_rows(given, "database")
        asked = devices.unit_rows(queries, "query", there.shape[1])
        near = devices.top_k(asked, there, n)
        return returned(functional.expand(asked, there, near, weights, alpha), queries, given)
    index = _unit_index(database)
    unit = unit_rows(queries, "query", index.rows.shape[1])
    expanded = expand(unit, index.rows, search(unit, index, n), weights, alpha)
    return returned(expanded, queries, given)


def _unit_index(database: ArrayLike | Index) -> Index:
    if not isinstance(database, Index):
        return Index.unchecked(unit_rows(database, "database"))
    if not database.is_unit:
        shortest, longest = database.lengths
        raise UserError(
            f"The rows of the index have lengths from {shortest:.3g} to {longest:.3g}; make it of "
            "rows at length 1."
        )
    return database


def augment_database(
    database: ArrayLike,
    n: int = defaults.DBA_N,
    weights: str = "gordo",
    normalize: bool = True,
    alpha: float = ALPHA,
) -> NDArray[np.float32]:
    """Database-side augmentation: each row and its `n` nearest others, averaged.

    Each row counts itself exactly once, however many duplicates tie with it.

    Args:
      database: [N, D].
      n: neighbours beside the row itself; 0 leaves the rows as they are, above N - 1 takes N - 1.
      weights: of the r-th neighbour (r = 0 .. n-1) beside the row's own 1: "gordo" (n - r) / n
        (Gordo et al., IJCV 2017, as their release does it), "linear" (n - r) / (n + 1), that is
        one line through the row itself too, "uniform" 1, "alpha" max(similarity, 0) ** alpha.
      normalize: L2-normalise the averages. Gordo et al. do not, and rank by inner product: a row
        with scattered neighbours is short then and ranks lower.
      alpha: exponent of "alpha".

    Returns:
      float32 [N, D].

    Raises:
      UserError: see `jaxret.ranking.inputs.as_descriptors`; unknown weights; n below 0.
    """
    check(n, weights, DATABASE_WEIGHTS)
    if on_device(database):
        devices = Devices.of(database)
        there = devices.unit_rows(database, "database")
        near = devices.others(there, n)
        return returned(functional.augment(there, near, weights, normalize, alpha), database)
    rows = unit_rows(database, "database")
    neighbours = others(search(rows, rows, n + 1))
    return returned(augment(rows, neighbours, weights, normalize, alpha), database)


def expand(
    queries: NDArray[np.float32],
    database: NDArray[np.float32],
    neighbours: Neighbours,
    weights: str,
    alpha: float = ALPHA,
) -> NDArray[np.float32]:
    """`expand_queries` over neighbours already known: (similarities, ids), each [Q, n]."""
    return _average(queries, database, neighbours, QUERY_WEIGHTS[weights], True, alpha)


def augment(
    database: NDArray[np.float32],
    neighbours: Neighbours,
    weights: str,
    normalize: bool,
    alpha: float = ALPHA,
) -> NDArray[np.float32]:
    """`augment_database` over the lists of each row's others: (similarities, ids), each [N, n]."""
    return _average(database, database, neighbours, weights, normalize, alpha)


def _average(
    rows: NDArray[np.float32],
    database: NDArray[np.float32],
    neighbours: Neighbours,
    weights: str,
    normalize: bool,
    alpha: float,
) -> NDArray[np.float32]:
    """Each row and its weighted neighbours, in float64 and rounded once: one result anywhere."""
    sims, ids = neighbours
    if ids.shape[1] == 0:
        return rows
    own, line = line_of_weights(weights, ids.shape[1])
    averages = np.empty_like(rows)
    for start in range(0, len(rows), AT_ONCE):
        part = slice(start, start + AT_ONCE)
        if line is None:
            w = np.maximum(sims[part], 0).astype(np.float64) ** alpha
        else:
            w = np.broadcast_to(line, sims[part].shape)
        total = own * rows[part].astype(np.float64)
        for rank in range(ids.shape[1]):
            total += w[:, rank : rank + 1] * database[ids[part, rank]]
        if normalize:
            averages[part] = _unit(total / own, rows[part])
        else:
            averages[part] = total / (own + w.sum(axis=1, keepdims=True))
    return averages


def _unit(rows: NDArray[np.float64], fallback: NDArray[np.float32]) -> NDArray[np.float64]:
    """L2-normalised rows; where opposite vectors have cancelled out, the row before averaging."""
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    cancelled = lengths < CANCELLED
    return np.where(cancelled, fallback, rows / np.where(cancelled, 1, lengths))
