"""Supervised on ImageNet-21k, then ImageNet (Steiner et al., "How to train your ViT?", 2022)."""

from jaxret.models.rows.licences import APACHE
from jaxret.models.rows.vit.row import HALF, vit
from jaxret.models.spec import ModelSpec, Source

_URL = "https://storage.googleapis.com/vit_models/augreg/{}--imagenet2012-steps_20k-lr_0.01-res_224.npz"


def _augreg(name: str, size: str, parameters: int, file: str) -> ModelSpec:
    return vit(
        name,
        size,
        16,
        224,
        parameters,
        "augreg",
        {"resize_original": "bilinear-corners"},
        mean=HALF,
        std=HALF,
        pooling="cls",
        sources=(Source(_URL.format(file)),),
        licence=APACHE,
        note=f"Supervised on ImageNet-21k, then ImageNet (augreg), ViT-{size[0].upper()}/16.",
    )


ROWS = (
    _augreg(
        "vit-b16",
        "base",
        85_798_656,
        "B_16-i21k-300ep-lr_0.001-aug_medium1-wd_0.1-do_0.0-sd_0.0",
    ),
    _augreg(
        "vit-l16",
        "large",
        303_301_632,
        "L_16-i21k-300ep-lr_0.001-aug_medium1-wd_0.1-do_0.1-sd_0.1",
    ),
)
