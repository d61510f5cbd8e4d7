"""CLIP (Radford et al., ICML 2021): OpenAI's, and open_clip's on LAION-2B and DataComp-1B."""

from typing import Any

from jaxret.models.rows.vit.row import CLIP_MEAN, CLIP_STD, HALF, vit
from jaxret.models.spec import Argument, ModelSpec, Source

_HUB = "https://huggingface.co/{}/resolve/main/{}"
_PROJECTION = {"base": 512, "large": 768}


def _clip(
    name: str,
    size: str,
    patch: int,
    parameters: int,
    hub: str,
    pixels: int = 224,
    activation: str = "gelu",
    file: str = "open_clip_pytorch_model.bin",
    **others: Any,
) -> ModelSpec:
    arguments: dict[str, Argument] = {
        "patch_bias": False,
        "norm_pre": True,
        "epsilon": 1e-5,
        "activation": activation,
        "projection": _PROJECTION[size],
    }
    return vit(
        name,
        size,
        patch,
        pixels,
        parameters,
        "clip",
        arguments,
        pooling="pooled",
        sources=(Source(_HUB.format(hub, file)),),
        **{"mean": CLIP_MEAN, "std": CLIP_STD, "licence": "MIT", **others},
    )


def _openai(
    name: str, size: str, patch: int, parameters: int, hub: str, pixels: int = 224
) -> ModelSpec:
    """OpenAI's: x sigmoid(1.702 x) for GELU."""
    return _clip(
        name,
        size,
        patch,
        parameters,
        f"openai/{hub}",
        pixels,
        "quick_gelu",
        "model.safetensors",
        note=f"CLIP of OpenAI, {hub}.",
    )


ROWS = (
    _openai("clip-b32", "base", 32, 87_849_216, "clip-vit-base-patch32"),
    _openai("clip-b16", "base", 16, 86_192_640, "clip-vit-base-patch16"),
    _openai("clip-l14", "large", 14, 303_966_208, "clip-vit-large-patch14"),
    _openai("clip-l14-336", "large", 14, 304_293_888, "clip-vit-large-patch14-336", 336),
    _clip(
        "clip-b16-laion",
        "base",
        16,
        86_192_640,
        "laion/CLIP-ViT-B-16-laion2B-s34B-b88K",
        note="CLIP of open_clip on LAION-2B, ViT-B/16.",
    ),
    _clip(
        "clip-l14-laion",
        "large",
        14,
        303_966_208,
        "laion/CLIP-ViT-L-14-laion2B-s32B-b82K",
        mean=HALF,  # unlike the others of the family
        std=HALF,
        note="CLIP of open_clip on LAION-2B, ViT-L/14.",
    ),
    _clip(
        "clip-b16-datacomp",
        "base",
        16,
        86_192_640,
        "laion/CLIP-ViT-B-16-DataComp.XL-s13B-b90K",
        note="CLIP of open_clip on DataComp-1B, ViT-B/16.",
    ),
    _clip(
        "clip-l14-datacomp",
        "large",
        14,
        303_966_208,
        "laion/CLIP-ViT-L-14-DataComp.XL-s13B-b90K",
        note="CLIP of open_clip on DataComp-1B, ViT-L/14.",
    ),
)
