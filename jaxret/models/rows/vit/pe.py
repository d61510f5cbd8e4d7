"""PE-Core (Bolya et al., "Perception Encoder", 2025)."""

from jaxret.models.rows.licences import APACHE
from jaxret.models.rows.vit.row import HALF, vit
from jaxret.models.spec import Argument, ModelSpec, Source

_URL = "https://huggingface.co/facebook/{0}/resolve/main/{0}.pt"


def _pe(size: str, patch: int, pixels: int, parameters: int) -> ModelSpec:
    file = f"PE-Core-{size[0].upper()}{patch}-{pixels}"
    arguments: dict[str, Argument] = {
        "patch_bias": False,
        "norm_pre": True,
        "epsilon": 1e-5,
        "rope": "pe",
        "pool_heads": 8,
        "projection": 1024,
        "resize_original": "bilinear",
        "resize_hf": "bicubic-antialias",  # transformers runs timm's module
    }
    return vit(
        f"pe-core-{size}",
        size,
        patch,
        pixels,
        parameters,
        "pe",
        arguments,
        mean=HALF,
        std=HALF,
        pooling="pooled",
        sources=(Source(_URL.format(file)),),
        licence=APACHE,
        note=f"{file}.",
    )


ROWS = (_pe("base", 16, 224, 93_672_960), _pe("large", 14, 336, 317_151_232))
