"""AMDIM's encoder with its authors' names, unused batch normalisations included."""

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional


class UnusedNorm(nn.Module):
    """In the checkpoint, never applied."""

    def __init__(self, channels: int):
        super().__init__()
        self.bn = nn.BatchNorm2d(channels)


class Norm(UnusedNorm):
    def forward(self, x: Tensor) -> Tensor:
        return self.bn(x)


class Conv3x3(nn.Module):
    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, reflect: int):
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride)
        self.reflect = reflect

    def forward(self, x: Tensor) -> Tensor:
        if self.reflect:
            x = functional.pad(x, [self.reflect] * 4, mode="reflect")
        return functional.relu(self.conv(x))


class ConvResNxN(nn.Module):
    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, kernel, stride, bias=False)
        self.bn1 = UnusedNorm(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 1, bias=False)
        self.kernel, self.stride, self.added = kernel, stride, outputs - inputs

    def forward(self, x: Tensor) -> Tensor:
        main = self.conv2(functional.relu(self.conv1(x)))
        pooled = functional.avg_pool2d(x, self.kernel, self.stride)
        zeros = pooled.new_zeros(pooled.shape[0], self.added, *pooled.shape[2:])
        return main + torch.cat([pooled, zeros], dim=1)


class ConvResBlock(nn.Module):
    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, depth: int):
        super().__init__()
        units = [ConvResNxN(inputs, outputs, kernel, stride)]
        units += [ConvResNxN(outputs, outputs, 1, 1) for _ in range(depth - 1)]
        self.layer_list = nn.Sequential(*units)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer_list(x)


class AMDIM(nn.Module):
    def __init__(self, ndf: int = 320, n_rkhs: int = 2560, n_depth: int = 10):
        super().__init__()
        d = ndf
        self.layer_list = nn.ModuleList(
            [
                Conv3x3(3, d, 5, 2, reflect=2),
                Conv3x3(d, d, 3, 1, reflect=0),
                ConvResBlock(d, 2 * d, 4, 2, n_depth),
                ConvResBlock(2 * d, 4 * d, 4, 2, n_depth),
                ConvResBlock(4 * d, 8 * d, 2, 2, n_depth),
                UnusedNorm(8 * d),
                ConvResBlock(8 * d, 8 * d, 3, 1, n_depth),
                ConvResBlock(8 * d, 8 * d, 3, 1, n_depth),
                ConvResNxN(8 * d, n_rkhs, 3, 1),
                Norm(n_rkhs),
            ]
        )

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        return dict(self.stages(x))

    def stages(self, x: Tensor) -> Iterator[tuple[str, Tensor]]:
        """One stage at a time, as far as the map is large enough for the next layer."""
        for i, layer in enumerate(self.layer_list):
            if isinstance(layer, UnusedNorm) and not isinstance(layer, Norm):
                continue
            if i == 8 and min(x.shape[2:]) < 3:
                return
            x = layer(x)
            yield f"layer_list_{i}", x
