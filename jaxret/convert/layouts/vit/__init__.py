"""How the families of Vision Transformers name their arrays, one file a family of names."""

from jaxret.convert.layouts.layout import Layout
from jaxret.convert.layouts.vit.big_vision import AUGREG, BIG_VISION
from jaxret.convert.layouts.vit.clip import CLIP, PE, PE_TOWER, TIMM_CLIP
from jaxret.convert.layouts.vit.dino import DINO, TIMM
from jaxret.convert.layouts.vit.dinov3 import DINOV3, TIMM_DINOV3
from jaxret.convert.layouts.vit.hugging_face import (
    HF_CLIP,
    HF_DINOV2,
    HF_DINOV3,
    HF_DINOV3_GATED,
    HF_SIGLIP,
    HF_VIT,
)

LAYOUTS: dict[str, tuple[Layout, ...]] = {
    "dino": (DINO, HF_VIT),
    "dinov2": (DINO, HF_DINOV2),
    "dinov3": (DINOV3, HF_DINOV3, TIMM_DINOV3),
    "dinov3-gated": (DINOV3, HF_DINOV3_GATED, TIMM_DINOV3),
    "clip": (CLIP, HF_CLIP, TIMM_CLIP),
    "siglip": (BIG_VISION, HF_SIGLIP, TIMM),
    "pe": (PE, PE_TOWER, TIMM_CLIP),
    "augreg": (AUGREG, DINO, HF_VIT),
}
