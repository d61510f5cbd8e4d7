"""DINOv3 (Simeoni et al., 2025), its Vision Transformers learnt on LVD-1689M."""

from jaxret.models.rows.vit.row import SIZES, vit
from jaxret.models.spec import Argument, ModelSpec, Source

_URL = "https://huggingface.co/facebook/dinov3-{}-pretrain-lvd1689m/resolve/main/model.safetensors"
_LICENCE = "DINOv3 License (gated; pass it on only under the same agreement)"


def _dinov3(
    name: str,
    size: tuple[int, int, int],
    parameters: int,
    file: str,
    hidden: int = 0,
    bias: str = "qv",
) -> ModelSpec:
    arguments: dict[str, Argument] = {
        "positions": "none",
        "rope": "dinov3",
        "registers": 4,
        "layer_scale": True,
        "qkv_bias": bias,
        "epsilon": 1e-5,
    }
    if hidden:
        arguments |= {"gated": True, "hidden": hidden}
    return vit(
        f"dinov3-{name}",
        size,
        16,
        256,
        parameters,
        "dinov3-gated" if hidden else "dinov3",
        arguments,
        pooling="cls",
        sources=(Source(_URL.format(file), note="gated: its licence must be accepted first"),),
        licence=_LICENCE,
        note=f"DINOv3, {file}.",
    )


ROWS = (
    _dinov3("small", SIZES["small"], 21_596_160, "vits16"),
    _dinov3("smallplus", SIZES["small"], 28_692_480, "vits16plus", 1536),
    _dinov3("base", SIZES["base"], 85_659_648, "vitb16"),
    _dinov3("large", SIZES["large"], 303_128_576, "vitl16"),
    _dinov3("hugeplus", (1280, 32, 20), 840_591_360, "vith16plus", 5120),
    _dinov3("7b", (4096, 40, 32), 6_716_030_976, "vit7b16", 8192, bias="none"),
)
