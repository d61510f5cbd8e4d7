"""Where a view lies in its photograph: the random resized crop, and the flip.

The draw is that of torchvision's `RandomResizedCrop`. Bilinear interpolation with antialiasing, as
it resizes PIL images; as there, pixels outside the box have no part in it. (They would in
`jax.image.scale_and_translate`, which filters before it cuts.)
"""

import math

import jax
import jax.numpy as jnp

_TRIES = 10


def draw_box(
    key: jax.Array,
    height: int,
    width: int,
    area: tuple[float, float],
    ratio: tuple[float, float],
) -> jax.Array:
    """Draws a box by its share of the area, uniform, and its aspect ratio, log-uniform.

    The first of ten draws that fits in the photograph; if none does, the largest box in the middle
    whose aspect ratio is allowed.

    Args:
        key: Of the photograph.
        height: Of the photograph, in pixels.
        width: Of the photograph, in pixels.
        area: Smallest and largest share.
        ratio: Smallest and largest width / height.

    Returns:
        int32 [4]: top, left, height, width.
    """
    # One call for all of them: every call takes a good part of a second to compile.
    drawn = jax.random.uniform(key, (2 * _TRIES + 2,))
    areas, ratios, corner = jnp.split(drawn, (_TRIES, 2 * _TRIES))
    areas = height * width * (area[0] + (area[1] - area[0]) * areas)
    low, high = (math.log(bound) for bound in ratio)
    ratios = jnp.exp(low + (high - low) * ratios)
    sides = jnp.stack([jnp.sqrt(areas / ratios), jnp.sqrt(areas * ratios)], axis=1)
    sides = jnp.round(sides).astype(jnp.int32)
    whole = jnp.array([height, width])
    fits = jnp.all((sides > 0) & (sides <= whole[None]), axis=1)
    sides = sides[jnp.argmax(fits)]  # the first that fits
    corner = jnp.floor(corner * (whole - sides + 1)).astype(jnp.int32)
    box = jnp.concatenate([corner, sides])
    return jnp.where(jnp.any(fits), box, jnp.array(_box_in_the_middle(height, width, ratio)))


def _box_in_the_middle(
    height: int, width: int, ratio: tuple[float, float]
) -> tuple[int, int, int, int]:
    rows = min(height, round(width / ratio[0]))
    columns = min(width, round(height * ratio[1]))
    return (height - rows) // 2, (width - columns) // 2, rows, columns


def resized_crop(
    image: jax.Array, box: jax.Array, size: int, flip: jax.typing.ArrayLike = False
) -> jax.Array:
    """Cuts a box out of a photograph and resizes it to a square.

    Each side is a sum over the few pixels that make an output. As products with matrices of
    weights [inputs, outputs], mostly zeros, it took nearly three times as long on two CPU cores.

    Args:
        image: [H, W, 3].
        box: int32 [4], top, left, height and width.
        size: Pixels a side of the result.
        flip: Whether to mirror the result, left to right.

    Returns:
        float32 [3, size, size].
    """
    height, width, channels = image.shape
    top, left, rows, columns = box
    y, y_weights = _taps(top, rows, height, size)
    x, x_weights = _taps(left, columns, width, size)
    x, x_weights = (jnp.where(flip, taps[::-1], taps) for taps in (x, x_weights))
    resized = _weighted_rows(image.reshape(height, -1), y, y_weights)
    by_column = resized.reshape(size, width, channels).transpose(1, 2, 0).reshape(width, -1)
    resized = _weighted_rows(by_column, x, x_weights)
    return resized.reshape(size, channels, size).transpose(1, 2, 0)


def _taps(
    start: jax.Array, length: jax.Array, inputs: int, outputs: int
) -> tuple[jax.Array, jax.Array]:
    """Which pixels of a side make each output, and their weights: both [outputs, taps].

    A triangle around the output's centre, as wide as the outputs lie apart, one pixel at least.
    """
    scale = length / outputs
    reach = jnp.maximum(scale, 1.0)
    count = math.ceil(2 * max(inputs / outputs, 1))  # of the widest triangle
    centres = (jnp.arange(outputs) + 0.5) * scale - 0.5
    first = jnp.floor(centres - reach) + 1
    positions = first[:, None] + jnp.arange(count, dtype=jnp.float32)[None]
    weights = jnp.maximum(1 - jnp.abs(positions - centres[:, None]) / reach, 0)
    weights = jnp.where((positions >= 0) & (positions < length), weights, 0)
    weights /= jnp.sum(weights, axis=1, keepdims=True)
    positions = jnp.clip(positions.astype(jnp.int32), 0, length - 1)
    return start + positions, weights


def _weighted_rows(rows: jax.Array, positions: jax.Array, weights: jax.Array) -> jax.Array:
    """Sums [outputs, K] of the rows [inputs, K] at `positions` [outputs, taps].

    A loop, so that XLA does not compute the sums anew in everything that reads them.
    """

    def add(tap: jax.Array, total: jax.Array) -> jax.Array:
        return total + rows[positions[:, tap]].astype(jnp.float32) * weights[:, tap, None]

    outputs, taps = positions.shape
    return jax.lax.fori_loop(0, taps, add, jnp.zeros((outputs, rows.shape[1]), jnp.float32))
