"""Self-supervised ResNet-50s beyond the study, each as its authors publish it."""

from typing import Any

from jaxret.models.rows.licences import CC_BY_NC
from jaxret.models.rows.resnet import resnet
from jaxret.models.spec import ModelSpec, Source

_FACEBOOK = "https://dl.fbaipublicfiles.com/"
_GOOGLE = "https://storage.googleapis.com/"


def _self_supervised(
    name: str, files: tuple[str, ...], licence: str, note: str, **others: Any
) -> ModelSpec:
    sources = tuple(Source(_FACEBOOK + file) for file in files)
    return resnet(name, sources=sources, licence=licence, note=note, **others)


ROWS = (
    _self_supervised(
        "swav",
        ("deepcluster/swav_800ep_pretrain.pth.tar",),
        CC_BY_NC,
        "SwAV, ResNet-50, 800 epochs.",
        std=(0.228, 0.224, 0.225),  # sic, in its authors' code
    ),
    _self_supervised(
        "barlowtwins",
        ("barlowtwins/ljng/resnet50.pth",),
        "MIT",
        "Barlow Twins, ResNet-50, 1000 epochs.",
    ),
    _self_supervised("vicreg", ("vicreg/resnet50.pth",), "MIT", "VICReg, ResNet-50, 1000 epochs."),
    _self_supervised(
        "dino",
        ("dino/dino_resnet50_pretrain/dino_resnet50_pretrain.pth",),
        "Apache-2.0",
        "DINO, ResNet-50.",
    ),
    _self_supervised(
        "simsiam",
        (
            "simsiam/models/100ep/pretrain/checkpoint_0099.pth.tar",
            "simsiam/models/100ep-256bs/pretrain/checkpoint_0099.pth.tar",
        ),
        CC_BY_NC,
        "SimSiam, ResNet-50, 100 epochs.",
    ),
    resnet(
        "byol",
        padding="same",
        stem_pool="same",
        layout="byol",
        sources=(Source(f"{_GOOGLE}deepmind-byol/checkpoints/pretrain_res50x1.pkl"),),
        licence=f"{CC_BY_NC} (weights)",
        note="BYOL, ResNet-50, 1000 epochs; every strided window pads as TensorFlow's SAME.",
    ),
)
