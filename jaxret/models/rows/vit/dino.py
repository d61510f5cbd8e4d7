"""DINO (Caron et al., ICCV 2021), its Vision Transformers; the ResNet-50 is `dino`."""

from jaxret.models.rows.licences import APACHE
from jaxret.models.rows.vit.row import vit
from jaxret.models.spec import ModelSpec, Source

_URL = "https://dl.fbaipublicfiles.com/dino/{0}_pretrain/{0}_pretrain.pth"


def _dino(name: str, size: str, patch: int, parameters: int, file: str, note: str) -> ModelSpec:
    return vit(
        name,
        size,
        patch,
        224,
        parameters,
        "dino",
        {"resize_original": "bicubic+0.1"},
        pooling="cls",
        sources=(Source(_URL.format(file)),),
        licence=APACHE,
        note=note,
    )


ROWS = (
    _dino("dino-vits16", "small", 16, 21_665_664, "dino_deitsmall16", "DINO, ViT-S/16."),
    _dino("dino-vits8", "small", 8, 21_670_272, "dino_deitsmall8", "DINO, ViT-S/8."),
    _dino("dino-vitb16", "base", 16, 85_798_656, "dino_vitbase16", "DINO, ViT-B/16."),
    _dino("dino-vitb8", "base", 8, 85_807_872, "dino_vitbase8", "DINO, ViT-B/8."),
    _dino(
        "dino-vits16-gldv2",
        "small",
        16,
        21_665_664,
        "dino_vitsmall16_googlelandmark",
        "DINO, ViT-S/16 learnt on GLDv2, which shows 36 of the 70 landmarks that rOxford asks for.",
    ),
)
