"""Both networks on the same photographs, stage by stage."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import nn
from twins import run

import jaxret
from jaxret.models.encoder import Encoder

TOLERANCE = 1e-5  # largest difference of a map over the largest value of the map, in float32


@dataclass(frozen=True)
class Stage:
    """How far apart the two frameworks are after one stage.

    Attributes:
        name: of the stage; "output" is what the encoder returns.
        shape: of the map, [B, h, w, C].
        largest: max |PyTorch's|.
        difference: max |jaxret's - PyTorch's|.
        relative: `difference` over `largest`.
        ours: jaxret's own distance to float64 arithmetic, over `largest`; None if not measured.
        theirs: PyTorch's.
    """

    name: str
    shape: tuple[int, ...]
    largest: float
    difference: float
    relative: float
    ours: float | None = None
    theirs: float | None = None

    def passed(self, tolerance: float) -> bool:
        """Whether the maps are equal for our purposes; NaN never is."""
        return self.relative <= tolerance


@dataclass(frozen=True)
class Verdict:
    """The whole comparison of one model.

    Attributes:
        model: name of the row.
        parameters: trained values of the encoder.
        weights: "random, seed 0", or the checkpoint file.
        images: [B, H, W] of the photographs.
        stages: in the order of the network.
        cosine: smallest over the photographs between the two final descriptors, L2-normalised
            R-MAC (the network's own descriptor where it has one).
        tolerance: that `relative` of every stage is held to.
        seconds: framework -> time of its forward pass, compilation included.
        notes: sentences about the conversion.
    """

    model: str
    parameters: int
    weights: str
    images: tuple[int, int, int]
    stages: tuple[Stage, ...]
    cosine: float
    tolerance: float = TOLERANCE
    seconds: Mapping[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def worst(self) -> Stage:
        return max(self.stages, key=lambda stage: _nan_last(stage.relative))

    @property
    def passed(self) -> bool:
        return all(stage.passed(self.tolerance) for stage in self.stages) and (
            self.cosine > 1 - self.tolerance
        )


def compare(
    twin: nn.Module, encoder: Encoder, images: np.ndarray, float64: bool = False
) -> tuple[tuple[Stage, ...], float, dict[str, float]]:
    """Runs both on uint8 images [B, H, W, 3].

    Args:
        twin: PyTorch; its weights are turned to float64 and back if `float64`.
        encoder: ours.
        images: photographs.
        float64: also measure how far each framework is from float64 arithmetic.

    Returns:
        The stages, the smallest cosine of the final descriptors, and the seconds each took.
    """
    begun = time.perf_counter()
    theirs = run(twin, encoder.spec, images)
    turned = time.perf_counter()
    ours = {name: np.asarray(value) for name, value in encoder.stages(images).items()}
    seconds = {"PyTorch": turned - begun, "jaxret": time.perf_counter() - turned}
    exact: dict[str, np.ndarray] = {}
    if float64:
        exact = run(twin.double(), encoder.spec, images)
        twin.float()
    stages = tuple(_stage(name, ours[name], theirs[name], exact.get(name)) for name in ours)
    return stages, _cosine(ours["output"], theirs["output"]), seconds


def _stage(name: str, ours: np.ndarray, theirs: np.ndarray, exact: np.ndarray | None) -> Stage:
    if ours.shape != theirs.shape:
        return Stage(name, ours.shape, float(np.abs(theirs).max()), np.inf, np.inf)
    largest = float(np.abs(theirs).max())
    difference = _distance(ours, theirs)
    scale = largest or 1.0
    own: dict[str, Any] = {}
    if exact is not None:
        own = {"ours": _distance(ours, exact) / scale, "theirs": _distance(theirs, exact) / scale}
    return Stage(name, ours.shape, largest, difference, difference / scale, **own)


def _distance(first: np.ndarray, second: np.ndarray) -> float:
    return float(np.abs(first.astype(np.float64) - second.astype(np.float64)).max())


def _cosine(ours: np.ndarray, theirs: np.ndarray) -> float:
    if ours.shape != theirs.shape:
        return float("nan")
    descriptors = [_descriptor(value) for value in (ours, theirs)]
    return float((descriptors[0] * descriptors[1]).sum(axis=1).min())


def _descriptor(value: np.ndarray) -> np.ndarray:
    """[B, h, w, C] -> [B, C] in float64: R-MAC of a map, a descriptor as it is."""
    flat = value[:, 0, 0] if value.shape[1:3] == (1, 1) else np.asarray(jaxret.rmac(value))
    wide = flat.astype(np.float64)
    return wide / np.linalg.norm(wide, axis=1, keepdims=True)


def _nan_last(value: float) -> float:
    return np.inf if np.isnan(value) else value


def versions() -> dict[str, str]:
    """What ran, for the record."""
    import jax

    return {
        "jaxret": jaxret.__version__,
        "jax": jax.__version__,
        "device": jax.devices()[0].device_kind,
        "torch": torch.__version__,
        "numpy": np.__version__,
    }
