"""PCA-whitening: centre, rotate to the principal directions, scale, L2-normalise.

Source: Jegou, Chum, ECCV 2012. `jaxret.PCAWhitening` is the same with checks, and kept in files.
"""

from functools import partial

import jax
import jax.numpy as jnp

from jaxret import defaults
from jaxret.descriptors.pooling import l2_normalize
from jaxret.descriptors.whitening import LEAST_VARIANCE
from jaxret.functional.precision import HIGHEST, widest, working


@partial(jax.jit, static_argnames=("dim", "power"))
def whitening(
    x: jax.Array, dim: int = defaults.PCA_DIM, power: float = 0.5
) -> tuple[jax.Array, jax.Array]:
    """Learns a whitening: projection = diag(variance^-power) components.

    In float64 where the device is fast at it. Where it is not, small eigenvalues do not survive
    float32: learn the whitening on the host then, by `jaxret.PCAWhitening.fit`.

    Args:
      x: [N, C] descriptors.
      dim: directions kept, static, at most min(N - 1, C).
      power: exponent of the variance that is divided by, static.

    Returns:
      (mean float32 [C], projection float32 [dim, C]); the entry of largest magnitude of each
      direction is positive, directions without variance are 0.
    """
    x = working(x)
    return widest(partial(_whitening, dim=dim, power=power, dtype=x.dtype), x)


def _whitening(x: jax.Array, dim: int, power: float, dtype) -> tuple[jax.Array, jax.Array]:
    mean = x.mean(axis=0)
    centred = x - mean[None]
    by_rows = len(x) < x.shape[1]
    # Xc Xc^T and Xc^T Xc have the same eigenvalues other than 0; an eigenvector u of the first
    # gives Xc^T u of the second.
    left = centred if by_rows else centred.T
    values, vectors = jnp.linalg.eigh(jnp.matmul(left, left.T, precision=HIGHEST))
    variance, vectors = values[::-1][:dim] / len(x), vectors[:, ::-1][:, :dim]
    components = vectors.T
    if by_rows:
        components = jnp.matmul(components, centred, precision=HIGHEST)
        components = l2_normalize(components)
    positive = components.max(axis=1) >= -components.min(axis=1)
    sign = jnp.where(positive, 1, -1)[:, None]
    kept = variance > LEAST_VARIANCE * variance[0]
    scale = jnp.where(kept, jnp.where(kept, variance, 1) ** -power, 0)
    return mean.astype(dtype), (scale[:, None] * sign * components).astype(dtype)


@jax.jit
def whiten(x: jax.Array, mean: jax.Array, projection: jax.Array) -> jax.Array:
    """Y = l2_normalize(projection (x - mean)) of rows x.

    Args:
      x: [N, C]. mean: [C]. projection: [dim, C].

    Returns:
      float32 [N, dim], rows L2-normalised (a row equal to the mean stays zero).
    """
    # Full float32 products: GPUs and TPUs would otherwise round to TF32 or bfloat16.
    return l2_normalize(jnp.matmul(working(x) - mean[None], projection.T, precision=HIGHEST))
