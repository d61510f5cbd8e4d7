"""CroW: a sum over the map, weighted by where much is seen and by how rare a channel is.

Source: Kalantidis, Mellina, Osindero, "Cross-dimensional Weighting for Aggregated Deep
Convolutional Features", ECCV workshops 2016, and its authors' public code. For a map X [H, W, C]

    S = sum_c X,  alpha = (S / ||S||_a)^(1/b)              the weight of a pixel
    q_c = the part of the pixels at which X_c is not 0
    beta_c = log(sum_k q_k / q_c), 0 where q_c is          the weight of a channel
    y_c = beta_c sum_hw alpha X_c

with a = b = 2. It is made for maps behind a ReLU: the root of a negative S does not exist, so what
lies below 0 is taken as 0.
"""

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from jaxret.defaults import CROW_A, CROW_B
from jaxret.descriptors.pooling import check_map


@jax.jit
def crow(fmap: ArrayLike) -> jax.Array:
    """[B, H, W, C] -> [B, C] float32, not normalised; a map of zeros stays zero."""
    fmap = jnp.asarray(fmap)
    check_map(fmap)
    x = jnp.maximum(fmap.astype(jnp.float32), 0)
    weighted = x * _pixel_weights(x)[..., None]
    return jnp.sum(weighted, axis=(1, 2)) * _channel_weights(x)


def _pixel_weights(x: jax.Array) -> jax.Array:
    """Alpha [B, H, W]; 0 where nothing is seen, which has a gradient as well."""
    total = jnp.sum(x, axis=-1)
    largest = jnp.max(total, axis=(1, 2), keepdims=True)
    # By the largest first: the square of a sum of many channels may leave float32.
    part = total / jnp.where(largest > 0, largest, jnp.float32(1))
    powers = jnp.sum(part**CROW_A, axis=(1, 2), keepdims=True)
    norm = jnp.where(powers > 0, powers, jnp.float32(1)) ** (1 / CROW_A)
    seen = part > 0
    return jnp.where(seen, jnp.where(seen, part / norm, jnp.float32(1)) ** (1 / CROW_B), 0)


def _channel_weights(x: jax.Array) -> jax.Array:
    """Beta [B, C]."""
    seen = jnp.mean(x > 0, axis=(1, 2), dtype=jnp.float32)
    share = jnp.where(seen > 0, seen, jnp.float32(1))
    rarity = jnp.log(jnp.sum(seen, axis=-1, keepdims=True) / share)
    return jnp.where(seen > 0, rarity, jnp.float32(0))
