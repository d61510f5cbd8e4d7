"""The PyTorch contenders: a twin with folded BN, channels_last, compiled, with R-MAC behind it."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import nn
from torch.nn.functional import adaptive_avg_pool2d
from torch.nn.utils.fusion import fuse_conv_bn_eval
from twins.building import pixels_to_torch

from jaxret.descriptors.rmac import REGION_EPS, Level
from jaxret.models import ModelSpec

Describe = Callable[[torch.Tensor], torch.Tensor]


class Descriptor(nn.Module):
    """uint8 [B, H, W, 3] -> [B, C]: normalisation, network, R-MAC; without a grid, the map."""

    def __init__(
        self, twin: nn.Module, spec: ModelSpec, grid: Sequence[Level], dtype: torch.dtype
    ) -> None:
        super().__init__()
        self.twin = twin.to(dtype)
        self.tap = spec.tap
        self.grid_stride = spec.grid_stride
        self.grid = grid
        self.dtype = dtype
        self.mean = nn.Buffer(255 * torch.tensor(spec.mean).reshape(1, 3, 1, 1))
        self.std = nn.Buffer(255 * torch.tensor(spec.std).reshape(1, 3, 1, 1))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        x = (images.permute(0, 3, 1, 2).float() - self.mean) / self.std
        fmap = self.twin(x.to(self.dtype))[self.tap].float()
        if self.grid_stride is not None:
            rows, columns = (-(-side // self.grid_stride) for side in images.shape[1:3])
            fmap = adaptive_avg_pool2d(fmap, (rows, columns))
        return rmac(fmap, self.grid) if self.grid else fmap.permute(0, 2, 3, 1)


def rmac(fmap: torch.Tensor, grid: Sequence[Level]) -> torch.Tensor:
    """[B, C, H, W] -> [B, C], on jaxret's own grid."""
    total = torch.zeros(fmap.shape[:2], device=fmap.device)
    for level in grid:
        for top in level.rows:
            for left in level.columns:
                square = fmap[:, :, top : top + level.size, left : left + level.size]
                vector = square.amax(dim=(2, 3))
                total = total + vector / (vector.norm(dim=1, keepdim=True) + REGION_EPS)
    return total


def fold(twin: nn.Module) -> nn.Module:
    """The twin with every BN that follows a convolution folded into it, in place.

    Which convolution that is shows in one forward pass: it made the very tensor that the BN takes.
    """
    makers: dict[int, tuple[str, torch.Tensor]] = {}
    pairs: list[tuple[str, str]] = []

    def note_pair(norm: str, taken: torch.Tensor) -> None:
        if id(taken) in makers:
            pairs.append((makers[id(taken)][0], norm))

    hooks = []
    for name, module in twin.named_modules():
        if isinstance(module, nn.Conv2d):
            hooks.append(
                module.register_forward_hook(
                    # The tensor is kept, so that no later one gets its id.
                    lambda _, __, y, name=name: makers.update({id(y): (name, y)})
                )
            )
        elif isinstance(module, nn.BatchNorm2d):
            hooks.append(
                module.register_forward_pre_hook(lambda _, x, name=name: note_pair(name, x[0]))
            )
    with torch.no_grad():
        twin(torch.zeros(1, 3, 128, 128))
    for hook in hooks:
        hook.remove()
    for convolution, norm in pairs:
        conv, bn = twin.get_submodule(convolution), twin.get_submodule(norm)
        assert isinstance(conv, nn.Conv2d)
        assert isinstance(bn, nn.BatchNorm2d)
        twin.set_submodule(convolution, fuse_conv_bn_eval(conv, bn))
        twin.set_submodule(norm, nn.Identity())
    return twin


def compiled(describe: nn.Module, tuned: bool = True) -> Describe:
    """torch.compile with the weights frozen in (constant folding, packed for the CPU's kernels).

    Args:
        tuned: on a GPU, try every kernel first: minutes for a large network.
    """
    import torch._inductor.config as inductor

    inductor.freezing = True
    return torch.compile(
        describe, mode="max-autotune-no-cudagraphs" if tuned and _on_gpu() else None
    )


def _on_gpu() -> bool:
    return torch.cuda.is_available()


def contender(describe: Describe, images: np.ndarray) -> Callable[[], torch.Tensor]:
    """A call without arguments that returns when the descriptors of `images` are there."""
    device = "cuda" if _on_gpu() else "cpu"
    pixels = torch.from_numpy(np.ascontiguousarray(images)).to(device)

    @torch.inference_mode()
    def run() -> torch.Tensor:
        result = describe(pixels)
        if _on_gpu():
            torch.cuda.synchronize()
        return result

    return run


def multiply_adds(twin: nn.Module, spec: ModelSpec, size: int) -> float:
    """Multiply-adds of convolutions and products for one photograph."""
    from torch.utils.flop_counter import FlopCounterMode

    pixels = pixels_to_torch(spec, np.zeros((1, size, size, 3), np.uint8))
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        twin(pixels)
    return counter.get_total_flops() / 2
