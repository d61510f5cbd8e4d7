"""Small networks under the names of the published ones."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import twins
from torch import nn

from jaxret import models
from jaxret.models import ModelSpec


def small_spec(name: str) -> ModelSpec:
    """The row `name` with the same architecture, layout and options, but few and narrow layers."""
    spec = models.get(name)
    if spec.architecture == "amdim":
        return spec.with_arguments(ndf=4, n_rkhs=40, n_depth=2)
    if spec.head == "gem":
        return replace(spec.with_arguments(stages=1, descriptor=8), channels=8)
    if spec.architecture == "resnet":
        return replace(spec.with_arguments(stages=2, width=1), tap="layer2", channels=512)
    return spec


@pytest.fixture(scope="session")
def small() -> Callable[[str], tuple[ModelSpec, nn.Module, dict[str, Any]]]:
    """Name -> (row of a small network, its PyTorch twin, the twin's weights as published)."""

    def make(name: str) -> tuple[ModelSpec, nn.Module, dict[str, Any]]:
        spec = small_spec(name)
        twin = twins.randomize(twins.build(spec), seed=7)
        return spec, twin, twins.published_state(spec, twin)

    return make
