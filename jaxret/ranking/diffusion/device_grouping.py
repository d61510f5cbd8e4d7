"""`jaxret.ranking.diffusion.grouping` as one compiled loop, for lists that lie on a device."""

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from numpy.typing import NDArray

from jaxret.ranking.diffusion.grouping import CANDIDATES, GROUP


def close_order(nearest: jax.Array, degrees: jax.Array) -> NDArray[np.int64]:
    """The order of `jaxret.ranking.diffusion.grouping.close_order`, whose nodes are the graph.

    A CPU compiles it for longer than its own loop over some thousand nodes takes, so hosts keep
    that; on a device the lists stay where they are, and only the order leaves it.

    Args:
      nearest: int32 [N, m], each node's nearest others, best first.
      degrees: int32 [N].
    """
    groups, count = jax.device_get(_groups(nearest, degrees))
    groups = groups[:count]
    whole = groups[:, -1] < len(nearest)
    short = groups[~whole]
    return np.concatenate([groups[whole].ravel(), short[short < len(nearest)]]).astype(np.int64)


@jax.jit
def _groups(nearest: jax.Array, degrees: jax.Array) -> tuple[jax.Array, jax.Array]:
    """([N, GROUP] nodes in the order of their taking, N for none; how many rows are used)."""
    nodes = len(nearest)
    order = jnp.argsort(-degrees, stable=True).astype(jnp.int32)

    def take(state):
        place, free, listed, groups, count = state
        node = order[place]
        free = free.at[node].set(False)
        others, valid = _first(nearest[node], free[nearest[node]])
        listed = listed.at[nearest[node]].set(True)
        overlap = listed[nearest[others]].sum(axis=1, dtype=jnp.int32)
        listed = listed.at[nearest[node]].set(False)
        _, best = lax.top_k(jnp.where(valid, overlap, -1), GROUP - 1)
        taken = jnp.where(valid[best], others[best], nodes)
        free = free.at[taken].set(False, mode="drop")
        groups = groups.at[count].set(jnp.concatenate([node[None], taken]))
        return _next_free(order, free, place), free, listed, groups, count + 1

    start = (
        jnp.int32(0),
        jnp.ones(nodes, jnp.bool_),
        jnp.zeros(nodes, jnp.bool_),
        jnp.full((nodes, GROUP), nodes, jnp.int32),
        jnp.int32(0),
    )
    return lax.while_loop(lambda state: state[0] < nodes, take, start)[3:]


def _first(others: jax.Array, usable: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The first `CANDIDATES` of those that are usable, and which of these there are."""
    (at,) = jnp.nonzero(usable, size=CANDIDATES, fill_value=0)
    there = usable.sum(dtype=jnp.int32)
    return others[at], jnp.arange(CANDIDATES, dtype=jnp.int32) < there


def _next_free(order: jax.Array, free: jax.Array, place: jax.Array) -> jax.Array:
    """The next place in `order` of a free node, or its length."""

    def taken(place):
        return (place < len(order)) & ~free[order[jnp.minimum(place, len(order) - 1)]]

    return lax.while_loop(taken, lambda place: place + 1, place)
