"""EfficientNet-Lite0 with the names of its PyTorch checkpoint (leading underscores and all)."""

from torch import Tensor, nn
from torch.nn import functional

from twins.padding import SameConv2d

# One row a block group: blocks, kernel, stride of the first, expansion, output channels.
_TABLE = [
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
]


def _bn(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=1e-3)


class MBConv(nn.Module):
    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, expansion: int):
        super().__init__()
        width = inputs * expansion
        if expansion != 1:
            self._expand_conv = nn.Conv2d(inputs, width, 1, bias=False)
            self._bn0 = _bn(width)
        self._depthwise_conv = SameConv2d(width, width, kernel, stride, groups=width, bias=False)
        self._bn1 = _bn(width)
        self._project_conv = nn.Conv2d(width, outputs, 1, bias=False)
        self._bn2 = _bn(outputs)
        self.skip = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        y = (
            functional.relu6(self._bn0(self._expand_conv(x)))
            if hasattr(self, "_expand_conv")
            else x
        )
        y = functional.relu6(self._bn1(self._depthwise_conv(y)))
        y = self._bn2(self._project_conv(y))
        return x + y if self.skip else y


class EfficientNetLite(nn.Module):
    def __init__(self, classes: int = 1000):
        super().__init__()
        self._conv_stem = SameConv2d(3, 32, 3, 2, bias=False)
        self._bn0 = _bn(32)
        blocks, inputs = [], 32
        for repeats, kernel, first_stride, expansion, outputs in _TABLE:
            for i in range(repeats):
                stride = first_stride if i == 0 else 1
                blocks.append(MBConv(inputs, outputs, kernel, stride, expansion))
                inputs = outputs
        self._blocks = nn.ModuleList(blocks)
        self._conv_head = nn.Conv2d(inputs, 1280, 1, bias=False)
        self._bn1 = _bn(1280)
        self._fc = nn.Linear(1280, classes)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        outputs = {"conv_stem": functional.relu6(self._bn0(self._conv_stem(x)))}
        x = outputs["conv_stem"]
        for i, block in enumerate(self._blocks):
            outputs[f"blocks_{i}"] = x = block(x)
        outputs["conv_head"] = functional.relu6(self._bn1(self._conv_head(x)))
        return outputs

    def classify(self, x: Tensor) -> Tensor:
        """Logits [B, 1000] of ImageNet's classes."""
        return self._fc(self(x)["conv_head"].mean(dim=(2, 3)))
