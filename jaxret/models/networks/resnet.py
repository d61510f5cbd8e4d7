"""ResNet (He et al., CVPR 2016) as torchvision writes it, with every layer under its name there.

Stride 2 stands on the 3x3 convolution of a bottleneck ("V1.5"). Width multiplies the channels of
every stage, as in SimCLR's 2x and 4x networks.
"""

from dataclasses import dataclass

import flax.linen as nn
import jax

from jaxret.models.networks.convolution import Padding
from jaxret.models.networks.heads import GeM, Linear, normalize, normalize_softly
from jaxret.models.networks.layers import Style, conv_bn
from jaxret.models.networks.max_pooling import max_pool

# depth -> blocks a stage, and whether a block is a bottleneck (torchvision's resnet18 and so on;
# 200 is VICReg's)
_BLOCKS = {
    18: ((2, 2, 2, 2), False),
    34: ((3, 4, 6, 3), False),
    50: ((3, 4, 6, 3), True),
    101: ((3, 4, 23, 3), True),
    152: ((3, 8, 36, 3), True),
    200: ((3, 24, 36, 3), True),
}


@dataclass(frozen=True)
class _BlockShape:
    channels: int  # of the inner convolutions
    outputs: int
    stride: int


class Block(nn.Module):
    """Residual block: two 3x3 convolutions, or 1x1, 3x3, 1x1 where `bottleneck`."""

    shape: _BlockShape
    bottleneck: bool
    style: Style

    @nn.compact
    def __call__(self, x: jax.Array, mask: jax.Array | None) -> jax.Array:
        shape = self.shape
        shortcut = x
        if shape.stride > 1 or x.shape[-1] != shape.outputs:
            names = ("downsample_0", "downsample_1")
            shortcut = conv_bn(x, names, shape.outputs, 1, shape.stride, self.style, mask)
        # (channels, window, stride) of conv1, conv2 ...
        steps = [(shape.channels, 3, shape.stride), (shape.outputs, 3, 1)]
        if self.bottleneck:
            steps = [(shape.channels, 1, 1), (shape.channels, 3, shape.stride)]
            steps += [(shape.outputs, 1, 1)]
        for i, (channels, window, stride) in enumerate(steps, start=1):
            x = conv_bn(x, (f"conv{i}", f"bn{i}"), channels, window, stride, self.style, mask)
            x = nn.relu(x) if i < len(steps) else x
        return nn.relu(x + shortcut)


class ResNet(nn.Module):
    """Images [B, H, W, 3] -> {stage: map}, stages conv1, maxpool, layer1 to layer4.

    Stages after `last` are not run.

    Attributes:
        depth: 18, 34, 50, 101, 152 or 200.
        width: Multiplier of all channels.
        stem_pool: Padding of the max-pool: SimCLR's own TensorFlow network pads it as "same" and
            all else as PyTorch does.
        stages: How many of the four stages exist.
        descriptor: Dimension of the descriptor that a GeM head makes of layer4, [B, 1, 1, C]; 0
            for none.
        head: Whose head: "ap-gem" has the stages `adpool` and `fc`, "cirtorch" has `pool` (also
            where `descriptor` is 0) and `whiten`.
        style: Padding, BN epsilon and folding of all layers.
    """

    depth: int = 50
    width: int = 1
    stem_pool: Padding = "torch"
    stages: int = 4
    descriptor: int = 0
    head: str = "ap-gem"
    style: Style = Style()

    @nn.compact
    def __call__(
        self, x: jax.Array, mask: jax.Array | None = None, last: str | None = None
    ) -> dict[str, jax.Array]:
        outputs = {}
        x = conv_bn(x, ("conv1", "bn1"), 64 * self.width, 7, 2, self.style, mask)
        outputs["conv1"] = x = nn.relu(x)
        outputs["maxpool"] = x = max_pool(x, 3, 2, self.stem_pool)
        blocks, bottleneck = _BLOCKS[self.depth]
        for stage, count in enumerate(blocks[: self.stages], start=1):
            channels = 64 * self.width * 2 ** (stage - 1)
            for i in range(count):
                stride = 2 if stage > 1 and i == 0 else 1
                shape = _BlockShape(channels, channels * (4 if bottleneck else 1), stride)
                block = self.style.block(Block)(
                    shape, bottleneck, self.style, name=f"layer{stage}_{i}"
                )
                x = block(x, mask)
            outputs[f"layer{stage}"] = x
            if f"layer{stage}" == last:
                return outputs
        if self.head == "cirtorch":
            outputs["pool"] = x = normalize_softly(GeM(name="pool")(x))
            if self.descriptor:
                outputs["whiten"] = normalize_softly(Linear(self.descriptor, name="whiten")(x))
        elif self.descriptor:
            outputs["adpool"] = x = GeM(name="adpool")(x)
            outputs["fc"] = normalize(Linear(self.descriptor, name="fc")(x))
        return outputs
