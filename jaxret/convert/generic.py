"""Any ResNet-shaped checkpoint: a row made up on the spot from the file and a few arguments."""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from jaxret.convert.layouts.resnet import RESNET
from jaxret.convert.port import port
from jaxret.convert.report import ConversionReport
from jaxret.errors import UserError
from jaxret.models.encoder import Encoder, count_parameters, template
from jaxret.models.rows.resnet import resnet
from jaxret.models.spec import IMAGENET_MEAN, IMAGENET_STD, ModelSpec

ARCHITECTURES = tuple(f"resnet{depth}" for depth in (18, 34, 50, 101, 152, 200))


def from_checkpoint(
    state_dict: Mapping[str, Any],
    arch: str = "resnet50",
    width: int | None = None,
    name: str | None = None,
    padding: str = "torch",
    stem_pool: str | None = None,
    mean: tuple[float, float, float] = IMAGENET_MEAN,
    std: tuple[float, float, float] = IMAGENET_STD,
    consume: bool = False,
) -> tuple[Encoder, ConversionReport]:
    """The encoder in a checkpoint with torchvision's names, and what became of each array.

    Wrappers ("state_dict", "model", "teacher") and prefixes ("module.", "encoder_q.",
    "backbone.", ...) are taken off. What lies outside the encoder is dropped and listed; inside,
    nothing may be missing, unknown or of another shape.

    Args:
        state_dict: name -> array or tensor, wrapped or not.
        arch: resnet18, resnet34, resnet50, resnet101, resnet152 or resnet200.
        width: Multiplier of the channels; None reads it from the first convolution.
        name: Of the row that is made up.
        padding: "same" for a network whose strided windows pad as TensorFlow's, such as BYOL's.
        stem_pool: The same for the max-pool alone; as `padding` if None.
        mean: Of the pixels in [0, 1].
        std: Divides what is left.
        consume: As in `port`.

    Raises:
        UserError: The architecture is unknown, or the file does not hold it.
    """
    spec = resnet_spec(
        arch,
        width if width is not None else _width_of(state_dict),
        name=name,
        padding=padding,
        stem_pool=stem_pool or padding,
        mean=mean,
        std=std,
    )
    return port(spec, state_dict, consume=consume, lenient=True)


def resnet_spec(arch: str, width: int = 1, name: str | None = None, **others: Any) -> ModelSpec:
    """A row for a network that the registry does not hold; its parameters are counted."""
    match = re.fullmatch(r"resnet(\d+)", arch)
    if match is None or arch not in ARCHITECTURES:
        raise UserError(f"Unknown architecture {arch!r}. Known: {', '.join(ARCHITECTURES)}.")
    if width < 1:
        raise UserError(f"The width of a network is at least 1, but got {width}.")
    made_up = name or (arch if width == 1 else f"{arch}-{width}x")
    spec = resnet(made_up, depth=int(match[1]), width=width, **others)
    return replace(spec, parameters=count_parameters(template(spec)["params"]))


def _width_of(state_dict: Mapping[str, Any]) -> int:
    """Channels of the first convolution over 64; 1 where there is none, for the port to refuse."""
    arrays = RESNET.unwrap(state_dict)
    prefix = RESNET.prefix(arrays)
    if prefix is None:
        return 1
    shape = np.shape(arrays[prefix + RESNET.anchor])
    return max(shape[0] // 64, 1) if shape else 1
