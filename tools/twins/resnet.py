"""ResNet with torchvision's names; all variants of the registry."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from twins.padding import SameConv2d, same_max_pool

_BLOCKS = {
    18: [2, 2, 2, 2],
    34: [3, 4, 6, 3],
    50: [3, 4, 6, 3],
    101: [3, 4, 23, 3],
    152: [3, 8, 36, 3],
    200: [3, 24, 36, 3],
}


def _conv(inputs: int, outputs: int, kernel: int, stride: int, padding: str) -> nn.Conv2d:
    if padding == "same":
        return SameConv2d(inputs, outputs, kernel, stride, bias=False)
    return nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2, bias=False)


class Residual(nn.Module):
    """conv1, conv2 (, conv3) with a BN each; `downsample` where the shape changes."""

    def __init__(self, inputs: int, planes: int, stride: int, bottleneck: bool, padding: str):
        super().__init__()
        outputs = planes * 4 if bottleneck else planes
        kernels = [1, 3, 1] if bottleneck else [3, 3]
        strides = [1, stride, 1] if bottleneck else [stride, 1]
        widths = [inputs, *[planes] * (len(kernels) - 1), outputs]
        if stride != 1 or inputs != outputs:
            # First, as in SimCLR's converted files, where it decides the order of the keys.
            shortcut = _conv(inputs, outputs, 1, stride, padding)
            self.downsample = nn.Sequential(shortcut, nn.BatchNorm2d(outputs))
        for i, kernel in enumerate(kernels):
            conv = _conv(widths[i], widths[i + 1], kernel, strides[i], padding)
            setattr(self, f"conv{i + 1}", conv)
            setattr(self, f"bn{i + 1}", nn.BatchNorm2d(widths[i + 1]))
        self.steps = len(kernels)

    def forward(self, x: Tensor) -> Tensor:
        shortcut = self.downsample(x) if hasattr(self, "downsample") else x
        for i in range(1, self.steps + 1):
            x = getattr(self, f"bn{i}")(getattr(self, f"conv{i}")(x))
            x = functional.relu(x) if i < self.steps else x
        return functional.relu(x + shortcut)


class GeM(nn.Module):
    """The learned power, `adpool.p` or `pool.p`."""

    def __init__(self) -> None:
        super().__init__()
        self.p = nn.Parameter(torch.full((1,), 3.0))

    def forward(self, x: Tensor) -> Tensor:
        return x.clamp(min=1e-6).pow(self.p).mean(dim=(2, 3), keepdim=True).pow(1 / self.p)


class ResNet(nn.Module):
    def __init__(
        self,
        depth: int = 50,
        width: int = 1,
        padding: str = "torch",
        stem_pool: str = "torch",
        stages: int = 4,
        descriptor: int = 0,
        head: str = "ap-gem",
    ):
        super().__init__()
        bottleneck = depth >= 50
        self.stem_pool = stem_pool
        self.conv1 = _conv(3, 64 * width, 7, 2, padding)
        self.bn1 = nn.BatchNorm2d(64 * width)
        inputs = 64 * width
        for stage, count in enumerate(_BLOCKS[depth][:stages]):
            planes = 64 * width * 2**stage
            blocks = []
            for i in range(count):
                stride = 2 if i == 0 and stage > 0 else 1
                blocks.append(Residual(inputs, planes, stride, bottleneck, padding))
                inputs = planes * 4 if bottleneck else planes
            setattr(self, f"layer{stage + 1}", nn.Sequential(*blocks))
        self.stages = stages
        if head == "cirtorch":
            self.pool = GeM()
            if descriptor:
                self.whiten = nn.Linear(inputs, descriptor)
        elif descriptor:
            self.adpool = GeM()
            self.fc = nn.Linear(inputs, descriptor)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        outputs = {"conv1": functional.relu(self.bn1(self.conv1(x)))}
        pool = same_max_pool if self.stem_pool == "same" else _torch_max_pool
        outputs["maxpool"] = x = pool(outputs["conv1"])
        for stage in range(1, self.stages + 1):
            outputs[f"layer{stage}"] = x = getattr(self, f"layer{stage}")(x)
        if hasattr(self, "adpool"):
            outputs["adpool"] = x = self.adpool(x)
            descriptor = functional.normalize(self.fc(x.flatten(1)), dim=1)
            outputs["fc"] = descriptor[:, :, None, None]
        if hasattr(self, "pool"):
            outputs["pool"] = x = _l2n(self.pool(x))
        if hasattr(self, "whiten"):
            outputs["whiten"] = _l2n(self.whiten(x.flatten(1))[:, :, None, None])
        return outputs


def _l2n(x: Tensor) -> Tensor:
    """Cirtorch's normalisation adds to the norm where torch's takes the larger."""
    return x / (x.norm(p=2, dim=1, keepdim=True) + 1e-6)


def _torch_max_pool(x: Tensor) -> Tensor:
    return functional.max_pool2d(x, 3, 2, padding=1)
