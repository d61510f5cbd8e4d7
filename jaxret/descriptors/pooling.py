"""Pooling of a convolution's output map into one vector, and L2 normalisation."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from jaxret import defaults
from jaxret.errors import UserError

LARGEST_POWER = 4.0  # eps^4 = 1e-24 and 1e9^4 = 1e36 are still normal float32 numbers


@partial(jax.jit, static_argnames="eps")
def l2_normalize(x: ArrayLike, eps: float = 1e-12) -> jax.Array:
    """Scales each row (last axis) to length 1: x / max(||x||, eps). A zero row stays zero.

    Args:
      x: [..., C]; integers are taken as float32, bfloat16 is normalised in float32.
      eps: the least length divided by. Not added to the norm, so that rows are unit vectors to
        the last bit; its square must be a normal float32.

    Returns:
      [..., C] float32 (float64 where x is).
    """
    x = jnp.asarray(x)
    x = x.astype(jnp.promote_types(x.dtype, jnp.float32))
    # The maximum is taken before the root: at a zero row the gradient is then 0 and not NaN.
    squared = jnp.sum(x * x, axis=-1, keepdims=True)
    return x / jnp.sqrt(jnp.maximum(squared, eps * eps))


def check_map(fmap: jax.Array) -> None:
    """Raises UserError unless `fmap` is a batch of maps [B, H, W, C] with at least one pixel."""
    if fmap.ndim != 4 or 0 in fmap.shape[1:]:
        raise UserError(
            f"Expected maps of shape [B, H, W, C] with H, W and C at least 1, got "
            f"{list(fmap.shape)}; pass the encoder's output for a batch of photographs."
        )


@partial(jax.jit, static_argnames="eps")
def _generalized_mean(fmap: jax.Array, p: jax.Array, eps: float) -> jax.Array:
    clamped = jnp.maximum(fmap, eps)
    largest = jnp.max(clamped, axis=(1, 2))
    limit = jnp.isinf(p.reshape(1, -1))
    exponent = jnp.where(limit, jnp.float32(1), p.reshape(1, -1))
    # Beyond LARGEST_POWER x^p leaves float32's range: there m mean((x/m)^p)^(1/p), m the maximum.
    scale = jnp.where(exponent <= LARGEST_POWER, jnp.ones_like(largest), largest)
    powered = (clamped / scale[:, None, None]) ** exponent[:, None, None]
    mean = scale * jnp.mean(powered, axis=(1, 2)) ** (1.0 / exponent)
    return jnp.where(limit, largest, mean)


def _check_exponent(p: ArrayLike) -> None:
    """Raises UserError unless every exponent is above 0; a traced one cannot be looked at."""
    if isinstance(p, jax.core.Tracer):
        return
    values = np.asarray(p, np.float32)
    if not (values > 0).all():  # false for NaN too
        wrong = values.ravel()[~(values.ravel() > 0)][0]
        raise UserError(f"GeM's exponent must be above 0 (inf is the maximum), got {wrong:g}.")


def _check_negatives(negatives: str) -> None:
    if negatives not in defaults.GEM_NEGATIVES:
        known = ", ".join(defaults.GEM_NEGATIVES)
        raise UserError(f"GeM knows no negatives={negatives!r}; allowed: {known}.")


def gem(
    fmap: ArrayLike,
    p: ArrayLike = defaults.GEM_P,
    eps: float = 1e-6,
    negatives: str = "clamp",
) -> jax.Array:
    """Generalised-mean pooling (GeM): mean(max(x, eps)^p)^(1/p) over the map, channel by channel.

    Source: Radenovic, Tolias, Chum, "Fine-tuning CNN Image Retrieval with No Human Annotation",
    TPAMI 2018, eq. (3). p = 1 is the mean (SPoC), p = infinity the maximum (MAC).

    That is for maps behind a ReLU. Those of Vision Transformers have values below 0, of which
    "clamp" sees nothing: all are eps. "shift" is what the code of ILIAS does with them: with
    m = min(0, min x) of a photograph's channel, mean(max(x + m, eps)^p)^(1/p) - m. It keeps how far
    below 0 a channel goes, and counts of the values above 0 those alone that exceed -m; where
    there are none below 0 it is the same as "clamp".

    Args:
      fmap: [B, H, W, C].
      p: one exponent, or one a channel [C]; above 0, infinity included.
      eps: values below it are taken as eps.
      negatives: "clamp" or "shift".

    Returns:
      [B, C] float32, not normalised.
    """
    fmap, exponent = jnp.asarray(fmap), jnp.asarray(p, jnp.float32)
    check_map(fmap)
    _check_exponent(p)
    _check_negatives(negatives)
    if exponent.size not in (1, fmap.shape[-1]):
        raise UserError(
            f"GeM takes one exponent or one a channel: got {exponent.size} for maps of "
            f"{fmap.shape[-1]} channels."
        )
    fmap = fmap.astype(jnp.float32)
    if negatives == "clamp":
        return _generalized_mean(fmap, exponent, eps)
    least = jnp.minimum(jnp.min(fmap, axis=(1, 2)), 0)
    return _generalized_mean(fmap + least[:, None, None], exponent, eps) - least


@jax.jit
def mac(fmap: ArrayLike) -> jax.Array:
    """MAC: the maximum over the map, [B, H, W, C] -> [B, C] float32.

    Source: Tolias, Sicre, Jegou, ICLR 2016, section 3.1.
    """
    fmap = jnp.asarray(fmap)
    check_map(fmap)
    return jnp.max(fmap.astype(jnp.float32), axis=(1, 2))


@jax.jit
def spoc(fmap: ArrayLike) -> jax.Array:
    """SPoC: the mean over the map, [B, H, W, C] -> [B, C] float32.

    Source: Babenko, Lempitsky, "Aggregating Deep Convolutional Features for Image Retrieval",
    ICCV 2015, eq. (1), divided by the number of pixels and without the centring prior, as in
    cirtorch. Of a Vision Transformer it is the mean of the patches' tokens.
    """
    fmap = jnp.asarray(fmap)
    check_map(fmap)
    return jnp.mean(fmap.astype(jnp.float32), axis=(1, 2))
