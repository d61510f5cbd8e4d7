"""Convolution and pooling with the paddings of PyTorch and of TensorFlow, as pure functions.

Maps are [B, H, W, C], kernels [kh, kw, in / groups, out]. "torch" pads (k - 1) // 2 on all four
sides whatever the stride. "same" is TensorFlow's: the output has ceil(size / stride) rows, and an
odd amount of padding puts the larger half below and to the right. The two agree at stride 1 and,
for odd sizes, at stride 2. "valid" pads nothing.
"""

from typing import Literal

import jax
import jax.numpy as jnp
from jax import lax

Padding = Literal["torch", "same", "valid"]
_LAYOUT = ("NHWC", "HWIO", "NHWC")


def pad_widths(size: int, window: int, stride: int, padding: Padding) -> tuple[int, int]:
    """How many rows (or columns) of padding go before and after `size` of them."""
    if padding == "valid":
        return 0, 0
    if padding == "torch":
        return (window - 1) // 2, (window - 1) // 2
    missing = max((-(-size // stride) - 1) * stride + window - size, 0)
    return missing // 2, missing - missing // 2


def precision_of(dtype: jnp.dtype) -> lax.Precision:
    """Float32 means float32 on every device: GPUs and TPUs would multiply in fewer bits."""
    return lax.Precision.HIGHEST if dtype == jnp.float32 else lax.Precision.DEFAULT


def conv2d(x: jax.Array, kernel: jax.Array, stride: int, padding: Padding) -> jax.Array:
    """[B, H, W, in] -> [B, h, w, out]."""
    windows = kernel.shape[:2]
    if windows == (1, 1):  # no padding of any kind
        return _pointwise(x[:, ::stride, ::stride], kernel)
    pads = [pad_widths(x.shape[1 + axis], windows[axis], stride, padding) for axis in (0, 1)]
    return lax.conv_general_dilated(
        x,
        kernel,
        window_strides=(stride, stride),
        padding=pads,
        dimension_numbers=_LAYOUT,
        precision=precision_of(x.dtype),
    )


def _pointwise(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """A 1x1 convolution is one matrix product over all pixels, which XLA:CPU runs faster."""
    return lax.dot_general(
        x, kernel[0, 0], (((3,), (0,)), ((), ())), precision=precision_of(x.dtype)
    )


def depthwise_conv2d(x: jax.Array, kernel: jax.Array, stride: int, padding: Padding) -> jax.Array:
    """Every channel by its own window: [B, H, W, C], [kh, kw, 1, C] -> [B, h, w, C].

    XLA:CPU runs grouped convolutions 4 to 20 times slower than the same sum written out as
    shifted products; GPUs and TPUs have kernels of their own for it.
    """
    pads = [pad_widths(x.shape[1 + axis], kernel.shape[axis], stride, padding) for axis in (0, 1)]
    padded = jnp.pad(x, ((0, 0), *pads, (0, 0)))
    return lax.platform_dependent(
        padded,
        kernel,
        cpu=lambda x, kernel: _shifted_products(x, kernel, stride),
        default=lambda x, kernel: _grouped_convolution(x, kernel, stride),
    )


def _shifted_products(padded: jax.Array, kernel: jax.Array, stride: int) -> jax.Array:
    batch, height, width, channels = padded.shape
    rows, columns = kernel.shape[:2]
    span_h = (height - rows) // stride * stride + 1
    span_w = (width - columns) // stride * stride + 1
    terms = (
        lax.slice(padded, (0, i, j, 0), (batch, i + span_h, j + span_w, channels), strides)
        * kernel[i, j, 0].reshape(1, 1, 1, channels)
        for strides in [(1, stride, stride, 1)]
        for i in range(rows)
        for j in range(columns)
    )
    total = next(terms)
    for term in terms:
        total = total + term
    return total


def _grouped_convolution(padded: jax.Array, kernel: jax.Array, stride: int) -> jax.Array:
    return lax.conv_general_dilated(
        padded,
        kernel,
        window_strides=(stride, stride),
        padding="VALID",
        dimension_numbers=_LAYOUT,
        feature_group_count=padded.shape[3],
        precision=precision_of(padded.dtype),
    )


def max_pool(x: jax.Array, window: int, stride: int, padding: Padding) -> jax.Array:
    """Padding never wins the maximum: it counts as minus infinity, as in both frameworks."""
    pads = [pad_widths(size, window, stride, padding) for size in x.shape[1:3]]
    return lax.reduce_window(
        x,
        jnp.array(-jnp.inf, x.dtype),
        lax.max,
        (1, window, window, 1),
        (1, stride, stride, 1),
        ((0, 0), *pads, (0, 0)),
    )


def average_pool(x: jax.Array, window: int, stride: int) -> jax.Array:
    """Unpadded mean over windows; the rows that fill no window are left out."""
    if window == stride == 1:
        return x
    total = lax.reduce_window(
        x,
        jnp.array(0, x.dtype),
        lax.add,
        (1, window, window, 1),
        (1, stride, stride, 1),
        "VALID",
    )
    return total / (window * window)


def adaptive_average_pool(x: jax.Array, height: int, width: int) -> jax.Array:
    """PyTorch's AdaptiveAvgPool2d: bin i of n covers rows floor(i H / n) to ceil((i + 1) H / n).

    The mean over a rectangle separates into its two axes, each a product with a sparse matrix.
    """
    rows = _bins(x.shape[1], height).astype(x.dtype)
    columns = _bins(x.shape[2], width).astype(x.dtype)
    return jnp.einsum("ih,bhwc,jw->bijc", rows, x, columns, precision=precision_of(x.dtype))


def _bins(size: int, count: int) -> jax.Array:
    position = jnp.arange(size)[None, :]
    index = jnp.arange(count)[:, None]
    start, end = index * size // count, -(-(index + 1) * size // count)
    inside = (position >= start) & (position < end)
    return inside / inside.sum(axis=1, keepdims=True)
