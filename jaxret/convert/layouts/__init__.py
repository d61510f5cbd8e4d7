"""How each family of checkpoints names its arrays, one file a family."""

from jaxret.convert.layouts.amdim import AMDIM
from jaxret.convert.layouts.big_vision import AUGREG, BIG_VISION
from jaxret.convert.layouts.byol_haiku import BYOL_HAIKU
from jaxret.convert.layouts.clip import CLIP, PE, PE_TOWER, TIMM_CLIP
from jaxret.convert.layouts.dino import DINO, TIMM
from jaxret.convert.layouts.dinov3 import DINOV3, TIMM_DINOV3
from jaxret.convert.layouts.efficientnet import EFFICIENTNET_LITE
from jaxret.convert.layouts.gem import GEM
from jaxret.convert.layouts.hugging_face import (
    HF_CLIP,
    HF_DINOV2,
    HF_DINOV3,
    HF_DINOV3_GATED,
    HF_SIGLIP,
    HF_VIT,
)
from jaxret.convert.layouts.layout import Layout
from jaxret.convert.layouts.resnet import RESNET
from jaxret.convert.layouts.simclr_tensorflow import SIMCLR_TENSORFLOW

__all__ = ["Layout", "layouts_of"]

_LAYOUTS = {
    "resnet": (RESNET,),
    "simclr": (RESNET, SIMCLR_TENSORFLOW),
    "byol": (BYOL_HAIKU, RESNET),
    "gem": (GEM,),
    "amdim": (AMDIM,),
    "efficientnet_lite": (EFFICIENTNET_LITE,),
    "dino": (DINO, HF_VIT),
    "dinov2": (DINO, HF_DINOV2),
    "dinov3": (DINOV3, HF_DINOV3, TIMM_DINOV3),
    "dinov3-gated": (DINOV3, HF_DINOV3_GATED, TIMM_DINOV3),
    "clip": (CLIP, HF_CLIP, TIMM_CLIP),
    "siglip": (BIG_VISION, HF_SIGLIP, TIMM),
    "pe": (PE, PE_TOWER, TIMM_CLIP),
    "augreg": (AUGREG, DINO, HF_VIT),
}


def layouts_of(name: str) -> tuple[Layout, ...]:
    """The layouts that the files of a row may have, by the name of the row's `layout`."""
    return _LAYOUTS[name]
