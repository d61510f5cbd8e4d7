"""DINOv3: its authors' names, and timm's (an Eva without biases of query, key and value).

The authors' bias of query, key and value comes with a mask that takes away the keys' third; the
periods of the rotary positions lie in the file, rounded to bfloat16.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from jaxret.convert.layouts.layout import Layout, to_numpy
from jaxret.convert.layouts.vit.dino import DINO, packed
from jaxret.convert.layouts.vit.name_table import NameTable, Ours, join
from jaxret.errors import UserError
from jaxret.models.networks.positions import dinov3_periods
from jaxret.models.spec import ModelSpec

_MODULES: dict[str, Ours] = {
    "cls_token": "cls_token",
    "storage_tokens": "register_tokens",
    "patch_embed.proj": "patch_embed",
    "blocks.#.norm1": "blocks.#.norm1",
    "blocks.#.attn.qkv.weight": tuple(f"{one}.weight" for one in packed("blocks.#.attn")),
    "blocks.#.attn.qkv.bias": ("blocks.#.attn.query.bias", None, "blocks.#.attn.value.bias"),
    "blocks.#.attn.proj": "blocks.#.attn.proj",
    "blocks.#.ls1": "blocks.#.ls1",
    "blocks.#.norm2": "blocks.#.norm2",
    "blocks.#.mlp.fc1": "blocks.#.mlp.fc1",
    "blocks.#.mlp.fc2": "blocks.#.mlp.fc2",
    "blocks.#.mlp.w1": "blocks.#.mlp.w1",
    "blocks.#.mlp.w2": "blocks.#.mlp.w2",
    "blocks.#.mlp.w3": "blocks.#.mlp.w3",
    "blocks.#.ls2": "blocks.#.ls2",
    "norm": "norm",
}
_ROLES = {"weight": "weight", "bias": "bias", "gamma": "gamma"}
_TABLE = NameTable(_MODULES, _ROLES)

_BIAS = "attn.qkv.bias"
_MASK = "attn.qkv.bias_mask"
_PERIODS = "rope_embed.periods"


def _arrange(arrays: Mapping[str, Any], prefix: str, spec: ModelSpec) -> dict[str, Any]:
    """Split, once the masks and the periods are found to be what the network computes with."""
    for name, array in arrays.items():
        if name.endswith(_MASK):
            _check_mask(name, to_numpy(name, array))
        elif name.endswith(_PERIODS):
            _check_periods(to_numpy(name, array), spec)
    parts = _TABLE.split(arrays, prefix, spec)
    for name in [name for name in parts if name.endswith(f"{_BIAS}[1]")]:
        if f"{name[:-3]}_mask" not in parts and np.any(to_numpy(name, parts[name])):
            raise UserError(f"{name[:-3]} has biases of the keys and no mask that takes them away.")
    return parts


def _check_mask(name: str, mask: np.ndarray) -> None:
    query, key, value = np.split(mask, 3)
    if not ((query == 1).all() and (key == 0).all() and (value == 1).all()):
        raise UserError(
            f"{name} is not 1 for query and value and 0 for key: the file was written before its "
            "network was initialised, or is of another version of DINOv3."
        )


def _check_periods(found: np.ndarray, spec: ModelSpec) -> None:
    arguments: dict[str, Any] = dict(spec.arguments)
    channels = arguments["width"] // arguments["heads"]
    periods = arguments.get("rope_periods", "file")
    wanted = dinov3_periods(channels, periods)
    if found.shape != wanted.shape or np.abs(found / wanted - 1).max() > 1e-6:
        other = "float32" if periods == "file" else "file"
        raise UserError(
            f"The {_PERIODS} of this checkpoint are not those of {spec.name} with "
            f"rope_periods={periods}; where they were kept in another precision, say "
            f"rope_periods={other}."
        )


_DROPPED = (
    (r"(^|\.)mask_token$", "token of what is masked in training"),
    (r"\.attn\.qkv\.bias\[1\]$", "bias of the keys, masked to zero"),
    (r"\.attn\.qkv\.bias_mask$", "mask of the keys' bias, checked"),
    (r"(^|\.)rope_embed\.periods$", "periods of the rotary positions, checked"),
    (r"(^|\.)local_cls_norm\.", "normalisation of local crops in training"),
    (r"(^|\.)(dino_head|ibot_head)\.", "projection head"),
)


def _pack(parts: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The authors' form: biases of the keys are there, zero, with the mask."""
    for name in [name for name in parts if name.endswith(f"{_BIAS}[0]")]:
        parts[f"{name[:-3]}[1]"] = np.zeros_like(parts[name])
    state = join(parts)
    for name in [name for name in state if name.endswith(_BIAS)]:
        third = len(state[name]) // 3
        state[f"{name}_mask"] = np.repeat(np.array([1, 0, 1], np.float32), third)
    return state


DINOV3 = Layout(
    name="dinov3",
    anchor="storage_tokens",
    kept=r"(cls_token|storage_tokens|patch_embed\.|blocks\.|norm\.)",
    dropped=_DROPPED,
    path=_TABLE.path,
    name_of=_TABLE.name_of,
    arrange=_arrange,
    pack=_pack,
    prefixes=("", "module.", "teacher.backbone.", "backbone."),
)

_TIMM_TABLE = NameTable(
    {
        **{
            theirs.replace("storage_tokens", "reg_token"): ours
            for theirs, ours in _MODULES.items()
            if "qkv.bias" not in theirs and "mlp.w" not in theirs and ".ls" not in theirs
        },
        "blocks.#.attn.q_bias": "blocks.#.attn.query.bias",
        "blocks.#.attn.v_bias": "blocks.#.attn.value.bias",
        "blocks.#.gamma_1": "blocks.#.ls1.gamma",
        "blocks.#.gamma_2": "blocks.#.ls2.gamma",
        "blocks.#.mlp.fc1_g": "blocks.#.mlp.w1",
        "blocks.#.mlp.fc1_x": "blocks.#.mlp.w2",
    },
    _ROLES,
)


def _arrange_timm(arrays: Mapping[str, Any], prefix: str, spec: ModelSpec) -> dict[str, Any]:
    """Split; where the model has no biases of query and value, they are zero."""
    parts = _TIMM_TABLE.split(arrays, prefix, spec)
    arguments: dict[str, Any] = dict(spec.arguments)
    gated, has_bias = arguments.get("gated", False), arguments.get("qkv_bias") == "qv"
    for i in range(arguments["depth"]):
        for bias in ("q_bias", "v_bias") if has_bias else ():
            zero = np.zeros(arguments["width"], np.float32)
            parts.setdefault(f"{prefix}blocks.{i}.attn.{bias}", zero)
        for role in ("weight", "bias") if gated else ():
            down = f"{prefix}blocks.{i}.mlp.fc2.{role}"
            if down in parts:  # the third product of a SwiGLU
                parts[f"{prefix}blocks.{i}.mlp.w3.{role}"] = parts.pop(down)
    return parts


def _timm_path(name: str, axes: int) -> str | None:
    if ".mlp.w3." in name:
        return _TABLE.path(name, axes)
    return _TIMM_TABLE.path(name, axes)


TIMM_DINOV3 = replace(
    DINO,
    name="timm dinov3",
    anchor="reg_token",
    kept=r"(cls_token|reg_token|patch_embed\.|blocks\.|norm\.)",
    path=_timm_path,
    name_of=None,
    arrange=_arrange_timm,
    pack=None,
)
