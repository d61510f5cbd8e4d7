"""Max-pooling, with a gradient in the form that XLA:CPU runs fastest."""

import itertools
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxret.models.networks.convolution import Padding, pad_widths, shifts

_Pads = tuple[tuple[int, int], tuple[int, int]]


def max_pool(x: jax.Array, window: int, stride: int, padding: Padding) -> jax.Array:
    """[B, H, W, C] -> [B, h, w, C].

    Padding never wins the maximum: it counts as minus infinity, as in both frameworks. The
    gradient goes to the first of equal maxima, as in both.
    """
    rows, columns = (pad_widths(size, window, stride, padding) for size in x.shape[1:3])
    return _max_pool(x, window, stride, (rows, columns))


@partial(jax.custom_vjp, nondiff_argnums=(1, 2, 3))
def _max_pool(x: jax.Array, window: int, stride: int, pads: _Pads) -> jax.Array:
    return _by_xla(x, window, stride, pads)


def _by_xla(x: jax.Array, window: int, stride: int, pads: _Pads) -> jax.Array:
    return lax.reduce_window(
        x,
        np.array(-np.inf, x.dtype),  # NumPy's: a traced value would have no gradient
        lax.max,
        (1, window, window, 1),
        (1, stride, stride, 1),
        ((0, 0), *pads, (0, 0)),
    )


def _forward(
    x: jax.Array, window: int, stride: int, pads: _Pads
) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
    y = _max_pool(x, window, stride, pads)
    return y, (x, y)


def _backward(
    window: int, stride: int, pads: _Pads, saved: tuple[jax.Array, jax.Array], slope: jax.Array
) -> tuple[jax.Array]:
    def by_xla(x: jax.Array, y: jax.Array, slope: jax.Array) -> jax.Array:
        return jax.vjp(lambda x: _by_xla(x, window, stride, pads), x)[1](slope)[0]

    def by_places(x: jax.Array, y: jax.Array, slope: jax.Array) -> jax.Array:
        return _by_places(x, y, slope, window, stride, pads)

    return (lax.platform_dependent(*saved, slope, cpu=by_places, default=by_xla),)


_max_pool.defvjp(_forward, _backward)


def _by_places(
    x: jax.Array, y: jax.Array, slope: jax.Array, window: int, stride: int, pads: _Pads
) -> jax.Array:
    """The gradient from which place of its window won each maximum; XLA:CPU would scatter.

    Pixels whose rows and columns leave the same remainders by the stride are met by the same
    places, so each such phase is a sum of shifted maps; the phases are then dealt out in turn.
    """
    padded = jnp.pad(x, ((0, 0), *pads, (0, 0)), constant_values=-np.inf)
    places = list(shifts(padded, (window, window), stride))
    winner = jnp.full(y.shape, len(places) - 1, jnp.uint16)
    for number, (_, met) in reversed(list(enumerate(places))):
        winner = jnp.where(met == y, jnp.uint16(number), winner)
    height, width = (-(-side // stride) for side in padded.shape[1:3])

    def phase(row: int, column: int) -> jax.Array:
        total = jnp.zeros((len(x), height, width, x.shape[3]), slope.dtype)
        for i, j in itertools.product(range(row, window, stride), range(column, window, stride)):
            won = jnp.where(winner == jnp.uint16(i * window + j), slope, jnp.zeros_like(slope))
            down, right = i // stride, j // stride
            below, beside = height - won.shape[1] - down, width - won.shape[2] - right
            total = total + jnp.pad(won, ((0, 0), (down, below), (right, beside), (0, 0)))
        return total

    rows = [
        jnp.stack([phase(row, column) for column in range(stride)], axis=3).reshape(
            len(x), height, 1, width * stride, -1
        )
        for row in range(stride)
    ]
    whole = jnp.concatenate(rows, axis=2).reshape(len(x), height * stride, width * stride, -1)
    (top, _), (left, _) = pads
    return whole[:, top : top + x.shape[1], left : left + x.shape[2]]
