"""The layers that the networks share: convolution, batch normalisation, and the two together."""

from dataclasses import dataclass

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxret.models.networks.batch_normalization import (
    normalize_by_batch,
    row,
    scale_and_shift,
)
from jaxret.models.networks.convolution import Padding, depthwise_conv2d
from jaxret.models.networks.dense_convolution import conv2d


@dataclass(frozen=True)
class Style:
    """What all layers of one network have in common.

    Attributes:
        padding: Where strided windows stand ("torch" or "same").
        epsilon: Added to the variance of every batch normalisation.
        folded: True where batch normalisation has been folded into the convolutions.
        remat: True where the backward pass of a training step computes each block again
            instead of keeping what lies inside it: less memory, more time.
    """

    padding: Padding = "torch"
    epsilon: float = 1e-5
    folded: bool = False
    remat: bool = False

    def block(self, module: type[nn.Module]) -> type[nn.Module]:
        """The class of a network's blocks, under the same names either way."""
        return nn.remat(module) if self.remat else module


class Conv(nn.Module):
    """Square convolution, in the dtype of its input; `depthwise`: every channel its own window."""

    features: int
    window: int
    stride: int = 1
    padding: Padding = "torch"
    depthwise: bool = False
    use_bias: bool = False

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        inputs = 1 if self.depthwise else x.shape[-1]
        shape = (self.window, self.window, inputs, self.features)
        kernel = self.param("kernel", nn.initializers.he_normal(), shape).astype(x.dtype)
        convolve = depthwise_conv2d if self.depthwise else conv2d
        x = convolve(x, kernel, self.stride, self.padding)
        if self.use_bias:
            bias = self.param("bias", nn.initializers.zeros, (self.features,))
            x = x + row(bias).astype(x.dtype)
        return x


class BatchNorm(nn.Module):
    """Batch normalisation by stored statistics, or by those of the batch at hand.

    With `mask` ([B] bool, the rows that count) the statistics are those of the batch, and the
    collection `batch_stats` receives them as they are: the mean, and the *unbiased* variance that
    PyTorch's `running_var` is made of (Flax's own layer keeps the biased one). Whoever calls
    decides how they move the running statistics (`jaxret.models.batch_norm`).
    """

    epsilon: float = 1e-5

    @nn.compact
    def __call__(self, x: jax.Array, mask: jax.Array | None = None) -> jax.Array:
        channels = x.shape[-1:]
        scale = self.param("scale", nn.initializers.ones, channels)
        bias = self.param("bias", nn.initializers.zeros, channels)
        running_mean = self.variable("batch_stats", "mean", jnp.zeros, channels)
        running_var = self.variable("batch_stats", "var", jnp.ones, channels)
        if mask is None or self.is_initializing():
            moments = running_mean.value, running_var.value
            return scale_and_shift(x, *moments, scale, bias, self.epsilon)
        y, (mean, var) = normalize_by_batch(x, mask, scale, bias, self.epsilon)
        images = jnp.maximum(mask.sum(dtype=jnp.int32), 1)
        count = images * x.shape[1] * x.shape[2]
        others = jnp.maximum(count - 1, 1)
        running_mean.value = mean
        running_var.value = var * count.astype(var.dtype) / others.astype(var.dtype)
        return y


def conv_bn(
    x: jax.Array,
    names: tuple[str, str],
    features: int,
    window: int,
    stride: int,
    style: Style,
    mask: jax.Array | None,
    depthwise: bool = False,
) -> jax.Array:
    """Convolution and batch normalisation under their PyTorch names, or the two folded in one."""
    conv_name, bn_name = names
    x = Conv(
        features, window, stride, style.padding, depthwise, use_bias=style.folded, name=conv_name
    )(x)
    return x if style.folded else BatchNorm(style.epsilon, name=bn_name)(x, mask)
