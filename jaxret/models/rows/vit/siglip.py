"""SigLIP (Zhai et al., ICCV 2023) and SigLIP 2 (Tschannen et al., 2025), fixed resolutions."""

from jaxret.models.rows.licences import APACHE
from jaxret.models.rows.vit.row import HALF, SIZES, vit
from jaxret.models.spec import Argument, ModelSpec, Source

_URL = "https://storage.googleapis.com/big_vision/{}.npz"

# name -> ((width, blocks, heads), channels inside an MLP or 0 for 4 * width, patch)
_SHAPES = {
    "base": (SIZES["base"], 0, 16),
    "large": (SIZES["large"], 0, 16),
    "so400m14": ((1152, 27, 16), 4304, 14),
    "so400m16": ((1152, 27, 16), 4304, 16),
    "gopt16": ((1536, 40, 16), 0, 16),
}


def _siglip(version: str, size: str, pixels: int, parameters: int, file: str) -> ModelSpec:
    shape, hidden, patch = _SHAPES[size]
    arguments: dict[str, Argument] = {
        "cls": False,
        "activation": "gelu_tanh",  # timm's modules have the exact one at most of these sizes
        "pool_heads": shape[2],
        "resize_original": "bilinear-corners",
    }
    if hidden:
        arguments["hidden"] = hidden
    return vit(
        f"{version}-{size}-{pixels}",
        shape,
        patch,
        pixels,
        parameters,
        "siglip",
        arguments,
        mean=HALF,
        std=HALF,
        pooling="pooled",
        sources=(Source(_URL.format(f"{version}/{file}")),),
        licence=APACHE,
        note=f"{'SigLIP 2' if version == 'siglip2' else 'SigLIP'}, {size} at {pixels} pixels.",
    )


_FILES = (
    ("siglip", "base", 224, 92_884_224, "webli_en_b16_224_63724782"),
    ("siglip", "base", 256, 92_930_304, "webli_en_b16_256_60500360"),
    ("siglip", "base", 384, 93_176_064, "webli_en_b16_384_68578854"),
    ("siglip", "base", 512, 93_520_128, "webli_en_b16_512_68580893"),
    ("siglip", "large", 256, 315_956_224, "webli_en_l16_256_60552751"),
    ("siglip", "large", 384, 316_283_904, "webli_en_l16_384_63634585"),
    ("siglip", "so400m14", 224, 427_680_704, "webli_en_so400m_224_57633886"),
    ("siglip", "so400m14", 384, 428_225_600, "webli_en_so400m_384_58765454"),
    ("siglip2", "base", 224, 92_884_224, "siglip2_b16_224"),
    ("siglip2", "base", 256, 92_930_304, "siglip2_b16_256"),
    ("siglip2", "base", 384, 93_176_064, "siglip2_b16_384"),
    ("siglip2", "base", 512, 93_520_128, "siglip2_b16_512"),
    ("siglip2", "large", 256, 315_956_224, "siglip2_l16_256"),
    ("siglip2", "large", 384, 316_283_904, "siglip2_l16_384"),
    ("siglip2", "large", 512, 316_742_656, "siglip2_l16_512"),
    ("siglip2", "so400m14", 224, 427_680_704, "siglip2_so400m14_224"),
    ("siglip2", "so400m14", 384, 428_225_600, "siglip2_so400m14_384"),
    ("siglip2", "so400m16", 256, 427_888_064, "siglip2_so400m16_256"),
    ("siglip2", "so400m16", 384, 428_256_704, "siglip2_so400m16_384"),
    ("siglip2", "so400m16", 512, 428_772_800, "siglip2_so400m16_512"),
    ("siglip2", "gopt16", 256, 1_163_168_256, "siglip2_g-opt16_256"),
    ("siglip2", "gopt16", 384, 1_163_659_776, "siglip2_g-opt16_384"),
)
ROWS = tuple(_siglip(*row) for row in _FILES)
