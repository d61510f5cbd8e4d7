"""A twin's weights under the very names, wrappers and companions of the authors' own files."""

from typing import Any

from torch import nn

from jaxret.models import ModelSpec


def published_state(spec: ModelSpec, twin: nn.Module) -> dict[str, Any]:
    """What torch.load would give for the published checkpoint of `spec`."""
    return dict(twin.state_dict())
