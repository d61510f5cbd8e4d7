"""ResNets as `nn.Sequential(*resnet.children())`: torchvision's modules under their positions."""

from dataclasses import replace

from jaxret.convert.layouts.resnet import RESNET
from jaxret.convert.layouts.torch_names import torch_name, torch_path

# conv1, bn1, relu, maxpool, layer1 to layer4; what follows (avgpool, fc) is no part of the encoder.
_MODULES = {"0": "conv1", "1": "bn1", **{str(3 + i): f"layer{i}" for i in range(1, 5)}}
_POSITIONS = {module: position for position, module in _MODULES.items()}


def by_name(name: str) -> str | None:
    """From "4.0.conv1.weight" to "layer1.0.conv1.weight"; None where nothing stands there."""
    position, _, rest = name.partition(".")
    module = _MODULES.get(position)
    return f"{module}.{rest}" if module and rest else None


def by_position(name: str) -> str:
    """The inverse."""
    module, _, rest = name.partition(".")
    return f"{_POSITIONS[module]}.{rest}"


def _path(name: str, axes: int) -> str | None:
    named = by_name(name)
    return torch_path(named, axes) if named else None


def _name_of(path: str) -> str:
    return by_position(torch_name(path))


# lightly's backbones, CosPlace's, cirtorch's `features`, and whoever cuts a ResNet at its end.
RESNET_SEQUENTIAL = replace(
    RESNET,
    name="resnet_sequential",
    anchor="0.weight",
    witness="4.0.conv1.weight",
    kept=r"[014567]\.",
    dropped=(*RESNET.dropped, (r"(^|\.)[89]\.(weight|bias)$", "classifier or projection head")),
    path=_path,
    name_of=_name_of,
    prefixes=(),
)
