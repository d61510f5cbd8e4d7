"""Conjugate gradients for many nodes at once, each on its own list of nodes.

Node i with list T_i (itself first): (I - alpha S)[T_i, T_i] f = e_0, from 0, stopped by scipy's
rule, which is part of the published result: after the update of x and r, where
||r|| <= tolerance * ||b||, and after `rounds` rounds whatever the residual.

The columns of a block are nodes, its rows all of the graph; a mask keeps every column in its own
list. Many right-hand sides feed the machine ten times better than one short list a node.
"""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from jaxret.ranking.graph import Graph


def solve(
    graph: Graph,
    lists: NDArray[np.int32],
    alpha: float,
    tolerance: float,
    rounds: int,
    block_size: int | None = None,
) -> NDArray[np.float32]:
    """The f of every list's first node: float32 [M, n] for `lists` int32 [M, n]."""
    size = min(block_size or 128, len(lists))
    scores = np.empty(lists.shape, np.float32)
    neighbours, weights = jnp.asarray(graph.neighbours.T), jnp.asarray(graph.weights.T)
    for start in range(0, len(lists), size):
        part = lists[start : start + size]
        padded = np.concatenate([part, np.repeat(part[:1], size - len(part), axis=0)])
        found = _solve_block(
            neighbours, weights, padded, alpha=alpha, tolerance=tolerance, rounds=rounds
        )
        scores[start : start + size] = np.asarray(found)[: len(part)]
    return scores


@partial(jax.jit, static_argnames=("alpha", "tolerance", "rounds"))
def _solve_block(neighbours, weights, lists, *, alpha: float, tolerance: float, rounds: int):
    nodes, count = neighbours.shape[1], lists.shape[0]
    columns = jnp.arange(count)
    mask = jnp.zeros((nodes, count), jnp.float32).at[lists, columns[:, None]].set(1)

    def product(p):
        def add(slot, total):
            return total + weights[slot][:, None] * p.at[neighbours[slot]].get(
                mode="promise_in_bounds"
            )

        spread = jax.lax.fori_loop(0, neighbours.shape[0], add, jnp.zeros_like(p))
        return (p - alpha * spread) * mask

    def running(state):
        count, _, _, _, rho = state
        return (count < rounds) & (rho > tolerance**2).any()

    def step(state):
        count, x, r, p, rho = state
        active = rho > tolerance**2  # b is e_0: ||b|| = 1
        q = product(p)
        a = jnp.where(active, rho / jnp.where(active, (p * q).sum(0), 1), 0)[None]
        x, r = x + a * p, r - a * q
        following = jnp.where(active, (r * r).sum(0), rho)
        p = r + (following / jnp.where(active, rho, 1))[None] * p
        return count + 1, x, r, p, following

    b = jnp.zeros((nodes, count), jnp.float32).at[lists[:, 0], columns].set(1)
    start = (0, jnp.zeros_like(b), b, b, jnp.ones(count, jnp.float32))
    x = jax.lax.while_loop(running, step, start)[1]
    return x[lists, columns[:, None]]
