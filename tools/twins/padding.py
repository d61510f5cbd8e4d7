"""TensorFlow's SAME padding in PyTorch: ceil(size / stride) outputs, the odd pixel at the end."""

from torch import Tensor, nn
from torch.nn import functional


def _pad_same(x: Tensor, kernel: int, stride: int, value: float = 0.0) -> Tensor:
    pads: list[int] = []
    for size in (x.shape[3], x.shape[2]):  # functional.pad begins with the last axis
        outputs = (size + stride - 1) // stride
        total = max(0, (outputs - 1) * stride + kernel - size)
        pads += [total // 2, total - total // 2]
    return functional.pad(x, pads, value=value)


class SameConv2d(nn.Conv2d):
    """nn.Conv2d that pads as TensorFlow does."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(_pad_same(x, self.kernel_size[0], self.stride[0]))


def same_max_pool(x: Tensor) -> Tensor:
    """3x3, stride 2; padding never wins."""
    return functional.max_pool2d(_pad_same(x, 3, 2, value=float("-inf")), 3, 2)
