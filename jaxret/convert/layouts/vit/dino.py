"""The names of DINO, DINOv2, MoCo v3, MAE and of timm, which all go back to timm's ViT.

timm holds the tower of CLIP (`norm_pre`, `head`) and of SigLIP (`attn_pool`) under them, too.
"""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from jaxret.convert.layouts.layout import Layout, to_numpy
from jaxret.convert.layouts.vit.name_table import NameTable, join
from jaxret.models.spec import ModelSpec

ATTENTION = ("query", "key", "value")


def packed(module: str) -> tuple[str, ...]:
    """Query, key and value of our `module`, one after the other."""
    return tuple(f"{module}.{name}" for name in ATTENTION)


TABLE = NameTable(
    {
        "cls_token": "cls_token",
        "pos_embed": "pos_embed",
        "register_tokens": "register_tokens",
        "reg_token": "register_tokens",  # timm
        "patch_embed.proj": "patch_embed",
        "norm_pre": "norm_pre",
        "blocks.#.norm1": "blocks.#.norm1",
        "blocks.#.attn.qkv": packed("blocks.#.attn"),
        "blocks.#.attn.proj": "blocks.#.attn.proj",
        "blocks.#.ls1": "blocks.#.ls1",
        "blocks.#.norm2": "blocks.#.norm2",
        "blocks.#.mlp.fc1": "blocks.#.mlp.fc1",
        "blocks.#.mlp.fc2": "blocks.#.mlp.fc2",
        "blocks.#.mlp.w12": ("blocks.#.mlp.w1", "blocks.#.mlp.w2"),
        "blocks.#.mlp.w3": "blocks.#.mlp.w3",
        "blocks.#.ls2": "blocks.#.ls2",
        "norm": "norm",
        "attn_pool.latent": "attn_pool.probe",
        "attn_pool.q": "attn_pool.attn.query",
        "attn_pool.kv": ("attn_pool.attn.key", "attn_pool.attn.value"),
        "attn_pool.proj": "attn_pool.attn.proj",
        "attn_pool.norm": "attn_pool.norm",
        "attn_pool.mlp.fc1": "attn_pool.mlp.fc1",
        "attn_pool.mlp.fc2": "attn_pool.mlp.fc2",
        "head": "head",
    },
    roles={"weight": "weight", "bias": "bias", "gamma": "gamma"},
)


_GATES = re.compile(r"\.mlp\.fc([12])\.")


def _gate(match: re.Match[str]) -> str:
    """DINOv2's name of a product of SwiGLU for timm's."""
    return f".mlp.{'w12' if match[1] == '1' else 'w3'}."


def arrange(arrays: Mapping[str, Any], prefix: str, spec: ModelSpec) -> dict[str, Any]:
    """Split; timm's form of a DINOv2 with registers gets back the position of cls.

    timm adds it to cls_token once and for all: here its row of the table is zero.
    """
    arrays = _one_chunk(arrays)
    if dict(spec.arguments).get("gated"):
        arrays = {_GATES.sub(_gate, name): array for name, array in arrays.items()}
    parts = TABLE.split(arrays, prefix, spec)
    table = f"{prefix}pos_embed"
    if f"{prefix}reg_token" in parts and table in parts:
        positions = to_numpy(table, parts.pop(table))
        parts[f"{table}, cls 0"] = np.pad(positions, ((0, 0), (1, 0), (0, 0)))
    return parts


def _one_chunk(arrays: Mapping[str, Any]) -> Mapping[str, Any]:
    """DINOv2's training keeps its blocks in chunks, "blocks.CHUNK.NUMBER."; numbers go on."""
    form = re.compile(r"(^|\.)blocks\.\d+\.(\d+\.)")
    if not any(form.search(name) for name in arrays):
        return arrays
    return {form.sub(r"\1blocks.\2", name): array for name, array in arrays.items()}


def path(name: str, axes: int) -> str | None:
    """As of the table; "pos_embed, cls 0" is what `arrange` makes of timm's."""
    return TABLE.path(name.removesuffix(", cls 0"), axes)


_DROPPED = (
    (r"(^|\.)mask_token$", "token of what is masked in training"),
    (r"(^|\.)decoder_", "decoder of the pre-training"),
    (r"(^|\.)(dino_head|ibot_head)\.", "projection head"),
    (r"(^|\.)predictor\.", "predictor"),
    (r"(^|\.)momentum_encoder\.", "momentum encoder"),
    (r"(^|\.)fc_norm\.", "normalisation of the classifier"),
)

DINO = Layout(
    name="dino",
    anchor="patch_embed.proj.weight",
    kept=r"(cls_token|pos_embed|register_tokens|reg_token|patch_embed\.|blocks\.|norm\.)",
    dropped=(*_DROPPED, (r"(^|\.)head\.", "classifier or projection head")),
    path=path,
    name_of=TABLE.name_of,
    arrange=arrange,
    pack=join,
    prefixes=(
        "",
        "module.base_encoder.",
        "base_encoder.",
        "module.backbone.",
        "backbone.",
        "teacher.backbone.",
        "module.",
    ),
)

# CLIP and SigLIP in timm: `head` is the projection, which has no bias.
TIMM = replace(
    DINO,
    name="timm",
    kept=rf"{DINO.kept[:-1]}|norm_pre\.|attn_pool\.|head\.)",
    dropped=_DROPPED,
    prefixes=("", "trunk.", "visual.trunk."),
)
