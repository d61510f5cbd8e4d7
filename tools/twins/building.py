"""From a row of the registry to its PyTorch twin, random weights for it, and a forward pass."""

import math
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from jaxret.models import ModelSpec
from twins import vit
from twins.amdim import AMDIM, ConvResNxN
from twins.efficientnet import EfficientNetLite
from twins.resnet import GeM, ResNet
from twins.vit import ViT


def build(spec: ModelSpec) -> nn.Module:
    """The twin of a row, in inference mode; its forward gives {stage: [B, C, h, w]}."""
    networks: dict[str, Any] = {
        "resnet": ResNet,
        "efficientnet_lite": EfficientNetLite,
        "amdim": AMDIM,
        "vit": ViT,
    }
    return networks[spec.architecture](**dict(spec.arguments)).eval()


@torch.no_grad()
def randomize(twin: nn.Module, seed: int = 0) -> nn.Module:
    """He kernels and BN statistics far from 0 and 1; returns the twin itself.

    The statistics are not those of the activations on purpose: a random network that is normalised
    at every layer is chaotic and magnifies rounding tenfold, which a trained one does not.
    """
    if isinstance(twin, ViT):
        return vit.randomize(twin, seed)
    generator = torch.Generator().manual_seed(seed)
    for module in twin.modules():
        _draw(module, generator)
    for module in twin.modules():
        if isinstance(module, ConvResNxN):  # no BN holds its 50 residual sums in check
            module.conv2.weight.mul_(0.2)
    if isinstance(twin, EfficientNetLite):
        _unsaturate(twin, generator)
    return twin


def _draw(module: nn.Module, generator: torch.Generator) -> None:
    def uniform(tensor: torch.Tensor | None, low: float, high: float) -> None:
        if tensor is not None:
            tensor.uniform_(low, high, generator=generator)

    if isinstance(module, nn.BatchNorm2d):
        uniform(module.weight, 0.5, 1.5)
        uniform(module.bias, -0.3, 0.3)
        uniform(module.running_mean, -0.3, 0.3)
        uniform(module.running_var, 0.5, 2.0)
    elif isinstance(module, (nn.Conv2d, nn.Linear)):
        inputs = module.weight[0].numel()
        module.weight.normal_(0, math.sqrt(2 / inputs), generator=generator)
        uniform(module.bias, -0.1, 0.1)
    elif isinstance(module, GeM):
        uniform(module.p, 2.5, 3.5)


def _unsaturate(twin: EfficientNetLite, generator: torch.Generator) -> None:
    """Scales the last BN to its input: without it most of the map would be ReLU6's 6."""
    blocks = twin(torch.randn(2, 3, 96, 96, generator=generator))["blocks_15"]
    power = twin._conv_head(blocks).square().mean(dim=(0, 2, 3))
    assert twin._bn1.running_var is not None
    twin._bn1.running_var.mul_(power)


def pixels_to_torch(spec: ModelSpec, images: np.ndarray) -> torch.Tensor:
    """uint8 [B, H, W, 3] -> the normalised [B, 3, H, W] that torchvision's transforms give."""
    x = torch.from_numpy(np.ascontiguousarray(images)).permute(0, 3, 1, 2).float() / 255
    mean, std = torch.tensor(spec.mean), torch.tensor(spec.std)
    return (x - mean[None, :, None, None]) / std[None, :, None, None]


@torch.no_grad()
def run(twin: nn.Module, spec: ModelSpec, images: np.ndarray) -> dict[str, np.ndarray]:
    """All stages up to the tap as [B, h, w, C], and the encoder's result as "output".

    Of a Vision Transformer also the vectors behind it.
    """
    dtype = next(twin.parameters()).dtype
    stages = twin(pixels_to_torch(spec, images).to(dtype))
    output = stages[spec.tap]
    if spec.grid_stride is not None:
        height, width = (math.ceil(side / spec.grid_stride) for side in images.shape[1:3])
        output = functional.adaptive_avg_pool2d(output, (height, width))
    names = list(stages)
    last = len(names) if spec.architecture == "vit" else names.index(spec.tap) + 1
    stages = {name: stages[name] for name in names[:last]}
    stages["output"] = output
    return {
        name: (x.permute(0, 2, 3, 1) if x.dim() == 4 else x).numpy() for name, x in stages.items()
    }
