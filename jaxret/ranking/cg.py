"""Conjugate gradients for many nodes at once, each on its own list of nodes.

Node i with list T_i (itself first): (I - alpha S)[T_i, T_i] f = e_0, from 0, stopped by scipy's
rule, which is part of the published result: after the update of x and r, where
||r|| <= tolerance * ||b||, and after `rounds` rounds whatever the residual.

Sixteen nodes whose lists overlap are solved as the columns of one block: its rows are the union of
their lists, and a mask keeps every column in its own list. A list of scalars a node would leave
the vector units idle; so every edge is sixteen multiply-adds in a row.
"""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from numpy.typing import NDArray

from jaxret.ranking.graph import Graph
from jaxret.ranking.grouping import GROUP, components
from jaxret.ranking.workers import free_bytes, in_threads

# Rows of a block that are worked on while they lie in the first-level caches, and neighbour slots
# that one fused loop reads: measured on AVX-512 cores, flat around these.
TILE = 256
SLOTS = 8


class Solver:
    """Diffuses nodes of one graph; made once, used for every shard of nodes.

    On the CPU each core takes a group of nodes at a time, in tiles that stay in its caches. On
    accelerators many groups lie side by side, spread over the devices of a mesh.
    """

    def __init__(
        self,
        graph: Graph,
        alpha: float,
        tolerance: float,
        rounds: int,
        block_size: int | None = None,
        mesh: Mesh | None = None,
    ) -> None:
        """
        Args:
          graph: S.
          alpha, tolerance, rounds: as above.
          block_size: nodes at once on accelerators, None for what their memory allows.
          mesh: one axis of devices to spread over, None for all accelerators of this process, or
            the cores where it has none.
        """
        self.place, neighbours, weights = _by_degree(graph)
        self.component = components(graph)
        self.rule = (tolerance, rounds)
        if mesh is None and jax.default_backend() != "cpu":
            mesh = Mesh(np.array(jax.local_devices()), ("nodes",))
        self.mesh = mesh
        self.block_size = block_size
        where = NamedSharding(mesh, PartitionSpec()) if mesh else jax.local_devices()[0]
        self.neighbours = jax.device_put(neighbours, where)
        self.weights = jax.device_put(np.float32(alpha) * weights, where)

    def solve(self, lists: NDArray[np.int32]) -> NDArray[np.float32]:
        """The f of every list's first node: float32 [M, n] for `lists` int32 [M, n].

        Consecutive runs of `GROUP` lists are solved together.
        """
        scores = np.empty(lists.shape, np.float32)
        size = GROUP * self._groups_at_once(lists.shape[1])
        solve = self._solve_on_mesh if self.mesh else self._solve_on_core

        def one(start: int) -> None:
            part = self._placed(lists[start : start + size], size)
            found = np.asarray(solve(part)).reshape(size, -1)
            scores[start : start + size] = found[: len(lists) - start]

        starts = range(0, len(lists), size)
        if self.mesh:
            for start in starts:
                one(start)
        else:
            in_threads(one, starts)
        return scores

    def _groups_at_once(self, length: int) -> int:
        if not self.mesh:
            return 1
        devices = self.mesh.size
        if self.block_size:
            groups = -(-self.block_size // GROUP)
        else:
            capacity = min(len(self.place), GROUP * length)
            # x, r, p, q, mask and two temporaries a node; two integer or float tables a slot.
            held = 4 * capacity * (7 * GROUP + 4 * self.neighbours.shape[1])
            groups = devices * max(1, free_bytes(self.mesh.devices.flat[0]) // 4 // held)
        return -(-groups // devices) * devices

    def _placed(self, lists: NDArray[np.int32], size: int) -> NDArray[np.int32]:
        """[size / GROUP, GROUP, n]: lists by falling degree, padded, the unreachable left out."""
        nobody = len(self.place) - 1
        reached = self.component[lists] == self.component[lists[:, :1]]
        placed = np.full((size, lists.shape[1]), nobody, np.int32)
        placed[: len(lists)] = np.where(reached, self.place[lists], nobody)
        return placed.reshape(-1, GROUP, lists.shape[1])

    def _solve_on_core(self, groups: NDArray[np.int32]) -> jax.Array:
        rows = _unions(groups, len(self.place) - 1)
        return _solve_tiled(self.neighbours, self.weights, rows[0], groups[0], *self.rule)

    def _solve_on_mesh(self, groups: NDArray[np.int32]) -> jax.Array:
        assert self.mesh is not None
        spread = NamedSharding(self.mesh, PartitionSpec(self.mesh.axis_names[0]))
        rows = _unions(groups, len(self.place) - 1)
        rows_there, groups_there = jax.device_put((rows, groups), spread)
        return _solve_whole(self.neighbours, self.weights, rows_there, groups_there, *self.rule)


def _by_degree(
    graph: Graph,
) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.float32]]:
    """(place of each node, neighbours, weights) with the nodes in the order of falling degree.

    The rows of a tile then need about as many slots as each other. One more row, nobody, has
    weight 0 and value 0: padding points there.
    """
    count, slots = graph.neighbours.shape
    order = np.argsort(-graph.degrees, kind="stable")
    place = np.empty(count + 1, np.int32)
    place[order] = np.arange(count)
    place[count] = count
    width = -(-slots // SLOTS) * SLOTS
    neighbours = np.full((count + 1, width), count, np.int32)
    weights = np.zeros((count + 1, width), np.float32)
    weights[:count, :slots] = graph.weights[order]
    used = graph.weights[order] > 0
    neighbours[:count, :slots] = np.where(used, place[graph.neighbours[order]], count)
    return place, neighbours, weights


def _unions(groups: NDArray[np.int32], nobody: int) -> NDArray[np.int32]:
    """[groups, capacity]: ascending union of each group's lists, then at least one nobody.

    Few capacities, powers of two, since each is compiled for.
    """
    unions = []
    for lists in groups:
        found = np.zeros(nobody + 1, np.bool_)
        found[lists] = True
        unions.append(np.flatnonzero(found[:nobody]))
    longest = max(len(union) for union in unions)
    limit = -(-(nobody + 1) // TILE) * TILE
    capacity = min(limit, max(TILE, 1 << longest.bit_length()))
    rows = np.full((len(groups), capacity), nobody, np.int32)
    for row, union in zip(rows, unions, strict=True):
        row[: len(union)] = union
    return rows


@partial(jax.jit, static_argnames=("tolerance", "rounds"))
def _solve_tiled(neighbours, weights, rows, lists, tolerance, rounds):
    """One group, in tiles that stay in the caches, as many as its union fills."""
    return _solve_group(neighbours, weights, rows, lists, tolerance, rounds, TILE)


@partial(jax.jit, static_argnames=("tolerance", "rounds"))
def _solve_whole(neighbours, weights, rows, groups, tolerance, rounds):
    """Many groups side by side, each as one tile, in loops of fixed length."""

    def solve(rows, lists):
        return _solve_group(neighbours, weights, rows, lists, tolerance, rounds, rows.shape[0])

    return jax.vmap(solve)(rows, groups)


def _solve_group(neighbours, weights, rows, lists, tolerance: float, rounds: int, tile: int):
    """F [GROUP, n] on the lists [GROUP, n], over the rows [capacity] of their union."""
    capacity, nobody = rows.shape[0], neighbours.shape[0] - 1
    whole = tile == capacity
    place = jnp.full(nobody + 1, capacity - 1, jnp.int32)
    place = place.at[rows].set(jnp.arange(capacity, dtype=jnp.int32)).at[nobody].set(capacity - 1)
    local, weights = place[neighbours[rows]], weights[rows]
    lists, columns = place[lists], jnp.arange(lists.shape[0])
    mask = jnp.zeros((capacity, len(columns)), jnp.float32).at[lists, columns[:, None]].set(1)
    mask = mask.at[capacity - 1].set(0)
    tiles = 1 if whole else ((rows < nobody).sum() + tile - 1) // tile
    slots = (weights > 0).sum(axis=1).reshape(-1, tile).max(axis=1)
    chunks = (slots + SLOTS - 1) // SLOTS

    def product(p):
        """(Ap, p.Ap), tile by tile."""

        def one(index, state):
            q, total = state
            own = _tile(p, index, tile)

            def spread(chunk, rest):
                near = lax.dynamic_slice(local, (index * tile, chunk * SLOTS), (tile, SLOTS))
                w = lax.dynamic_slice(weights, (index * tile, chunk * SLOTS), (tile, SLOTS))
                for slot in range(SLOTS):
                    values = p.at[near[:, slot]].get(mode="promise_in_bounds")
                    rest = rest - w[:, slot, None] * values
                return rest

            last = weights.shape[1] // SLOTS if whole else chunks[index]
            part = lax.fori_loop(0, last, spread, own) * _tile(mask, index, tile)
            return _set_tile(q, part, index, tile), total + (own * part).sum(axis=0)

        return lax.fori_loop(0, tiles, one, (jnp.zeros_like(p), jnp.zeros(p.shape[1])))

    def descend(a, x, r, p, q):
        """(x + a p, r - a q, r.r), tile by tile."""

        def one(index, state):
            x, r, total = state
            rest = _tile(r, index, tile) - a * _tile(q, index, tile)
            found = _tile(x, index, tile) + a * _tile(p, index, tile)
            x, r = _set_tile(x, found, index, tile), _set_tile(r, rest, index, tile)
            return x, r, total + (rest * rest).sum(axis=0)

        return lax.fori_loop(0, tiles, one, (x, r, jnp.zeros(p.shape[1])))

    def turn(b, r, p):
        """The next direction r + b p, tile by tile."""

        def one(index, p):
            part = _tile(r, index, tile) + b * _tile(p, index, tile)
            return _set_tile(p, part, index, tile)

        return lax.fori_loop(0, tiles, one, p)

    def step(state):
        count, x, r, p, rho = state
        active = rho > tolerance**2  # b is a unit vector
        q, curvature = product(p)
        a = jnp.where(active, rho / jnp.where(active, curvature, 1), 0)
        x, r, rest = descend(a[None], x, r, p, q)
        b = jnp.where(active, rest / jnp.where(active, rho, 1), 0)
        return count + 1, x, r, turn(b[None], r, p), jnp.where(active, rest, rho)

    # The first round needs no product: A e_0 is a row of the graph, e_0 . A e_0 is 1, so x = e_0.
    heads = lists[:, 0]
    x = jnp.zeros_like(mask).at[heads, columns].set(1) * mask
    r = jnp.zeros_like(mask).at[local[heads], columns[:, None]].add(weights[heads]) * mask
    rho = (r * r).sum(axis=0)
    state = (1, x, r, r + rho[None] * x, rho)
    if whole:
        state = lax.fori_loop(1, rounds, lambda _, state: step(state), state)
    else:
        unfinished = lambda state: (state[0] < rounds) & (state[4] > tolerance**2).any()  # noqa: E731
        state = lax.while_loop(unfinished, step, state)
    return state[1][lists, columns[:, None]]


def _tile(rows, index, size: int):
    return lax.dynamic_slice(rows, (index * size, 0), (size, rows.shape[1]))


def _set_tile(rows, tile, index, size: int):
    return lax.dynamic_update_slice(rows, tile, (index * size, 0))
