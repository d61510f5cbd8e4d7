"""Re-ranking of the first results by global descriptors alone: SuperGlobal, k-reciprocal encoding.

Both look at a query's first `m` results only, so that their cost does not grow with the database.
"""

from collections.abc import Callable, Sequence
from functools import partial

import jax
import jax.numpy as jnp
from jax import lax

from jaxret import defaults
from jaxret.functional.neighbours import best
from jaxret.functional.precision import HIGHEST, widest, working
from jaxret.ranking_names import Step

NUMBERS_AT_ONCE = 1 << 24  # of the lists' descriptors: 64 MiB in float32, as much again in between
AGGREGATIONS: dict[str, Callable[..., jax.Array]] = {"max": jnp.max, "mean": jnp.mean}


@partial(jax.jit, static_argnames=("m", "k", "beta", "aggregation"))
def superglobal(
    queries: jax.Array,
    database: jax.Array,
    ids: jax.Array,
    m: int = defaults.SUPERGLOBAL_M,
    k: int = defaults.SUPERGLOBAL_K,
    beta: float = defaults.SUPERGLOBAL_BETA,
    aggregation: str = "max",
) -> jax.Array:
    """SuperGlobal's re-ranking (Shao et al., ICCV 2023, section 3.3), as its public code runs it.

        x'_i = sum_j w_ij x_j / sum_j w_ij      over the k + 1 of the list nearest to x_i
        w_ij = 1 for the nearest, which is presumed to be x_i itself, beta x_i . x_j for the others
        q'   = elementwise maximum of the k + 1 largest q . x'_i
        score_i = (q . x'_i + q' . x'_i) / 2

    Among duplicates the nearest can be another photograph, and a negative similarity is a negative
    weight, as there. The maximum is meant for descriptors that are nowhere negative (GeM after
    ReLU): over signed ones it is larger than each of them, and "mean" is the choice.

    Args:
      queries: [Q, D], rows L2-normalised.
      database: [N, D], rows L2-normalised.
      ids: int32 [Q, R], a ranking, best first.
      m: how many of the first are put in a new order, static; those behind stay.
      k: neighbours beside the photograph itself, static.
      beta: their weight, static.
      aggregation: of x' to q', "max" or "mean", static.

    Returns:
      int32 [Q, R], the same ids; equal scores (rounded to float32) by the smaller id.
    """
    count = min(k + 1, m, ids.shape[1])

    def scores(query: jax.Array, rows: jax.Array) -> jax.Array:
        refined = _refined(rows, count, beta)
        first = _products(refined, query)
        near = refined[lax.top_k(first, count)[1]]
        second = _products(refined, AGGREGATIONS[aggregation](near, axis=0))
        return ((first + second) / 2).astype(jnp.float32)

    return _reorder(scores, queries, database, ids, m)


def _products(rows: jax.Array, row: jax.Array) -> jax.Array:
    return jnp.matmul(rows, row, precision=HIGHEST)


def _refined(rows: jax.Array, count: int, beta: float) -> jax.Array:
    """X' of a list [M, D]: the weights as a matrix [M, M], which one product applies."""
    sims, near = lax.top_k(jnp.matmul(rows, rows.T, precision=HIGHEST), count)
    weights = (beta * sims).at[:, 0].set(1)
    places = jnp.arange(len(rows), dtype=jnp.int32)[:, None]
    matrix = jnp.zeros((len(rows), len(rows)), rows.dtype).at[places, near].set(weights)
    total = jnp.matmul(matrix, rows, precision=HIGHEST)
    return total / weights.sum(axis=1, keepdims=True)


@partial(jax.jit, static_argnames=("m", "k1", "k2", "weight"))
def k_reciprocal(
    queries: jax.Array,
    database: jax.Array,
    ids: jax.Array,
    m: int = defaults.K_RECIPROCAL_M,
    k1: int = defaults.K_RECIPROCAL_K1,
    k2: int = defaults.K_RECIPROCAL_K2,
    weight: float = defaults.K_RECIPROCAL_WEIGHT,
) -> jax.Array:
    """k-reciprocal encoding (Zhong et al., CVPR 2017), within a query and its first `m` results.

        d(i, j)  = |x_i - x_j|^2 / max_k |x_i - x_k|^2
        R(i, k)  = those among i's k + 1 nearest that have i among theirs
        R*(i)    = R(i, k1) and every R(c, k1 / 2), c in R(i, k1), of which more than 2/3 lie in it
        V_i      = exp(-d(i, j)) over R*(i), made to sum to 1; then the mean of its k2 nearest's
        score_j  = -((1 - weight) d_J(q, j) + weight d(q, j)),  d_J = 1 - S / (2 - S),
                   S = sum min(V_q, V_j)

    Args:
      queries: [Q, D], rows L2-normalised.
      database: [N, D], rows L2-normalised.
      ids: int32 [Q, R], a ranking, best first.
      m: how many of the first are put in a new order, static; those behind stay.
      k1: neighbours of the reciprocal sets, static.
      k2: neighbours that V is averaged over, static; 1 leaves it.
      weight: of the plain distance, static.

    Returns:
      int32 [Q, R], the same ids; equal scores (rounded to float32) by the smaller id.
    """

    def scores(query: jax.Array, rows: jax.Array) -> jax.Array:
        nodes = jnp.concatenate([query[None], rows])
        squared = 2 - 2 * jnp.matmul(nodes, nodes.T, precision=HIGHEST)
        distances = squared / squared.max(axis=1, keepdims=True)
        order = best(-distances, min(max(k1 + 1, k2), len(nodes)))[1]
        expanded = _expanded(order, k1)
        encoded = jnp.where(expanded, jnp.exp(-distances), 0)
        encoded = encoded / encoded.sum(axis=1, keepdims=True)
        if k2 != 1:
            encoded = encoded[order[:, :k2]].mean(axis=1)
        shared = jnp.minimum(encoded[:1], encoded[1:]).sum(axis=1)
        jaccard = 1 - shared / (2 - shared)
        return -((1 - weight) * jaccard + weight * distances[0, 1:]).astype(jnp.float32)

    return _reorder(scores, queries, database, ids, m)


RERANKINGS: dict[str, Callable[..., jax.Array]] = {"SG": superglobal, "KR": k_reciprocal}
_FIRST = {"SG": defaults.SUPERGLOBAL_M, "KR": defaults.K_RECIPROCAL_M}
_ARGUMENTS = {"pool": "aggregation"}  # of the functions, where a ranking's name is shorter


def reranked(
    steps: Sequence[Step], queries: jax.Array, database: jax.Array, ids: jax.Array
) -> jax.Array:
    """A ranking [Q, R] after those of its steps that re-rank, one after the other."""
    for step in steps:
        if step.name in RERANKINGS:
            said = {_ARGUMENTS.get(name, name): value for name, value in step.said}
            ids = RERANKINGS[step.name](queries, database, ids, **said)
    return ids


def looked_at(steps: Sequence[Step]) -> int:
    """How many first results the steps of a ranking re-rank; 0 where none does."""
    return max((dict(step.said).get("m", _FIRST.get(step.name, 0)) for step in steps), default=0)


def _expanded(order: jax.Array, k1: int) -> jax.Array:
    """R* as bool [n, n] over each node's neighbours `order` [n, k1 + 1 or more]."""
    reciprocal = _reciprocal(order, k1 + 1)
    half = _reciprocal(order, round(k1 / 2) + 1)
    shared = jnp.matmul(reciprocal.astype(jnp.float32), half.T.astype(jnp.float32))
    joins = reciprocal & (3 * shared > 2 * half.sum(axis=1, dtype=jnp.int32)[None])
    return reciprocal | (jnp.matmul(joins.astype(jnp.float32), half.astype(jnp.float32)) > 0)


def _reciprocal(order: jax.Array, count: int) -> jax.Array:
    places = jnp.arange(len(order), dtype=jnp.int32)[:, None]
    near = jnp.zeros((len(order), len(order)), bool).at[places, order[:, :count]].set(True)
    return near & near.T


def _reorder(scores, queries: jax.Array, database: jax.Array, ids: jax.Array, m: int) -> jax.Array:
    """The first `m` ids of each query by `scores(query [D], rows [M, D])`, a few at a time."""
    queries, database = working(queries), working(database)
    dtype = jnp.promote_types(queries.dtype, database.dtype)
    queries, database = queries.astype(dtype), database.astype(dtype)

    def one(query: jax.Array, ids: jax.Array) -> jax.Array:
        found = widest(scores, query, database[ids])
        return lax.sort((-found, ids), num_keys=2)[1]

    lists = ids[:, :m]
    at_once = max(1, NUMBERS_AT_ONCE // max(1, lists.shape[1] * database.shape[1]))
    first = lax.map(lambda pair: one(*pair), (queries, lists), batch_size=at_once)
    return jnp.concatenate([first, ids[:, m:]], axis=1)
