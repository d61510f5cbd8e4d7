"""Cosine similarity with a gradient that is finite everywhere."""

import jax
import jax.numpy as jnp
from jax import lax

SHORTEST = 1e-12  # a row below this length has no direction; its square is a normal float32


def unit_rows(x: jax.Array) -> jax.Array:
    """Rows of length 1: x / ||x|| along the last axis, in float32 at least.

    A zero row stays zero and gets no gradient: x / max(||x||, eps), which descriptors are
    normalised by, would multiply it by 1 / eps.
    """
    x = x.astype(jnp.promote_types(x.dtype, jnp.float32))
    squared = jnp.sum(x * x, axis=-1, keepdims=True)
    has_direction = ~(squared <= SHORTEST**2)  # NaN has to come out as NaN
    # The inner `where` keeps the root of zero, whose slope is infinite, out of the gradient.
    length = jnp.sqrt(jnp.where(has_direction, squared, 1))
    return jnp.where(has_direction, x / length, 0)


def products(a: jax.Array, b: jax.Array) -> jax.Array:
    """Every row of a times every row of b: [A, D], [B, D] -> [A, B].

    In full float32: left to themselves GPUs and TPUs would multiply in fewer bits.
    """
    return jnp.matmul(a, b.T, precision=lax.Precision.HIGHEST)
