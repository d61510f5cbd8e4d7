"""Average precision of a ranking, for use inside other jitted functions."""

import jax
import jax.numpy as jnp


@jax.jit
def average_precision(ranks: jax.Array, positives: jax.Array, junk: jax.Array) -> jax.Array:
    """Average precision of one query by trapezoids; `jaxret.average_precision` has the equation.

    Args:
      ranks: int32 [R] database ids, best first, none twice; -1 where nothing was returned.
      positives, junk: int32 [P] and [J] ids in any order, padded with -1.

    Returns:
      float32 scalar; 0 where no positive was returned, NaN where there is none at all.
    """
    returned = ranks >= 0
    positive = returned & jnp.isin(ranks, positives)
    ignored = returned & jnp.isin(ranks, junk)
    count = (positives >= 0).sum(dtype=jnp.int32)
    # 0-based: returned before it without the junk, and positives before it.
    rank = _before(returned) - _before(ignored)
    j = _before(positive)
    before = jnp.where(rank == 0, 1, j / jnp.maximum(rank, 1).astype(jnp.float32))
    area = jnp.where(positive, before + (j + 1) / (rank + 1).astype(jnp.float32), 0).sum() / 2
    return jnp.where(count == 0, jnp.nan, area / count)


def _before(marked: jax.Array) -> jax.Array:
    return jnp.cumsum(marked, dtype=jnp.int32) - marked.astype(jnp.int32)
