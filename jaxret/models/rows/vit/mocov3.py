"""MoCo v3 (Chen et al., ICCV 2021)."""

from jaxret.models.rows.licences import CC_BY_NC
from jaxret.models.rows.vit.row import SIZES, vit
from jaxret.models.spec import ModelSpec, Source

_URL = "https://dl.fbaipublicfiles.com/moco-v3/vit-{0}-300ep/vit-{0}-300ep.pth.tar"


def _mocov3(size: str, shape: tuple[int, int, int], parameters: int) -> ModelSpec:
    return vit(
        f"mocov3-vit{size}",
        shape,
        16,
        224,
        parameters,
        "dino",
        {"positions": "sincos-rows"},
        pooling="cls",
        sources=(Source(_URL.format(size)),),
        licence=CC_BY_NC,
        note=f"MoCo v3, ViT-{size.upper()}/16, 300 epochs.",
    )


ROWS = (
    _mocov3("s", (384, 12, 12), 21_665_664),  # twelve heads of 32 channels, unlike other ViT-S
    _mocov3("b", SIZES["base"], 85_798_656),
)
