"""DINOv2 (Oquab et al., TMLR 2024), with and without registers (Darcet et al., ICLR 2024)."""

from jaxret.models.rows.licences import APACHE
from jaxret.models.rows.vit.row import SIZES, vit
from jaxret.models.spec import Argument, ModelSpec, Source

_URL = "https://dl.fbaipublicfiles.com/dinov2/dinov2_vit{0}14/dinov2_vit{0}14{1}_pretrain.pth"
_GIANT = (1536, 40, 24)
_REGISTERS = 4


def _dinov2(size: str, parameters: int, registers: bool) -> ModelSpec:
    shape = _GIANT if size == "giant" else SIZES[size]
    arguments: dict[str, Argument] = {"layer_scale": True, "resize_original": "bicubic+0.1"}
    if size == "giant":
        arguments |= {"gated": True, "hidden": 4096}
    if registers:
        # The released code interpolates the positions of these otherwise than of the others.
        arguments |= {"registers": _REGISTERS, "resize_original": "bicubic-antialias"}
        arguments |= {"resize_hf": "bicubic-antialias"}
        parameters += _REGISTERS * shape[0]
    suffix, with_them = ("_reg4", " with registers") if registers else ("", "")
    return vit(
        f"dinov2-{size}{'-reg' if registers else ''}",
        shape,
        14,
        518,
        parameters,
        "dinov2",
        arguments,
        pooling="cls",
        sources=(Source(_URL.format(size[0], suffix)),),
        licence=APACHE,
        note=f"DINOv2{with_them}, ViT-{size[0].upper()}/14.",
    )


_PARAMETERS = {
    "small": 22_056_192,
    "base": 86_579_712,
    "large": 304_367_616,
    "giant": 1_136_479_232,
}
ROWS = tuple(
    _dinov2(size, parameters, registers)
    for registers in (False, True)
    for size, parameters in _PARAMETERS.items()
)
