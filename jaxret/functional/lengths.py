"""Lengths of descriptors and rows at length 1, as exact as the order of neighbours."""

import jax
import jax.numpy as jnp

from jaxret.functional.precision import widest, working


@jax.jit
def lengths(rows: jax.Array) -> jax.Array:
    """Of each row [N, D]: float32 [N]."""
    rows = working(rows)
    return widest(lambda x: _root(x).astype(rows.dtype), rows)


@jax.jit
def at_length_one(rows: jax.Array) -> jax.Array:
    """Rows [N, D], none of them zero, over their lengths: float32 [N, D]."""
    rows = working(rows)
    return widest(lambda x: (x / _root(x)[:, None]).astype(rows.dtype), rows)


def _root(x: jax.Array) -> jax.Array:
    return jnp.sqrt((x * x).sum(axis=1))
