"""One descriptor of a photograph seen at several scales.

The descriptors of all scales are L2-normalised and pooled value by value with a signed power mean,

    y = s(mean_scales s(x, p), 1 / p),  s(x, p) = sign(x) |x|^p.

With p = 1 it is the mean that Gordo et al. (IJCV 2017) take for R-MAC and the public PyTorch code
(cirtorch) for every pooling but GeM; with p = 3 it is the pooling of deep-image-retrieval, whose
release also lifts values below 0.01 to 0.01 when it takes the root: that is left out here. On
values of one sign p is the `msp` of cirtorch. DINO's evaluation takes the mean of the vectors as
they are, so that a scale counts by its length: that is `normalize=False`.
"""

from functools import partial

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from jaxret import defaults
from jaxret.descriptors.pooling import l2_normalize
from jaxret.errors import UserError


def pool_scales(
    x: ArrayLike, power: float = defaults.MULTISCALE_POWER, normalize: bool = True
) -> jax.Array:
    """[S, N, C] -> [N, C]: signed power mean over the S scales, rows L2-normalised.

    Args:
      x: the descriptors at each scale.
      power: p, above 0.
      normalize: L2-normalise each row first, so that no scale outweighs another.
    """
    x = jnp.asarray(x)
    if x.ndim != 3 or 0 in x.shape or not power > 0:
        raise UserError(
            "Scales are pooled from descriptors [S, N, C] with a power above 0, got "
            f"{list(x.shape)} and power={power}."
        )
    return _power_mean(x, power, normalize)


@partial(jax.jit, static_argnames=("power", "normalize"))
def _power_mean(x: jax.Array, power: float, normalize: bool) -> jax.Array:
    rows = l2_normalize(x) if normalize else x.astype(jnp.promote_types(x.dtype, jnp.float32))
    mean = jnp.mean(_signed_power(rows, power), axis=0)
    return l2_normalize(_signed_power(mean, 1 / power))


def _signed_power(x: jax.Array, power: float) -> jax.Array:
    return jnp.sign(x) * jnp.abs(x) ** power
