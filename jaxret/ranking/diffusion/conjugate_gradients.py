"""Conjugate gradients on I - alpha S with many right-hand sides, each in its own set of nodes.

Scipy's stopping rule, which is part of the published result: after the update of x and r, where
||r|| <= tolerance * ||b||, and after `rounds` rounds whatever the residual.

Columns are right-hand sides, rows are nodes, and a mask keeps every column in its own set: so
each edge is one multiply-add a column in a row, where a list of scalars for each right-hand side
would leave the vector units idle.
"""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

# Rows that are worked on while they lie in the first-level caches, and neighbour slots that one
# fused loop reads: measured on AVX-512 cores, flat around these.
TILE = 256
SLOTS = 8


class Graph(NamedTuple):
    """alpha S over the rows of one block, the best connected first.

    Attributes:
      neighbours: int32 [rows, slots], row numbers.
      weights: float32 [rows, slots], 0 past a row's degree.
      chunks: [rows / tile], runs of `SLOTS` slots that each tile uses, or one number for all.
      tiles: tiles of rows that hold anything. Where this and `chunks` are numbers, every loop has
        a fixed length, as `jax.vmap` and accelerators like it.
      tile: rows a tile.
    """

    neighbours: jax.Array
    weights: jax.Array
    chunks: jax.Array | int
    tiles: jax.Array | int
    tile: int


class State(NamedTuple):
    """x, residual r, direction p: [rows, columns]; rho = r.r: [columns]."""

    round: jax.Array | int
    x: jax.Array
    r: jax.Array
    p: jax.Array
    rho: jax.Array


@partial(jax.jit, static_argnames=("tolerance", "rounds"))
def solve_lists(neighbours, weights, rows, lists, tolerance: float, rounds: int):
    """One group of nodes in cache-sized tiles: f [columns, n] on the lists [columns, n].

    Args:
      neighbours, weights: [N + 1, slots], rows by falling degree; row N is nobody, of weight 0.
      rows: int32 [capacity], ascending union of the lists, then N; at least one N.
      lists: int32 [columns, n], the node itself first, N for none.
    """
    return _solve_lists(neighbours, weights, rows, lists, tolerance, rounds, TILE)


@partial(jax.jit, static_argnames=("tolerance", "rounds"))
def solve_many_lists(neighbours, weights, rows, lists, tolerance: float, rounds: int):
    """As `solve_lists` for rows [groups, capacity] and lists [groups, columns, n], side by side."""

    def solve(rows, lists):
        return _solve_lists(neighbours, weights, rows, lists, tolerance, rounds, rows.shape[0])

    return jax.vmap(solve)(rows, lists)


@partial(jax.jit, static_argnames=("tolerance", "rounds"))
def solve_everywhere(neighbours, weights, b, tolerance: float, rounds: int):
    """Untruncated: x [N + 1, columns] for b [N + 1, columns] of unit columns."""
    graph = Graph(neighbours, weights, weights.shape[1] // SLOTS, 1, b.shape[0])
    start = State(0, jnp.zeros_like(b), b, b, (b * b).sum(axis=0))
    return _iterate(graph, jnp.ones_like(b), start, tolerance, rounds).x


def _solve_lists(neighbours, weights, rows, lists, tolerance, rounds, tile):
    capacity, nobody = rows.shape[0], neighbours.shape[0] - 1
    place = jnp.full(nobody + 1, capacity - 1, jnp.int32)
    place = place.at[rows].set(jnp.arange(capacity, dtype=jnp.int32)).at[nobody].set(capacity - 1)
    graph = _block(neighbours, weights, rows, place, tile)
    lists, columns = place[lists], jnp.arange(lists.shape[0], dtype=jnp.int32)
    mask = jnp.zeros((capacity, len(columns)), jnp.float32).at[lists, columns[:, None]].set(1)
    start = _after_first_round(graph, lists[:, 0], mask)
    return _iterate(graph, mask, start, tolerance, rounds).x[lists, columns[:, None]]


def _block(neighbours, weights, rows, place, tile: int) -> Graph:
    """The graph over `rows`, neighbours by their places among them."""
    capacity, slots = rows.shape[0], weights.shape[1]
    if tile == capacity:
        return Graph(place[neighbours[rows]], weights[rows], slots // SLOTS, 1, tile)

    def one(index, graph):
        near, w, chunks = graph
        part = _get(rows, index, tile)
        here = weights[part]
        used = ((here > 0).sum(axis=1, dtype=jnp.int32).max() + SLOTS - 1) // SLOTS
        near = _set(near, place[neighbours[part]], index, tile)
        return near, _set(w, here, index, tile), chunks.at[index].set(used)

    tiles = ((rows < neighbours.shape[0] - 1).sum(dtype=jnp.int32) + tile - 1) // tile
    empty = jnp.zeros((capacity, slots), jnp.int32), jnp.zeros((capacity, slots), jnp.float32)
    near, w, chunks = lax.fori_loop(0, tiles, one, (*empty, jnp.zeros(capacity // tile, jnp.int32)))
    return Graph(near, w, chunks, tiles, tile)


def _after_first_round(graph: Graph, heads, mask) -> State:
    """Right-hand sides e_head need no product yet: e.Ae is 1, Ae a row of the graph, so x = e."""
    columns = jnp.arange(len(heads), dtype=jnp.int32)
    x = jnp.zeros_like(mask).at[heads, columns].set(1) * mask
    near, weights = graph.neighbours[heads], graph.weights[heads]
    r = jnp.zeros_like(mask).at[near, columns[:, None]].add(weights) * mask
    rho = (r * r).sum(axis=0)
    return State(1, x, r, r + rho[None] * x, rho)


def _iterate(graph: Graph, mask, start: State, tolerance: float, rounds: int) -> State:
    def step(state: State) -> State:
        active = state.rho > tolerance**2  # right-hand sides are unit vectors
        q, curvature = _product(graph, mask, state.p)
        a = jnp.where(active, state.rho / jnp.where(active, curvature, 1), 0)
        x, r, rest = _descend(graph, a[None], state, q)
        b = jnp.where(active, rest / jnp.where(active, state.rho, 1), 0)
        p = _turn(graph, b[None], r, state.p)
        return State(state.round + 1, x, r, p, jnp.where(active, rest, state.rho))

    def unfinished(state: State):
        return (state.round < rounds) & (state.rho > tolerance**2).any()

    if isinstance(graph.tiles, int):
        return lax.fori_loop(start.round, rounds, lambda _, state: step(state), start)
    return lax.while_loop(unfinished, step, start)


def _product(graph: Graph, mask, p):
    """(q = masked (I - alpha S) p, p.q), tile by tile."""

    def one(index, state):
        q, curvature = state
        own = _get(p, index, graph.tile)

        def spread(chunk, rest):
            corner = _start(index, graph.tile), _start(chunk, SLOTS)
            near = lax.dynamic_slice(graph.neighbours, corner, (graph.tile, SLOTS))
            weights = lax.dynamic_slice(graph.weights, corner, (graph.tile, SLOTS))
            for slot in range(SLOTS):
                values = p.at[near[:, slot]].get(mode="promise_in_bounds")
                rest = rest - weights[:, slot, None] * values
            return rest

        chunks = graph.chunks if isinstance(graph.chunks, int) else graph.chunks[index]
        part = lax.fori_loop(0, chunks, spread, own) * _get(mask, index, graph.tile)
        return _set(q, part, index, graph.tile), curvature + (own * part).sum(axis=0)

    return lax.fori_loop(0, graph.tiles, one, (jnp.zeros_like(p), jnp.zeros(p.shape[1], p.dtype)))


def _descend(graph: Graph, a, state: State, q):
    """(x + a p, r = r - a q, r.r), tile by tile."""

    def one(index, carried):
        x, r, rho = carried
        rest = _get(r, index, graph.tile) - a * _get(q, index, graph.tile)
        found = _get(x, index, graph.tile) + a * _get(state.p, index, graph.tile)
        x, r = _set(x, found, index, graph.tile), _set(r, rest, index, graph.tile)
        return x, r, rho + (rest * rest).sum(axis=0)

    return lax.fori_loop(0, graph.tiles, one, (state.x, state.r, jnp.zeros_like(state.rho)))


def _turn(graph: Graph, b, r, p):
    """The next direction r + b p, tile by tile."""

    def one(index, p):
        part = _get(r, index, graph.tile) + b * _get(p, index, graph.tile)
        return _set(p, part, index, graph.tile)

    return lax.fori_loop(0, graph.tiles, one, p)


def _start(index, size: int):
    """int32, whatever a loop counts in."""
    return lax.convert_element_type(index, jnp.int32) * size


def _get(rows, index, size: int):
    return lax.dynamic_slice_in_dim(rows, _start(index, size), size)


def _set(rows, tile, index, size: int):
    return lax.dynamic_update_slice_in_dim(rows, tile, _start(index, size), 0)
