"""Query expansion (AQE) and database-side augmentation (DBA): averages over nearest neighbours.

Sources: Chum et al., ICCV 2007 (AQE); Gordo et al., IJCV 2017 (DBA); Radenovic et al., TPAMI 2018
("alpha"). The weights' names and their meaning: `jaxret.expand_queries`, `augment_database`.
"""

from functools import partial

import jax
import jax.numpy as jnp
from jax import lax

from jaxret.functional.neighbours import Neighbours
from jaxret.functional.precision import widest, working
from jaxret.functional.weights import ALPHA, CANCELLED, QUERY_WEIGHTS, line_of_weights


@partial(jax.jit, static_argnames=("weights", "alpha"))
def expand(
    queries: jax.Array,
    database: jax.Array,
    neighbours: Neighbours,
    weights: str = "none",
    alpha: float = ALPHA,
) -> jax.Array:
    """Q' = q + sum_r w_r x_(r), L2-normalised, over each query's neighbours x_(0), x_(1), ...

    Args:
      queries: [Q, D], rows L2-normalised.
      database: [N, D].
      neighbours: of the queries in the database, each [Q, n]; n = 0 leaves the queries.
      weights: "none", "linear" or "alpha", static.
      alpha: exponent of "alpha", static.

    Returns:
      float32 [Q, D].
    """
    return _average(queries, database, neighbours, QUERY_WEIGHTS[weights], True, alpha)


@partial(jax.jit, static_argnames=("weights", "normalize", "alpha"))
def augment(
    database: jax.Array,
    neighbours: Neighbours,
    weights: str = "gordo",
    normalize: bool = True,
    alpha: float = ALPHA,
) -> jax.Array:
    """X' = (x + sum_r w_r x_(r)) / its length, or over the sum of weights, of each database row.

    Args:
      database: [N, D], rows L2-normalised.
      neighbours: `others` of the database in itself, each [N, n]; n = 0 leaves the rows.
      weights: "gordo", "linear", "uniform" or "alpha", static.
      normalize: to length 1; else the weighted mean, static.
      alpha: exponent of "alpha", static.

    Returns:
      float32 [N, D].
    """
    return _average(database, database, neighbours, weights, normalize, alpha)


def _average(rows, database, neighbours, weights, normalize, alpha) -> jax.Array:
    rows, database = working(rows), working(database)
    sims, ids = neighbours
    if ids.shape[1] == 0:
        return rows
    one = partial(_average_of, weights=weights, normalize=normalize, alpha=alpha, dtype=rows.dtype)
    return widest(one, rows, database, working(sims), ids)


def _average_of(rows, database, sims, ids, *, weights, normalize, alpha, dtype) -> jax.Array:
    n = ids.shape[1]
    own, line = line_of_weights(weights, n)
    if line is None:
        w = jnp.maximum(sims, 0) ** alpha
    else:
        w = jnp.broadcast_to(jnp.asarray(line, sims.dtype)[None], sims.shape)

    def add(rank, total):  # one neighbour rank at a time: [Q, n, D] would be large
        return total + w[:, rank, None] * database[ids[:, rank]]

    total = lax.fori_loop(0, n, add, own * rows)
    if not normalize:
        return (total / (own + w.sum(axis=1, keepdims=True))).astype(dtype)
    squared = jnp.sum(total * total, axis=1, keepdims=True)
    cancelled = squared < (CANCELLED * own) ** 2
    length = jnp.sqrt(jnp.where(cancelled, 1, squared))
    return jnp.where(cancelled, rows, total / length).astype(dtype)
