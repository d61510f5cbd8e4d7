"""Diffusion (DFS) on the mutual nearest-neighbour graph.

    a_ij = max(sim_ij, 0) ** gamma   where i is among j's nearest and j among i's, else 0
    S    = D^-1/2 A D^-1/2,          D = diag(A 1)
    row i of the offline matrix: f with (I - alpha S)[T_i, T_i] f = e_i on the node's list T_i

Sources: Iscen et al., CVPR 2017, eq. (1)-(3); Yang et al., AAAI 2019, "late truncation": S is
normalised on the whole graph. `jaxret.Diffusion` and `jaxret.diffuse_jointly` say what it is for.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from jaxret import defaults
from jaxret.functional.neighbours import Neighbours, in_blocks, inner_products, others, top_k
from jaxret.functional.order import order
from jaxret.functional.precision import HIGHEST, working

NUMBERS_AT_ONCE = 1 << 24  # 64 MiB
# Nodes that are solved side by side: the lanes of a TPU, a run of memory that GPUs read whole and
# little enough for the caches (on a CPU 64 take as long, 512 twice as long).
COLUMNS = 128
SLOTS = 7  # neighbours that one fused loop reads, a divisor of kd - 1 = 49


class Graph(NamedTuple):
    """S as lists: S[i, ids[i, s]] = weights[i, s].

    Attributes:
      ids: int32 [N, slots].
      weights: [N, slots]; 0 where the two nodes are not mutual neighbours.
    """

    ids: jax.Array
    weights: jax.Array


@partial(jax.jit, static_argnames=("kd", "gamma"))
def mutual_graph(
    neighbours: Neighbours, kd: int = defaults.DFS_KD, gamma: float = defaults.DFS_GAMMA
) -> Graph:
    """S over each node's nearest others.

    Args:
      neighbours: `others` of a set in itself, each [N, m]; the first kd - 1 columns are used.
      kd: neighbours a node has in the graph, itself counted, static.
      gamma: exponent of the affinity, static.
    """
    sims, ids = (array[:, : kd - 1] for array in neighbours)
    sims = working(sims)
    nodes = jnp.arange(len(ids), dtype=jnp.int32)[:, None]
    mutual = lax.map(lambda slot: (ids[slot] == nodes).any(axis=1), ids.T).T
    affinity = jnp.where(mutual, jnp.maximum(sims, 0), 0) ** gamma
    # An isolated node has no edge to scale: 1 keeps its 0 / 0 away.
    sums = affinity.sum(axis=1)
    scale = 1 / jnp.sqrt(jnp.where(sums > 0, sums, 1))
    return Graph(ids, affinity * scale[:, None] * scale[ids])


@partial(jax.jit, static_argnames=("alpha", "tolerance", "rounds"))
def diffuse(
    graph: Graph,
    lists: jax.Array,
    alpha: float = defaults.DFS_ALPHA,
    tolerance: float = defaults.CG_TOLERANCE,
    rounds: int = defaults.CG_ROUNDS,
) -> jax.Array:
    """The offline rows: the f of each list's first node, on its list.

    Conjugate gradients from 0, stopped where the residual is at most `tolerance` times the
    right-hand side after an update, and after `rounds` updates whatever it is: the rule is part of
    the published result. Columns are nodes, rows the whole graph, and a mask keeps each column in
    its own list: so a neighbour's values are one run of memory for all columns.

    Args:
      graph: S over N nodes.
      lists: int32 [M, n], the node itself first, no node twice.
      alpha, tolerance, rounds: static.

    Returns:
      float32 [M, n].
    """
    slots = graph.ids.shape[1]
    padding = ((0, 0), (0, -slots % SLOTS))
    # By chunks of slots, each [N, SLOTS]; padding reads node 0 with weight 0.
    near, weights = (
        jnp.pad(array, padding).reshape(len(array), -1, SLOTS).transpose(1, 0, 2)
        for array in (graph.ids, alpha * graph.weights)
    )

    def product(p: jax.Array) -> jax.Array:
        """(I - alpha S) p."""

        def subtract(rest, chunk):
            ids, w = chunk
            for slot in range(SLOTS):
                values = p.at[ids[:, slot]].get(mode="promise_in_bounds")
                rest = rest - w[:, slot, None] * values
            return rest, None

        return lax.scan(subtract, p, (near, weights))[0]

    def solve(lists: jax.Array) -> jax.Array:
        return _conjugate_gradients(
            product, lists, len(graph.ids), weights.dtype, tolerance, rounds
        )

    # Blocks of one size for any number of devices: so is the order in which their sums are taken.
    columns = min(COLUMNS, 1 << (len(graph.ids) - 1).bit_length())
    return in_blocks(solve, columns, lists, even=False)


def _conjugate_gradients(product, lists, count: int, dtype, tolerance: float, rounds: int):
    """X [columns, n] on the lists [columns, n]; b is 1 at each list's first node."""
    columns = jnp.arange(len(lists), dtype=jnp.int32)
    inside = (lists, columns[:, None])
    zero = jnp.zeros((count, len(lists)), dtype)
    mask = zero.at[inside].set(1)
    b = zero.at[lists[:, 0], columns].set(1)

    def update(_, state):
        x, r, p, rho = state
        active = rho > tolerance**2  # b has length 1
        q = product(p) * mask
        curvature = jnp.where(active, (p * q).sum(axis=0), 1)
        a = jnp.where(active, rho / curvature, 0)[None]
        x, r = x + a * p, r - a * q
        rest = (r * r).sum(axis=0)
        p = r + jnp.where(active, rest / jnp.where(active, rho, 1), 0)[None] * p
        return x, r, p, jnp.where(active, rest, rho)

    start = (zero, b, b, jnp.ones(len(lists), dtype))
    return lax.fori_loop(0, rounds, update, start)[0][inside]


@partial(jax.jit, static_argnames="gamma")
def combine(
    lists: jax.Array, rows: jax.Array, nearest: Neighbours, gamma: float = defaults.DFS_GAMMA
) -> jax.Array:
    """Inductive scores: sum over a query's nearest j of sim_j ** gamma * (offline row of j).

    Args:
      lists: int32 [N, n], as `diffuse` had them.
      rows: [N, n], what it made of them.
      nearest: of the queries in the database, each [Q, kq].
      gamma: static.

    Returns:
      float32 [Q, N]; 0 where none of the lists reaches.
    """
    sims, ids = nearest
    # Not clipped: the public code leaves a negative similarity negative here.
    weights = jnp.sign(sims) * jnp.abs(sims) ** gamma
    queries = jnp.arange(len(ids), dtype=jnp.int32)[:, None]

    def add(rank, scores):
        node = ids[:, rank]
        return scores.at[queries, lists[node]].add(weights[:, rank, None] * rows[node])

    return lax.fori_loop(0, ids.shape[1], add, jnp.zeros((len(ids), len(rows)), rows.dtype))


@partial(jax.jit, static_argnames="queries")
def cosines(lists: jax.Array, rows: jax.Array, queries: int) -> jax.Array:
    """Transductive scores: cosines of the offline rows of the first `queries` nodes and the others.

    Args:
      lists: int32 [Q + N, n], of queries and database in one graph.
      rows: [Q + N, n].
      queries: Q, static.

    Returns:
      float32 [Q, N]; 0 where two rows reach no common node.
    """
    count = len(lists)
    lengths = jnp.sqrt((rows * rows).sum(axis=1, keepdims=True))  # at least 1: the node's own entry
    rows = rows / lengths

    def dense(lists: jax.Array, rows: jax.Array) -> jax.Array:
        places = jnp.arange(len(lists), dtype=jnp.int32)[:, None]
        return jnp.zeros((len(lists), count), rows.dtype).at[places, lists].set(rows)

    asked = dense(lists[:queries], rows[:queries]).T

    def score(lists: jax.Array, rows: jax.Array) -> jax.Array:
        return jnp.matmul(dense(lists, rows), asked, precision=HIGHEST)

    at_once = max(1, NUMBERS_AT_ONCE // max(1, count))
    return in_blocks(score, at_once, lists[queries:], rows[queries:]).T


def lists_of(neighbours: Neighbours, truncation: int) -> jax.Array:
    """The lists of `diffuse`, int32 [N, n]: each node, then the nearest of its `others`."""
    ids = neighbours[1][:, : truncation - 1]
    return jnp.concatenate([jnp.arange(len(ids), dtype=jnp.int32)[:, None], ids], axis=1)


@partial(
    jax.jit,
    static_argnames=("k", "truncation", "kd", "gamma", "alpha", "tolerance", "rounds", "rest"),
)
def diffuse_jointly(
    queries: jax.Array,
    database: jax.Array,
    k: int,
    truncation: int = defaults.DFS_TRUNCATION,
    kd: int = defaults.DFS_KD,
    gamma: float = defaults.DFS_GAMMA,
    alpha: float = defaults.DFS_ALPHA,
    *,
    tolerance: float = defaults.CG_TOLERANCE,
    rounds: int = defaults.CG_ROUNDS,
    rest: str = "none",
) -> Neighbours:
    """`jaxret.diffuse_jointly`: queries [Q, D] and database [N, D] in one graph, k at most N."""
    together = jnp.concatenate([working(queries), working(database)])
    nearest = others(top_k(together, together, max(truncation, kd)))
    lists = lists_of(nearest, truncation)
    rows = diffuse(mutual_graph(nearest, kd, gamma), lists, alpha, tolerance, rounds)
    fill = inner_products(queries, database) if rest == "global" else None
    scores, ids = order(cosines(lists, rows, len(queries)), fill)
    return scores[:, :k], ids[:, :k]
