"""Nearest neighbours by inner product.

The order of all rankings: inner product rounded to float32, descending, then id, ascending.
"""

import math
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxret.functional.precision import HIGHEST, widest, working

Neighbours = tuple[jax.Array, jax.Array]  # (similarities float32 [n, k], ids int32 [n, k])

PRODUCTS_AT_ONCE = 1 << 26  # 256 MiB in float32, 512 more in float64


@partial(jax.jit, static_argnames="k")
def top_k(queries: jax.Array, database: jax.Array, k: int) -> Neighbours:
    """The `k` database rows of largest inner product with each query, best first.

    Args:
      queries: [Q, D].
      database: [N, D].
      k: static; more than N gives N.

    Returns:
      (similarities float32 [Q, k], ids int32 [Q, k]); float64 descriptors have similarities of
      float64. The products are made in float64 where the device is fast at it, otherwise in
      float32: neighbours whose similarities differ by about 1e-6 or less may then change places.
    """
    return _top_k(working(queries), working(database), min(k, len(database)))


def top_k_of_first(queries: jax.Array, database: jax.Array, k: int, count: jax.Array) -> Neighbours:
    """`top_k` among the first `count` rows of the database; -inf where these are fewer than k."""
    search = partial(_in_blocks, k=k, dtype=queries.dtype)
    return widest(search, queries, database, jnp.asarray(count, jnp.int32))


@jax.jit
def inner_products(queries: jax.Array, database: jax.Array) -> jax.Array:
    """All similarities [Q, N] as `top_k` orders them."""
    queries, database = working(queries), working(database)
    return widest(partial(_products, dtype=queries.dtype), queries, database)


@partial(jax.custom_jvp, nondiff_argnums=(2,))
def _top_k(queries: jax.Array, database: jax.Array, k: int) -> Neighbours:
    return widest(partial(_in_blocks, k=k, dtype=queries.dtype), queries, database)


@_top_k.defjvp
def _(k, primals, tangents):
    sims, ids = _top_k(*primals, k)
    _, change = jax.jvp(partial(_products, dtype=sims.dtype), primals, tangents)
    change = jnp.take_along_axis(change, ids, axis=1)
    return (sims, ids), (change, np.zeros(ids.shape, jax.dtypes.float0))


def _products(queries: jax.Array, database: jax.Array, dtype) -> jax.Array:
    return jnp.matmul(queries, database.T, precision=HIGHEST).astype(dtype)


def _in_blocks(
    queries: jax.Array, database: jax.Array, count: jax.Array | None = None, *, k: int, dtype
) -> Neighbours:
    """A few queries after each other, so that never all of [Q, N] exists."""

    def one(rows: jax.Array) -> Neighbours:
        sims = _products(rows, database, dtype)
        if count is not None:
            there = jnp.arange(len(database), dtype=jnp.int32) < count
            sims = jnp.where(there[None], sims, -jnp.inf)
        return best(sims, k)

    return in_blocks(one, max(1, PRODUCTS_AT_ONCE // max(1, len(database))), queries)


def in_blocks(function, size: int, *arrays: jax.Array, even: bool = True):
    """`function` of at most `size` rows of each array at a time; what it returns, rows in order.

    Args:
      even: blocks smaller than `size`, so that they need the least padding; otherwise all are of
        that size, the same program whatever the number of rows.
    """
    count = len(arrays[0])
    blocks = max(1, -(-count // size))
    if even and blocks == 1:
        return function(*arrays)
    size = -(-count // blocks) if even else size

    def cut(array: jax.Array) -> jax.Array:
        padding = [(0, blocks * size - count)] + [(0, 0)] * (array.ndim - 1)
        return jnp.pad(array, padding).reshape(blocks, size, *array.shape[1:])

    def join(parts: jax.Array) -> jax.Array:
        return parts.reshape(blocks * size, *parts.shape[2:])[:count]

    found = lax.map(lambda parts: function(*parts), tuple(map(cut, arrays)))
    return jax.tree.map(join, found)


def best(scores: jax.Array, k: int) -> Neighbours:
    """The `k` largest of each row [Q, N] in the order of rankings, the columns being the ids."""
    scores = jnp.where(scores == 0, 0, scores)  # -0 and 0 are one score
    run = math.isqrt(scores.shape[1] // max(1, k))
    if run < 2:
        return _sorted(scores, k)
    in_runs = partial(_best_of_runs, k=k, run=run)
    # A TPU, which gathers number by number, is quicker at sorting everything.
    everything = partial(_sorted, k=k)
    return lax.platform_dependent(scores, cpu=in_runs, cuda=in_runs, default=everything)


def _best_of_runs(scores: jax.Array, k: int, run: int) -> Neighbours:
    # The k best lie in the k runs of columns with the largest maxima, ties to the first: each run
    # left out has k before it that hold something at least as good and of a smaller id.
    runs = -(-scores.shape[1] // run)
    padding = ((0, 0), (0, runs * run - scores.shape[1]))
    scores = jnp.pad(scores, padding, constant_values=-jnp.inf)
    scores = scores.reshape(-1, runs, run)
    chosen = jnp.sort(_sorted(scores.max(axis=2), k)[1], axis=1)[:, :, None]
    ids = chosen * run + jnp.arange(run, dtype=jnp.int32)[None, None]
    ids, candidates = ids.reshape(-1, k * run), jnp.take_along_axis(scores, chosen, axis=1)
    scores, places = _sorted(candidates.reshape(-1, k * run), k)
    return scores, jnp.take_along_axis(ids, places, axis=1)


def best_of(candidates: Neighbours, k: int) -> Neighbours:
    """The `k` largest of (similarities, ids), each [Q, c], those that tie as they stand."""
    gathered, taken_along = partial(_gathered, k=k), partial(_taken_along, k=k)
    return lax.platform_dependent(*candidates, cpu=gathered, cuda=gathered, default=taken_along)


def _gathered(sims: jax.Array, ids: jax.Array, k: int) -> Neighbours:
    sims, places = best(sims, k)
    return sims, jnp.take_along_axis(ids, places, axis=1)


def _taken_along(sims: jax.Array, ids: jax.Array, k: int) -> Neighbours:
    negative, ids = lax.sort((jnp.where(sims == 0, 0, -sims), ids), num_keys=1)  # stable
    return -negative[:, :k], ids[:, :k]


def _sorted(scores: jax.Array, k: int) -> Neighbours:
    scores, ids = lax.top_k(scores, k)  # of equal ones the first column comes first
    return scores, ids.astype(jnp.int32)


@jax.jit
def others(neighbours: Neighbours, first: jax.Array | int = 0) -> Neighbours:
    """Neighbour lists [n, k] of a set in itself without each row's own entry: [n, k - 1].

    Among duplicates a row need not stand first in its list, nor in it at all: it is known by its
    id, and where it is absent the last entry goes instead.

    Args:
      neighbours: (similarities, ids) of rows `first` on.
      first: id of row 0.
    """
    sims, ids = neighbours
    count, k = ids.shape
    own = ids == (first + jnp.arange(count, dtype=jnp.int32))[:, None]
    place = jnp.where(own.any(axis=1), own.argmax(axis=1), k - 1).astype(jnp.int32)
    # A choice between two columns, not a gather: a TPU would gather number by number.
    before = jnp.arange(k - 1, dtype=jnp.int32)[None] < place[:, None]
    sims, ids = (jnp.where(before, array[:, :-1], array[:, 1:]) for array in (sims, ids))
    return sims, ids
