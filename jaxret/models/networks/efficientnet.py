"""EfficientNet-Lite0: EfficientNet-B0 (Tan and Le, ICML 2019) without squeeze-and-excitation.

Its authors made it for phones: ReLU6 in place of swish, TensorFlow's SAME padding everywhere,
BN epsilon 1e-3. Layers carry the names of the PyTorch port, without the leading underscore.
"""

from dataclasses import dataclass

import flax.linen as nn
import jax

from jaxret.models.networks.layers import Style, conv_bn


@dataclass(frozen=True)
class _Group:
    repeats: int
    window: int
    stride: int  # of the first block; the others have 1
    expansion: int
    channels: int


_GROUPS = (
    _Group(1, 3, 1, 1, 16),
    _Group(2, 3, 2, 6, 24),
    _Group(2, 5, 2, 6, 40),
    _Group(3, 3, 2, 6, 80),
    _Group(3, 5, 1, 6, 112),
    _Group(4, 5, 2, 6, 192),
    _Group(1, 3, 1, 6, 320),
)


class InvertedBottleneck(nn.Module):
    """Widen (1x1), filter each channel (depthwise), narrow (1x1); added to x where shapes agree."""

    group: _Group
    stride: int
    style: Style

    @nn.compact
    def __call__(self, x: jax.Array, mask: jax.Array | None) -> jax.Array:
        group, style = self.group, self.style
        inputs, width = x, x.shape[-1] * group.expansion
        if group.expansion > 1:
            x = nn.relu6(conv_bn(x, ("expand_conv", "bn0"), width, 1, 1, style, mask))
        names = ("depthwise_conv", "bn1")
        x = conv_bn(x, names, width, group.window, self.stride, style, mask, depthwise=True)
        x = nn.relu6(x)
        x = conv_bn(x, ("project_conv", "bn2"), group.channels, 1, 1, style, mask)
        return x + inputs if x.shape == inputs.shape else x


class EfficientNetLite(nn.Module):
    """Images [B, H, W, 3] -> {stage: map}, stages conv_stem, blocks_0 to blocks_15, conv_head.

    Stages after `last` are not run.
    """

    style: Style = Style(padding="same", epsilon=1e-3)

    @nn.compact
    def __call__(
        self, x: jax.Array, mask: jax.Array | None = None, last: str | None = None
    ) -> dict[str, jax.Array]:
        x = nn.relu6(conv_bn(x, ("conv_stem", "bn0"), 32, 3, 2, self.style, mask))
        outputs = {"conv_stem": x}
        for group in _GROUPS:
            for i in range(group.repeats):
                name = f"blocks_{len(outputs) - 1}"
                stride = group.stride if i == 0 else 1
                block = self.style.block(InvertedBottleneck)
                x = block(group, stride, self.style, name=name)(x, mask)
                outputs[name] = x
                if name == last:
                    return outputs
        x = conv_bn(x, ("conv_head", "bn1"), 1280, 1, 1, self.style, mask)
        outputs["conv_head"] = nn.relu6(x)
        return outputs
