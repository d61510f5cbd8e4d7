"""Normalisation by the statistics of the batch at hand (Ioffe and Szegedy, ICML 2015).

Its gradient is written out: what differentiation gives keeps x - mean beside x and goes over the
maps more often, and on CPUs these passes are what a training step spends outside its products.
"""

from functools import partial

import jax
import jax.numpy as jnp

Moments = tuple[jax.Array, jax.Array]  # mean and biased variance, [C] each


@partial(jax.custom_vjp, nondiff_argnums=(4,))
def normalize_by_batch(
    x: jax.Array, mask: jax.Array, scale: jax.Array, bias: jax.Array, epsilon: float
) -> tuple[jax.Array, Moments]:
    """(y, moments), y = scale (x - mean) / sqrt(var + epsilon) + bias.

    x: [B, H, W, C]; mask: bool [B], the rows whose pixels make the moments (all are normalised).
    """
    mean, var = batch_moments(x, mask)
    return scale_and_shift(x, mean, var, scale, bias, epsilon), (mean, var)


def scale_and_shift(
    x: jax.Array,
    mean: jax.Array,
    var: jax.Array,
    scale: jax.Array,
    bias: jax.Array,
    epsilon: float,
) -> jax.Array:
    """In float32 at least: bfloat16 would round the statistics away."""
    factor = scale * jax.lax.rsqrt(var + epsilon)
    return (x * row(factor) + row(bias - mean * factor)).astype(x.dtype)


def batch_moments(x: jax.Array, mask: jax.Array) -> Moments:
    """Mean and biased variance a channel over the rows that count.

    Sums run one axis at a time: a single float32 sum over millions of pixels would lose digits
    that PyTorch's keeps.
    """
    x = x.astype(jnp.promote_types(x.dtype, jnp.float32))
    weight = _weights(x, mask)[:, None]

    def mean_of(values: jax.Array) -> jax.Array:
        return (values.mean(axis=2).mean(axis=1) * weight).sum(axis=0)

    mean = mean_of(x)
    return mean, mean_of(jnp.square(x - row(mean)))


def _weights(x: jax.Array, mask: jax.Array) -> jax.Array:
    """[B], the share of each image in the moments."""
    images = jnp.maximum(mask.sum(dtype=jnp.int32), 1)
    return mask.astype(x.dtype) / images.astype(x.dtype)


def row(vector: jax.Array) -> jax.Array:
    """[C] beside [B, H, W, C]."""
    return vector.reshape(1, 1, 1, -1)


Saved = tuple[jax.Array, jax.Array, jax.Array, jax.Array, Moments]


def _forward(
    x: jax.Array, mask: jax.Array, scale: jax.Array, bias: jax.Array, epsilon: float
) -> tuple[tuple[jax.Array, Moments], Saved]:
    y, moments = normalize_by_batch(x, mask, scale, bias, epsilon)
    return (y, moments), (x, mask, scale, bias, moments)


def _backward(
    epsilon: float, saved: Saved, slopes: tuple[jax.Array, Moments]
) -> tuple[jax.Array, None, jax.Array, jax.Array]:
    """With g the slope of y, r = 1 / sqrt(var + epsilon), and sums over all pixels of a channel:

    to bias: sum g; to scale: r sum g (x - mean); to mean: -scale r sum g;
    to var: -scale r^3 sum g (x - mean) / 2; to x: scale r g, and its share of mean and var.
    """
    x, mask, scale, bias, (mean, var) = saved
    slope, (slope_of_mean, slope_of_var) = slopes
    wide = jnp.promote_types(x.dtype, jnp.float32)
    slope = slope.astype(wide)
    centred = x.astype(wide) - row(mean)
    inverse = jax.lax.rsqrt(var + epsilon)
    # Of x itself: a sum over `centred` would have it kept beside x from the forward pass on.
    total = _sum(slope)
    by_x = _sum(slope * x.astype(wide)) - mean * total
    to_mean = slope_of_mean - scale * inverse * total
    to_var = slope_of_var - scale * inverse**3 * by_x / 2
    share = (_weights(centred, mask) / (x.shape[1] * x.shape[2])).reshape(-1, 1, 1, 1)
    to_x = slope * row(scale * inverse) + share * (row(to_mean) + centred * row(2 * to_var))
    to_scale = (inverse * by_x).astype(scale.dtype)
    return to_x.astype(x.dtype), None, to_scale, total.astype(bias.dtype)


def _sum(values: jax.Array) -> jax.Array:
    return values.sum(axis=2).sum(axis=1).sum(axis=0)


normalize_by_batch.defvjp(_forward, _backward)
