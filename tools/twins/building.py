"""From a row of the registry to its PyTorch twin, random weights for it, and a forward pass."""

import math
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from jaxret.models import ModelSpec
from twins.efficientnet import EfficientNetLite
from twins.resnet import ResNet


def build(spec: ModelSpec) -> nn.Module:
    """The twin of a row, in inference mode; its forward gives {stage: [B, C, h, w]}."""
    networks: dict[str, Any] = {"resnet": ResNet, "efficientnet_lite": EfficientNetLite}
    return networks[spec.architecture](**dict(spec.arguments)).eval()


@torch.no_grad()
def randomize(twin: nn.Module, seed: int = 0) -> nn.Module:
    """He kernels and BN statistics that are far from trivial; returns the twin itself."""
    generator = torch.Generator().manual_seed(seed)

    def uniform(tensor: torch.Tensor, low: float, high: float) -> None:
        tensor.uniform_(low, high, generator=generator)

    for module in twin.modules():
        if isinstance(module, nn.BatchNorm2d):
            uniform(module.weight, 0.5, 1.5)
            uniform(module.bias, -0.3, 0.3)
            if module.running_mean is not None and module.running_var is not None:
                uniform(module.running_mean, -0.3, 0.3)
                uniform(module.running_var, 0.5, 2.0)
        elif isinstance(module, (nn.Conv2d, nn.Linear)):
            inputs = module.weight[0].numel()
            module.weight.normal_(0, math.sqrt(2 / inputs), generator=generator)
            if module.bias is not None:
                uniform(module.bias, -0.1, 0.1)
        elif hasattr(module, "p") and isinstance(module.p, nn.Parameter):
            uniform(module.p, 2.5, 3.5)
    return twin


def pixels_to_torch(spec: ModelSpec, images: np.ndarray) -> torch.Tensor:
    """uint8 [B, H, W, 3] -> the normalised [B, 3, H, W] that torchvision's transforms give."""
    x = torch.from_numpy(np.ascontiguousarray(images)).permute(0, 3, 1, 2).float() / 255
    mean, std = torch.tensor(spec.mean), torch.tensor(spec.std)
    return (x - mean[None, :, None, None]) / std[None, :, None, None]


@torch.no_grad()
def run(twin: nn.Module, spec: ModelSpec, images: np.ndarray) -> dict[str, np.ndarray]:
    """All stages as [B, h, w, C], and the encoder's result as "output"."""
    dtype = next(twin.parameters()).dtype
    stages = twin(pixels_to_torch(spec, images).to(dtype))
    output = stages[spec.tap]
    if spec.grid_stride is not None:
        height, width = (math.ceil(side / spec.grid_stride) for side in images.shape[1:3])
        output = functional.adaptive_avg_pool2d(output, (height, width))
    stages = {**stages, "output": output}
    return {name: x.permute(0, 2, 3, 1).numpy() for name, x in stages.items()}
