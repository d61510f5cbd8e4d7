"""The ResNet family, and the networks that torchvision publishes, supervised on ImageNet."""

from typing import Any

from jaxret.models.spec import Argument, ModelSpec, Source

_LAYOUT_OF_TAP = {"layer4": "resnet", "fc": "gem", "pool": "cirtorch", "whiten": "cirtorch"}
_TORCHVISION = "https://download.pytorch.org/models/"


def resnet(
    name: str,
    depth: int = 50,
    width: int = 1,
    padding: str = "torch",
    stem_pool: str = "torch",
    descriptor: int = 0,
    head: str = "ap-gem",
    parameters: int = 23_508_032,
    layout: str = "",
    **others: Any,
) -> ModelSpec:
    """A row of the ResNet family; the defaults are those of a plain ResNet-50.

    Args:
        name: Of the row.
        depth: 18, 34, 50, 101, 152 or 200.
        width: Multiplier of all channels.
        padding: "torch", or "same" where every strided window pads as TensorFlow does.
        stem_pool: The same for the max-pool alone.
        descriptor: Dimension of a GeM head's descriptor; 0 for a map, or for cirtorch's head
            without whitening.
        head: "ap-gem" or "cirtorch".
        parameters: As in ModelSpec.
        layout: As in ModelSpec; by default that of the head, "resnet" without one.
        **others: The other fields of ModelSpec.
    """
    arguments: dict[str, Argument] = {"depth": depth}
    given: list[tuple[str, Argument, Argument]] = [
        ("width", width, 1),
        ("padding", padding, "torch"),
        ("stem_pool", stem_pool, "torch"),
        ("descriptor", descriptor, 0),
        ("head", head, "ap-gem"),
    ]
    arguments |= {key: value for key, value, default in given if value != default}
    tap = ("whiten" if descriptor else "pool") if head == "cirtorch" else ""
    tap = tap or ("fc" if descriptor else "layer4")
    channels = (2048 if depth >= 50 else 512) * width
    return ModelSpec(
        name=name,
        architecture="resnet",
        arguments=tuple(sorted(arguments.items())),
        tap=tap,
        head=None if tap == "layer4" else "gem",
        channels=descriptor or channels,
        parameters=parameters,
        layout=layout or _LAYOUT_OF_TAP[tap],
        **others,
    )


def _torchvision(depth: int, parameters: int, file: str) -> ModelSpec:
    return resnet(
        f"resnet{depth}",
        depth=depth,
        parameters=parameters,
        sources=(Source(_TORCHVISION + file, sha256=file[-12:-4]),),  # the file's name ends in it
        licence="BSD-3-Clause",
        note="Supervised on ImageNet (torchvision, first recipe: IMAGENET1K_V1).",
    )


RESNET50 = _torchvision(50, 23_508_032, "resnet50-0676ba61.pth")
OTHER_DEPTHS = (
    _torchvision(18, 11_176_512, "resnet18-f37072fd.pth"),
    _torchvision(34, 21_284_672, "resnet34-b627a593.pth"),
    _torchvision(101, 42_500_160, "resnet101-63fe2227.pth"),
)
