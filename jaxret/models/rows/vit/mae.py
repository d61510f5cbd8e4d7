"""MAE (He et al., CVPR 2022), as pre-trained: its cls token has learnt nothing to speak of."""

from jaxret.models.rows.licences import CC_BY_NC
from jaxret.models.rows.vit.row import vit
from jaxret.models.spec import ModelSpec, Source

_URL = "https://dl.fbaipublicfiles.com/mae/pretrain/mae_pretrain_vit_{}.pth"


def _mae(size: str, patch: int, parameters: int) -> ModelSpec:
    return vit(
        f"mae-{size}",
        size,
        patch,
        224,
        parameters,
        "dino",
        {"positions": "sincos", "resize_original": "bicubic"},
        pooling="mean",
        sources=(Source(_URL.format(size)),),
        licence=CC_BY_NC,
        note=f"MAE, ViT-{size[0].upper()}/{patch}, 1600 epochs.",
    )


ROWS = (
    _mae("base", 16, 85_798_656),
    _mae("large", 16, 303_301_632),
    _mae("huge", 14, 630_764_800),
)
