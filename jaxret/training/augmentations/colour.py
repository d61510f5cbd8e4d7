"""Colour jitter and greyscale, as torchvision defines them, in floating point.

Planes are float32 [3, H, W] in 0..255. After each operation values are held to that range, which
is why the order of operations matters.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

_OPERATIONS = 4
_BRIGHTNESS, _CONTRAST, _SATURATION, _HUE = range(_OPERATIONS)


class Jitter(NamedTuple):
    """What is done to the colours of one photograph.

    Attributes:
        factors: [3], of brightness, contrast and saturation; 1 changes nothing.
        hue: By how much of the colour circle hues are turned.
        order: int32 [4], in which of the operations brightness, contrast, saturation, hue comes
            first, second, ...
    """

    factors: jax.Array
    hue: jax.Array
    order: jax.Array


def draw_jitter(
    key: jax.Array, brightness: float, contrast: float, saturation: float, hue: float
) -> Jitter:
    """Draws factors from 1 - strength (0 at least) to 1 + strength, a turn, and an order."""
    factors, turn, order = jnp.split(jax.random.uniform(key, (4 + _OPERATIONS,)), (3, 4))
    strengths = jnp.array([brightness, contrast, saturation])
    low, high = jnp.maximum(1 - strengths, 0), 1 + strengths
    return Jitter(low + (high - low) * factors, hue * (2 * turn[0] - 1), jnp.argsort(order))


def apply_jitter(planes: jax.Array, jitter: Jitter) -> jax.Array:
    """Changes brightness, contrast, saturation and hue in the order drawn.

    Brightness, contrast and saturation are one operation, a blend of the photograph with black,
    with its mean grey, or with its own greyscale. So each place in the order costs one blend and
    one turn of hues, of which one is taken. (`lax.switch` over a batch computes all four
    operations at each place: several times as long on two CPU cores.)
    """

    def one(place: jax.Array, planes: jax.Array) -> jax.Array:
        operation = jitter.order[place]
        grey = luminance(planes)
        other = jnp.where(operation == _CONTRAST, jnp.mean(grey), grey)
        other = jnp.where(operation == _BRIGHTNESS, 0, other)
        factor = jitter.factors[jnp.minimum(operation, _SATURATION)]
        blended = jnp.clip(factor * planes + (1 - factor) * other[None], 0, 255)
        return jnp.where(operation == _HUE, turn_hue(planes, jitter.hue), blended)

    return jax.lax.fori_loop(0, _OPERATIONS, one, planes)


def luminance(planes: jax.Array) -> jax.Array:
    """Grey of each pixel [H, W], by ITU-R 601-2 with torchvision's digits."""
    red, green, blue = planes
    return 0.2989 * red + 0.587 * green + 0.114 * blue


def to_grey(planes: jax.Array) -> jax.Array:
    """Three equal planes."""
    return jnp.broadcast_to(luminance(planes)[None], planes.shape)


def turn_hue(planes: jax.Array, turn: jax.typing.ArrayLike) -> jax.Array:
    """Turns hues around the colour circle; value and saturation stay.

    With value V = max(R, G, B), chroma C = V - min(R, G, B) and hue h in sixths of the circle, a
    channel is V - C clip(min(k, 4 - k), 0, 1), k = (n + h) mod 6, n = 5, 3, 1 for R, G, B.
    """
    red, green, blue = planes
    value = jnp.max(planes, axis=0)
    chroma = value - jnp.min(planes, axis=0)
    scale = 1 / jnp.where(chroma > 0, chroma, 1)
    hue = jnp.where(value == green, 2 + (blue - red) * scale, 4 + (red - green) * scale)
    hue = jnp.where(value == red, (green - blue) * scale, hue)
    k = jnp.array([5.0, 3.0, 1.0])[:, None, None] + (hue + 6 * turn)[None]
    k -= 6 * jnp.floor(k / 6)  # jnp.mod is not vectorised on a CPU: ten times as long
    return value[None] - chroma[None] * jnp.clip(jnp.minimum(k, 4 - k), 0, 1)
