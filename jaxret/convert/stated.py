"""What a checkpoint states of its network and pixels: in a config.json beside it, or within.

timm and the hub write config.json (`architecture`, `pretrained_cfg` with `mean` and `std`) and
preprocessor_config.json (`image_mean`, `image_std`); cirtorch's files hold `meta`, and
deep-image-retrieval's `preprocess`.
"""

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from jaxret.errors import UserError
from jaxret.models.spec import ModelSpec

_BESIDE = ("config.json", "preprocessor_config.json")
_MAX_BYTES = 16 * 1024 * 1024
# The same network as torchvision's under timm's older names.
_SAME_NETWORK = re.compile(r"(?:tv_|ssl_|swsl_|gluon_)?(resnet\d+)(?:_v1b)?")

Pixel = tuple[float, float, float]


@dataclass(frozen=True)
class Stated:
    """What is stated, None where nothing is.

    Attributes:
        architecture: (name, where it stands).
        mean: (values in [0, 1], where they stand).
        std: The same.
    """

    architecture: tuple[str, str] | None = None
    mean: tuple[Pixel, str] | None = None
    std: tuple[Pixel, str] | None = None


def stated_by(path: str | Path, extras: Mapping[str, Any]) -> Stated:
    """What the files beside the checkpoint at `path` state, else what stands within it.

    Raises:
        UserError: A mean or standard deviation that cannot be one.
    """
    found = Stated()
    for name, mapping in [*_beside(Path(path)), *_within(extras)]:
        for one in (mapping, mapping.get("pretrained_cfg")):
            if isinstance(one, Mapping):
                found = _taken(found, one, name)
    return found


def _beside(path: Path) -> list[tuple[str, Mapping[str, Any]]]:
    found = []
    for name in _BESIDE:
        file = path.parent / name
        try:
            if file.is_file() and file.stat().st_size <= _MAX_BYTES:
                found.append((str(file), json.loads(file.read_text("utf-8"))))
        except (OSError, ValueError, RecursionError):
            continue  # of something else
    return [(name, value) for name, value in found if isinstance(value, Mapping)]


def _within(extras: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    found = [(f"its '{key}'", extras.get(key)) for key in ("meta", "preprocess")]
    return [(name, value) for name, value in found if isinstance(value, Mapping)]


def _taken(found: Stated, mapping: Mapping[str, Any], where: str) -> Stated:
    architecture = mapping.get("architecture")
    if found.architecture is None and isinstance(architecture, str):
        found = replace(found, architecture=(architecture, where))
    for field in ("mean", "std"):
        values = mapping.get(field, mapping.get(f"image_{field}"))
        if getattr(found, field) is None and values is not None:
            taken: dict[str, Any] = {field: (pixel(values, field, where), where)}
            found = replace(found, **taken)
    return found


def pixel(values: Any, field: str, where: str) -> Pixel:
    """Three numbers in [0, 1]; one stands for all three. UserError where they are none."""
    given = list(values) if isinstance(values, Sequence) and not isinstance(values, str) else values
    given = given * 3 if isinstance(given, list) and len(given) == 1 else given
    least = 0 if field == "mean" else math.ulp(0)
    if (
        not isinstance(given, list)
        or len(given) != 3
        or not all(isinstance(one, int | float) and least <= one <= 1 for one in given)
    ):
        above = "from 0 to 1" if field == "mean" else "above 0 and up to 1"
        raise UserError(
            f"{where}: the {field} of the pixels is {str(values)[:80]}; it must be three numbers "
            f"{above}, for red, green and blue in [0, 1] (of 0..255: divide by 255)."
        )
    return float(given[0]), float(given[1]), float(given[2])


def applied(
    spec: ModelSpec, stated: Stated, mean: Sequence[float] | None, std: Sequence[float] | None
) -> tuple[ModelSpec, list[str]]:
    """The row with the pixels that are said, else stated; and a note on where they are from.

    Args:
        spec: The row.
        stated: By the checkpoint.
        mean: What --mean says; None where it says nothing.
        std: What --std says.

    Raises:
        UserError: Another architecture is stated than the row's.
    """
    _check_architecture(spec, stated)
    notes = []
    for field, said in (("mean", mean), ("std", std)):
        source = (pixel(said, field, f"--{field}"), f"--{field}") if said is not None else None
        source = source or getattr(stated, field)
        if source is not None:
            taken: dict[str, Any] = {field: source[0]}
            spec = replace(spec, **taken)
            notes.append(f"{field}: from {source[1]}")
    return spec, notes


def _check_architecture(spec: ModelSpec, stated: Stated) -> None:
    if stated.architecture is None or spec.architecture != "resnet":
        return
    name, where = stated.architecture
    ours = f"resnet{dict(spec.arguments)['depth']}"
    same = _SAME_NETWORK.fullmatch(name.partition(".")[0].lower())
    if same is None or same[1] != ours:
        known = f" (or --arch={same[1]})" if same else ""
        raise UserError(
            f"{where} says that the architecture of the checkpoint is {name}, not "
            f"{ours}: its weights would run in another network{known}. If that file is of other "
            "weights, move one of the two."
        )
