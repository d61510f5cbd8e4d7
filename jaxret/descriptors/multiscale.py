"""One descriptor of a photograph seen at several scales, and maps of several shapes.

The descriptors of all scales are L2-normalised and pooled value by value with a signed power mean,

    y = s(mean_scales s(x, p), 1 / p),  s(x, p) = sign(x) |x|^p.

With p = 1 it is the mean that Gordo et al. (IJCV 2017) take for R-MAC and the public PyTorch code
(cirtorch) for every pooling but GeM; with p = 3 it is the pooling of deep-image-retrieval, whose
release also lifts values below 0.01 to 0.01 when it takes the root: that is left out here. On
values of one sign p is the `msp` of cirtorch.
"""

from collections.abc import Callable, Sequence
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from jaxret import defaults
from jaxret.descriptors.pooling import l2_normalize
from jaxret.descriptors.rmac import rmac
from jaxret.errors import UserError


def pool_scales(x: ArrayLike, power: float = defaults.MULTISCALE_POWER) -> jax.Array:
    """[S, N, C] -> [N, C]: signed power mean over the S scales, rows L2-normalised.

    Args:
      x: the descriptors at each scale; each row is L2-normalised first, so that no scale outweighs
        another.
      power: p, above 0.
    """
    x = jnp.asarray(x)
    if x.ndim != 3 or 0 in x.shape or not power > 0:
        raise UserError(
            "Scales are pooled from descriptors [S, N, C] with a power above 0, got "
            f"{list(x.shape)} and power={power}."
        )
    return _power_mean(x, power)


@partial(jax.jit, static_argnames="power")
def _power_mean(x: jax.Array, power: float) -> jax.Array:
    mean = jnp.mean(_signed_power(l2_normalize(x), power), axis=0)
    return l2_normalize(_signed_power(mean, 1 / power))


def _signed_power(x: jax.Array, power: float) -> jax.Array:
    return jnp.sign(x) * jnp.abs(x) ** power


def resize_images(images: ArrayLike, scale: float) -> jax.Array:
    """[B, H, W, 3] pixels -> float32 [B, round(H scale), round(W scale), 3], as PIL resizes.

    Bilinear, with antialiasing where the images shrink; not rounded to whole pixel values.
    """
    images = jnp.asarray(images)
    batch, height, width, channels = images.shape
    shape = (batch, *(max(1, round(side * scale)) for side in (height, width)), channels)
    return jax.image.resize(
        images.astype(jnp.float32),
        shape,
        "linear",
        antialias=True,
        precision=jax.lax.Precision.HIGHEST,
    )


def describe_scales(
    describe: Callable[[jax.Array], jax.Array],
    images: ArrayLike,
    scales: Sequence[float] = defaults.MULTISCALES,
    power: float = defaults.MULTISCALE_POWER,
) -> jax.Array:
    """Multi-scale descriptors; may be called inside a jitted function (static scales).

    Args:
      describe: pixels [B, h, w, 3] -> [B, C], e.g. the encoder's forward and R-MAC. It meets each
        scale's size once, and gets float32 pixels of 0..255 at every scale but 1.
      images: [B, H, W, 3].
      scales: of the side lengths, each above 0.
      power: of the pooling.

    Returns:
      [B, C] float32, rows L2-normalised.
    """
    if not scales or not all(scale > 0 for scale in scales):
        raise UserError(f"Scales must be numbers above 0, got {list(scales)}.")
    images = jnp.asarray(images)
    seen = (images if scale == 1 else resize_images(images, scale) for scale in scales)
    return pool_scales(jnp.stack([describe(pixels) for pixels in seen]), power)


def group_by_shape(shapes: Sequence[tuple[int, ...]]) -> dict[tuple[int, ...], np.ndarray]:
    """{shape: ascending places that have it}: one compiled function a group, no padding."""
    groups: dict[tuple[int, ...], list[int]] = {}
    for place, shape in enumerate(shapes):
        groups.setdefault(tuple(shape), []).append(place)
    return {shape: np.array(places) for shape, places in groups.items()}


def rmac_of_maps(
    maps: Sequence[ArrayLike],
    levels: int = defaults.RMAC_LEVELS,
    include_global: bool = False,
) -> np.ndarray:
    """R-MAC of maps [h, w, C] of any mixture of shapes (photographs that keep their aspect).

    Returns:
      [N, C] float32 on the host, in the order of the maps; each row as `rmac` gives it.
    """
    if len(maps) == 0:
        raise UserError("There is no map to pool.")
    rows: dict[int, np.ndarray] = {}
    for places in group_by_shape([np.shape(fmap) for fmap in maps]).values():
        batch = jnp.stack([jnp.asarray(maps[place]) for place in places])
        vectors = np.asarray(rmac(batch, levels, include_global))
        rows.update(zip(places.tolist(), vectors, strict=True))
    if len({row.size for row in rows.values()}) > 1:
        raise UserError("All maps must have the same number of channels.")
    return np.stack([rows[place] for place in range(len(maps))])
