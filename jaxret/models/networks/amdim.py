"""AMDIM's encoder (Bachman, Hjelm and Buchwalter, NeurIPS 2019), layers under their PyTorch names.

No window is padded but the first (by reflection), no batch normalisation is applied but the last
(layer 9), and no projection stands in a shortcut: the input is average-pooled over the windows of
the block's first convolution, and missing channels are filled with zeros.
"""

from dataclasses import dataclass

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxret.models.networks.convolution import average_pool
from jaxret.models.networks.layers import BatchNorm, Conv, Style


@dataclass(frozen=True)
class _BlockShape:
    index: int  # in layer_list
    widening: int  # output channels over ndf
    window: int
    stride: int


_BLOCKS = (
    _BlockShape(2, 2, 4, 2),
    _BlockShape(3, 4, 4, 2),
    _BlockShape(4, 8, 2, 2),
    _BlockShape(6, 8, 3, 1),
    _BlockShape(7, 8, 3, 1),
)


class Unit(nn.Module):
    """conv1 (k x k), ReLU, conv2 (1x1), plus the pooled and channel-padded input; no ReLU after."""

    features: int
    window: int = 1
    stride: int = 1

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        h = Conv(self.features, self.window, self.stride, "valid", name="conv1")(x)
        h = Conv(self.features, 1, name="conv2")(nn.relu(h))
        shortcut = average_pool(x, self.window, self.stride)
        missing = self.features - shortcut.shape[-1]
        return h + jnp.pad(shortcut, ((0, 0), (0, 0), (0, 0), (0, missing)))


class Block(nn.Module):
    """`depth` units; the first one changes the size, the others are 1x1."""

    features: int
    window: int
    stride: int
    depth: int

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        x = Unit(self.features, self.window, self.stride, name="layer_list_0")(x)
        for i in range(1, self.depth):
            x = Unit(self.features, name=f"layer_list_{i}")(x)
        return x


class _Stem(nn.Module):
    """Convolution with bias, then ReLU."""

    features: int
    window: int
    stride: int

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        conv = Conv(self.features, self.window, self.stride, "valid", use_bias=True, name="conv")
        return nn.relu(conv(x))


class _Norm(nn.Module):
    epsilon: float

    @nn.compact
    def __call__(self, x: jax.Array, mask: jax.Array | None) -> jax.Array:
        return BatchNorm(self.epsilon, name="bn")(x, mask)


class AMDIM(nn.Module):
    """Images [B, H, W, 3] -> {stage: map}, stages layer_list_0 to layer_list_9 without 5.

    Layer 5 of the original is the identity. Stages after `last` are not run: layers 8 and 9 need
    images of at least 127 pixels, layer 7 of 95.

    Attributes:
        ndf: Channels of the first layer.
        n_rkhs: Channels of the last two.
        n_depth: Units a block.
        style: BN epsilon.
    """

    ndf: int = 320
    n_rkhs: int = 2560
    n_depth: int = 10
    style: Style = Style()

    @nn.compact
    def __call__(
        self, x: jax.Array, mask: jax.Array | None = None, last: str | None = None
    ) -> dict[str, jax.Array]:
        outputs = {}
        x = jnp.pad(x, ((0, 0), (2, 2), (2, 2), (0, 0)), mode="reflect")
        outputs["layer_list_0"] = x = _Stem(self.ndf, 5, 2, name="layer_list_0")(x)
        outputs["layer_list_1"] = x = _Stem(self.ndf, 3, 1, name="layer_list_1")(x)
        for shape in _BLOCKS:
            name = f"layer_list_{shape.index}"
            features = self.ndf * shape.widening
            block = self.style.block(Block)
            x = block(features, shape.window, shape.stride, self.n_depth, name=name)(x)
            outputs[name] = x
            if name == last:
                return outputs
        outputs["layer_list_8"] = x = Unit(self.n_rkhs, 3, 1, name="layer_list_8")(x)
        if last == "layer_list_8":
            return outputs
        outputs["layer_list_9"] = _Norm(self.style.epsilon, name="layer_list_9")(x, mask)
        return outputs
