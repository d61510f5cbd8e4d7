"""One SimCLR step in PyTorch: a twin in training mode, projection head, NT-Xent, SGD."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from jaxret.models import ModelSpec
from jaxret.training.settings import TrainSettings


class Learner(nn.Module):
    """Two views, uint8 [B, H, W, 3] each, to the loss."""

    def __init__(
        self,
        twin: nn.Module,
        spec: ModelSpec,
        head: Mapping[str, Any],
        settings: TrainSettings,
        layout: torch.memory_format,
    ) -> None:
        super().__init__()
        self.twin = twin.to(memory_format=layout)  # type: ignore[call-overload]
        self.layout = layout
        self.head = nn.Sequential(_layer(head["hidden"]), nn.ReLU(), _layer(head["output"]))
        self.tap = spec.tap
        assert settings.temperature is not None
        self.temperature = settings.temperature
        self.dtype = getattr(torch, settings.dtype)
        self.mean = nn.Buffer(255 * torch.tensor(spec.mean).reshape(1, 3, 1, 1))
        self.std = nn.Buffer(255 * torch.tensor(spec.std).reshape(1, 3, 1, 1))

    def forward(self, first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
        images = torch.cat([first, second]).permute(0, 3, 1, 2).float()
        x = (images.contiguous(memory_format=self.layout) - self.mean) / self.std
        rounded = self.dtype != torch.float32
        with torch.autocast(x.device.type, self.dtype, enabled=rounded):
            z = self.head(self.twin(x)[self.tap].mean(dim=(2, 3)))
        return nt_xent(z.float(), self.temperature)


@torch.no_grad()
def _layer(weights: Mapping[str, Any]) -> nn.Module:
    """A layer of `jaxret.training.heads`: linear, normalised by the batch where it has a scale."""
    arrays = {name: torch.tensor(np.asarray(array)) for name, array in weights.items()}
    inputs, outputs = arrays["kernel"].shape
    normalised = "scale" in arrays
    linear = nn.Linear(inputs, outputs, bias=not normalised)
    linear.weight.copy_(arrays["kernel"].T)
    if not normalised:
        linear.bias.copy_(arrays["bias"])
        return linear
    norm = nn.BatchNorm1d(outputs)
    norm.weight.copy_(arrays["scale"])
    norm.bias.copy_(arrays["bias"])
    return nn.Sequential(linear, norm)


def nt_xent(z: torch.Tensor, temperature: float) -> torch.Tensor:
    """Rows of one view, then those of the other; as `jaxret.training.losses.nt_xent`."""
    z = functional.normalize(z, dim=1)
    itself = torch.eye(len(z), dtype=torch.bool, device=z.device)
    logits = (z @ z.T / temperature).masked_fill(itself, float("-inf"))
    partners = torch.arange(len(z), device=z.device).roll(len(z) // 2)
    return functional.cross_entropy(logits, partners)


def optimizer(learner: Learner, settings: TrainSettings) -> torch.optim.Optimizer:
    """SGD with momentum, fused; weight decay on kernels alone."""
    parameters = list(learner.parameters())
    groups: list[dict[str, Any]] = [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": settings.weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1]},
    ]
    return torch.optim.SGD(
        groups,
        lr=settings.learning_rate,
        momentum=settings.momentum,
        fused=True,
    )


def contender(
    learner: Learner, views: tuple[np.ndarray, np.ndarray], settings: TrainSettings, compile: bool
) -> Callable[[], float]:
    """A call without arguments that takes one step and gives the loss before it."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    learner = learner.to(device).train()
    rule = optimizer(learner, settings)
    first, second = (torch.from_numpy(np.ascontiguousarray(view)).to(device) for view in views)
    loss_of: Callable[..., torch.Tensor] = torch.compile(learner) if compile else learner

    def step() -> float:
        rule.zero_grad(set_to_none=True)
        loss = loss_of(first, second)
        loss.backward()
        rule.step()
        if device == "cuda":
            torch.cuda.synchronize()
        return loss.item()

    return step
