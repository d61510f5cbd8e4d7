"""Convolution over all channels, with gradients in the forms that XLA:CPU runs fastest.

GPUs and TPUs keep XLA's own convolutions and their gradients, whatever is said here.
"""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from jaxret.models.networks.convolution import (
    LAYOUT,
    Padding,
    pad_widths,
    precision_of,
    shifts,
)
from jaxret.models.networks.matrix_product import product

Pads = tuple[tuple[int, int], tuple[int, int]]  # before and after the rows, and the columns

# The gradient of a kernel takes as many images at once as have this many pixels of slopes: with
# fewer the products are short, with more what they read leaves the caches.
_PIXELS_AT_ONCE = 2048

# Below as many channels XLA's own form is taken, of so many images at once.
_FEW_CHANNELS = 16
_IMAGES_AT_ONCE = 16


def conv2d(x: jax.Array, kernel: jax.Array, stride: int, padding: Padding) -> jax.Array:
    """[B, H, W, in], [kh, kw, in, out] -> [B, h, w, out]."""
    windows = kernel.shape[:2]
    if windows == (1, 1):  # no padding of any kind
        return _pointwise(x[:, ::stride, ::stride], kernel)
    rows, columns = (
        pad_widths(x.shape[1 + axis], windows[axis], stride, padding) for axis in (0, 1)
    )
    return _convolution(x, kernel, stride, (rows, columns))


def _pointwise(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """A 1x1 convolution is one matrix product over all pixels, which XLA:CPU runs faster.

    Of two axes: for the gradient of a product of four XLA:CPU would move the pixels about first.
    """
    pixels = x.reshape(-1, x.shape[3])
    return product(pixels, kernel[0, 0]).reshape(*x.shape[:3], -1)


@partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def _convolution(x: jax.Array, kernel: jax.Array, stride: int, pads: Pads) -> jax.Array:
    if not _smaller(x, kernel):
        return _by_xla(x, kernel, stride, pads)
    return lax.platform_dependent(
        x,
        kernel,
        cpu=lambda x, kernel: _by_columns(x, kernel, stride, pads),
        default=lambda x, kernel: _by_xla(x, kernel, stride, pads),
    )


def _forward(
    x: jax.Array, kernel: jax.Array, stride: int, pads: Pads
) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
    return _convolution(x, kernel, stride, pads), (x, kernel)


def _backward(
    stride: int, pads: Pads, saved: tuple[jax.Array, jax.Array], slope: jax.Array
) -> tuple[jax.Array, jax.Array]:
    x, kernel = saved

    def to_x(form: Any, kernel: jax.Array, slope: jax.Array) -> jax.Array:
        _, backward = jax.vjp(lambda x: form(x, kernel, stride, pads), x)
        return backward(slope)[0]

    def to_kernel(form: Any, x: jax.Array, slope: jax.Array) -> jax.Array:
        return form(x, slope, kernel.shape, stride, pads)

    forward = _by_columns if _smaller(slope, kernel) else _by_xla
    slope_of_x = lax.platform_dependent(
        kernel, slope, cpu=partial(to_x, forward), default=partial(to_x, _by_xla)
    )
    by_xla = partial(to_kernel, _slope_by_xla)
    small = _smaller(x, kernel) or _smaller(slope, kernel)
    if stride == 1 and not small:
        return slope_of_x, by_xla(x, slope)
    few_channels = kernel.shape[2] < _FEW_CHANNELS and not small
    on_cpus = partial(to_kernel, _of_few_channels if few_channels else _by_products)
    return slope_of_x, lax.platform_dependent(x, slope, cpu=on_cpus, default=by_xla)


_convolution.defvjp(_forward, _backward)


def _smaller(maps: jax.Array, kernel: jax.Array) -> bool:
    """Whether maps are smaller than the window on both sides.

    XLA:CPU takes 20 to 100 times as long for those as for maps one pixel larger.
    """
    return maps.shape[1] < kernel.shape[0] and maps.shape[2] < kernel.shape[1]


def _by_xla(x: jax.Array, kernel: jax.Array, stride: int, pads: Pads) -> jax.Array:
    return lax.conv_general_dilated(
        x,
        kernel,
        window_strides=(stride, stride),
        padding=pads,
        dimension_numbers=LAYOUT,
        precision=precision_of(x.dtype),
    )


def _slope_by_xla(
    x: jax.Array, slope: jax.Array, shape: tuple[int, ...], stride: int, pads: Pads
) -> jax.Array:
    """[kh, kw, in, out]: the gradient of a kernel as XLA has it."""
    _, backward = jax.vjp(
        lambda kernel: _by_xla(x, kernel, stride, pads), jnp.zeros(shape, x.dtype)
    )
    return backward(slope)[0]


def _by_columns(x: jax.Array, kernel: jax.Array, stride: int, pads: Pads) -> jax.Array:
    """One product, of all pixels that each place meets ([B h w, kh kw in]) with the kernel.

    The columns are as large as kh kw maps: for maps of a few pixels alone.
    """
    padded = jnp.pad(x, ((0, 0), *pads, (0, 0)))
    met = [shifted for _, shifted in shifts(padded, kernel.shape[:2], stride)]
    columns = jnp.concatenate(met, axis=3)
    return _pointwise(columns, kernel.reshape(1, 1, -1, kernel.shape[3]))


def _by_products(
    x: jax.Array, slope: jax.Array, shape: tuple[int, ...], stride: int, pads: Pads
) -> jax.Array:
    """[kh, kw, in, out]: for each place of the window the product of its pixels with the slopes.

    [pixels, in] transposed times [pixels, out], a few images at a time: what a product reads lies
    in the caches, and no more than a copy of these images is held beside the maps. For strided
    windows XLA:CPU's own form takes up to 1.8 times as long alone, and for maps smaller than the
    window far longer; for all others it is the faster one within a step (docs/benchmarks.md).
    """
    at_once = min(max(_PIXELS_AT_ONCE // (slope.shape[1] * slope.shape[2]), 1), len(x))
    whole = len(x) // at_once * at_once

    def add(
        totals: list[jax.Array], block: tuple[jax.Array, jax.Array]
    ) -> tuple[list[jax.Array], None]:
        products = _products(*block, shape[:2], stride, pads)
        return [total + product for total, product in zip(totals, products, strict=True)], None

    wide = jnp.promote_types(slope.dtype, jnp.float32)
    totals = [jnp.zeros(shape[2:], wide)] * (shape[0] * shape[1])
    first, second = (a[:whole].reshape(-1, at_once, *a.shape[1:]) for a in (x, slope))
    totals, _ = lax.scan(add, totals, (first, second))
    if whole < len(x):
        totals, _ = add(totals, (x[whole:], slope[whole:]))
    return jnp.stack(totals).reshape(shape).astype(slope.dtype)


def _of_few_channels(
    x: jax.Array, slope: jax.Array, shape: tuple[int, ...], stride: int, pads: Pads
) -> jax.Array:
    """[kh, kw, in, out], by XLA: of an image's three channels a product would have three rows.

    A few images at a time, since its speed falls with their number; not in a loop of XLA's, where
    its convolutions take ten times as long.
    """
    wide = jnp.promote_types(slope.dtype, jnp.float32)
    total = jnp.zeros(shape, wide)
    for start in range(0, len(x), _IMAGES_AT_ONCE):
        images = slice(start, start + _IMAGES_AT_ONCE)
        total += _slope_by_xla(x[images], slope[images], shape, stride, pads).astype(wide)
    return total.astype(slope.dtype)


def _products(
    x: jax.Array, slope: jax.Array, window: tuple[int, ...], stride: int, pads: Pads
) -> list[jax.Array]:
    """[in, out] for each place of the window, in float32 at least."""
    padded = jnp.pad(x, ((0, 0), *pads, (0, 0)))
    slopes = slope.reshape(-1, slope.shape[3])
    return [
        lax.dot_general(
            met.reshape(-1, met.shape[3]),
            slopes,
            (((0,), (0,)), ((), ())),
            precision=precision_of(x.dtype),
            preferred_element_type=jnp.promote_types(x.dtype, jnp.float32),
        )
        for _, met in shifts(padded, window, stride)
    ]
