"""The order of a ranking."""

import jax
import jax.numpy as jnp
from jax import lax

from jaxret.functional.neighbours import Neighbours


@jax.jit
def order(scores: jax.Array, fill: jax.Array | None = None) -> Neighbours:
    """The whole database for every query: score, descending, then id, ascending.

    Args:
      scores: [Q, N], of a diffusion 0 where it reached nothing.
      fill: similarities [Q, N] by which the rows at 0 are put in order among themselves; None
        leaves them in the order of their ids.

    Returns:
      (scores [Q, N], ids int32 [Q, N]), best first.
    """
    ids = jnp.broadcast_to(jnp.arange(scores.shape[1], dtype=jnp.int32)[None], scores.shape)
    keys = [-scores]
    if fill is not None:
        keys.append(jnp.where(scores == 0, -fill, 0))
    *keys, ids = lax.sort((*keys, ids), num_keys=len(keys) + 1)
    return -keys[0], ids
