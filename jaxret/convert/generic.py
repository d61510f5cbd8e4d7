"""Any ResNet-shaped checkpoint: a row made up on the spot from the file and a few arguments."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from jaxret.convert import networks
from jaxret.convert.layouts import Layout, layouts_of
from jaxret.convert.networks import Network
from jaxret.convert.port import port
from jaxret.convert.report import ConversionReport
from jaxret.convert.stated import Stated, applied
from jaxret.errors import UserError
from jaxret.models.encoder import Encoder, count_parameters, template
from jaxret.models.rows.resnet import resnet
from jaxret.models.spec import ModelSpec

ARCHITECTURES = tuple(f"resnet{depth}" for depth in (18, 34, 50, 101, 152, 200))


def from_checkpoint(
    state_dict: Mapping[str, Any],
    arch: str = "resnet50",
    width: int | None = None,
    name: str | None = None,
    padding: str = "torch",
    stem_pool: str | None = None,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    consume: bool = False,
    key: str | None = None,
    extras: Mapping[str, Any] | None = None,
    stated: Stated | None = None,
) -> tuple[Encoder, ConversionReport]:
    """The encoder in a checkpoint of a ResNet, and what became of each array.

    Its arrays may lie under any wrapper and prefix, under torchvision's names or the positions of
    an nn.Sequential. cirtorch's networks are read whole, with their GeM and whitening; a SimCLR of
    TensorFlow with its own padding. What lies outside the encoder is dropped and listed; inside,
    nothing may be missing, unknown or of another shape.

    Args:
        state_dict: name -> array or tensor, wrapped or not.
        arch: resnet18, resnet34, resnet50, resnet101, resnet152 or resnet200.
        width: Multiplier of the channels; None reads it from the first convolution.
        name: Of the row that is made up.
        padding: "same" for a network whose strided windows pad as TensorFlow's, such as BYOL's.
        stem_pool: The same for the max-pool alone; None is what `padding` and the form say.
        mean: Of the pixels in [0, 1]; None is what is stated, else ImageNet's.
        std: Divides what is left; None likewise.
        consume: As in `port`.
        key: Which network, where there are several; as in `port`.
        extras: As in `port`.
        stated: What the file states of its network and pixels.

    Raises:
        UserError: The architecture is unknown, or the file does not hold it.
    """
    _check_arch(arch)
    network = networks.choose(networks.find(state_dict, _layouts()), key, arch)
    found = {"width": 1} if network is None else _read_off(network)
    if width is not None:
        found["width"] = width
    found |= {"padding": padding, "stem_pool": "same" if padding == "same" else "torch"}
    spec = resnet_spec(arch, name=name, **found)
    spec, notes = applied(spec, stated or Stated(), mean, std)
    encoder, report = port(
        spec, state_dict, extras, consume, lenient=True, key=key, stem_pool=stem_pool
    )
    report.notes += notes
    return encoder, report


def resnet_spec(arch: str, width: int = 1, name: str | None = None, **others: Any) -> ModelSpec:
    """A row for a network that the registry does not hold; its parameters are counted."""
    depth = _check_arch(arch)
    if width < 1:
        raise UserError(f"The width of a network is at least 1, but got {width}.")
    made_up = name or (arch if width == 1 else f"{arch}-{width}x")
    spec = resnet(made_up, depth=depth, width=width, **others)
    return replace(spec, parameters=count_parameters(template(spec)["params"]))


def _check_arch(arch: str) -> int:
    match = re.fullmatch(r"resnet(\d+)", arch)
    if match is None or arch not in ARCHITECTURES:
        raise UserError(f"Unknown architecture {arch!r}. Known: {', '.join(ARCHITECTURES)}.")
    return int(match[1])


def _layouts() -> list[Layout]:
    """Cirtorch's first: it holds an nn.Sequential too, and more."""
    return [layout for name in ("cirtorch", "simclr") for layout in layouts_of(name)]


def _read_off(network: Network) -> dict[str, Any]:
    """The arguments of a row that the file itself tells: width, head, and whose names it has."""
    names, prefix = network.arrays, network.prefix
    shape = np.shape(names[prefix + network.layout.anchor])
    theirs = network.layout.kernels == "torch"
    channels = int(shape[0 if theirs else -1]) if shape else 0
    found: dict[str, Any] = {"width": max(channels // 64, 1)}
    if network.layout.name == "cirtorch":
        whiten = np.shape(names.get(f"{prefix}whiten.weight", ()))
        found |= {"head": "cirtorch", "descriptor": int(whiten[0]) if len(whiten) == 2 else 0}
    elif not theirs:
        found["layout"] = "simclr"
    return found
