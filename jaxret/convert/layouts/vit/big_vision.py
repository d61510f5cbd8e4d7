"""Google's own files (.npz): Flax already, heads on an axis of their own.

SigLIP's are of big_vision; where the network was run as a scan, the blocks lie in one array,
`encoderblock`, the first axis. Those of "How to train your ViT?" are of vision_transformer, which
numbers the layers of a block as it makes them.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from jaxret.convert.layouts.layout import Layout
from jaxret.convert.layouts.vit.dino import ATTENTION
from jaxret.convert.layouts.vit.name_table import NameTable
from jaxret.errors import UserError
from jaxret.models.spec import ModelSpec

_ATTENTION = "MultiHeadDotProductAttention_0"
_AUGREG_ATTENTION = "MultiHeadDotProductAttention_1"
_BLOCK = "Transformer.encoderblock.#"


def _attention(theirs: str, ours: str) -> dict[str, str]:
    names = {name: name for name in ATTENTION} | {"out": "proj"}
    return {f"{theirs}.{their}": f"{ours}.{our}" for their, our in names.items()}


_ROLES = {"kernel": "weight", "scale": "weight", "bias": "bias"}
_TABLE = NameTable(
    {
        "embedding": "patch_embed",
        "pos_embedding": "pos_embed",
        f"{_BLOCK}.LayerNorm_0": "blocks.#.norm1",
        **_attention(f"{_BLOCK}.{_ATTENTION}", "blocks.#.attn"),
        f"{_BLOCK}.LayerNorm_1": "blocks.#.norm2",
        f"{_BLOCK}.MlpBlock_0.Dense_0": "blocks.#.mlp.fc1",
        f"{_BLOCK}.MlpBlock_0.Dense_1": "blocks.#.mlp.fc2",
        "Transformer.encoder_norm": "norm",
        "MAPHead_0.probe": "attn_pool.probe",
        **_attention(f"MAPHead_0.{_ATTENTION}", "attn_pool.attn"),
        "MAPHead_0.LayerNorm_0": "attn_pool.norm",
        "MAPHead_0.MlpBlock_0.Dense_0": "attn_pool.mlp.fc1",
        "MAPHead_0.MlpBlock_0.Dense_1": "attn_pool.mlp.fc2",
    },
    _ROLES,
)
_AUGREG_TABLE = NameTable(
    {
        "cls": "cls_token",
        "embedding": "patch_embed",
        "Transformer.posembed_input.pos_embedding": "pos_embed",
        f"{_BLOCK}.LayerNorm_0": "blocks.#.norm1",
        **_attention(f"{_BLOCK}.{_AUGREG_ATTENTION}", "blocks.#.attn"),
        f"{_BLOCK}.LayerNorm_2": "blocks.#.norm2",
        f"{_BLOCK}.MlpBlock_3.Dense_0": "blocks.#.mlp.fc1",
        f"{_BLOCK}.MlpBlock_3.Dense_1": "blocks.#.mlp.fc2",
        "Transformer.encoder_norm": "norm",
    },
    _ROLES,
)


def _arrange(arrays: Mapping[str, Any], prefix: str, spec: ModelSpec) -> dict[str, Any]:
    """One array a block, and the heads' axis joined with that of their channels."""
    parts: dict[str, Any] = {}
    for name, array in arrays.items():
        if "/encoderblock/" in name:
            for i in range(np.shape(array)[0]):
                parts[name.replace("/encoderblock/", f"/encoderblock_{i}/")] = array[i]
        else:
            parts[name] = array
    heads: int = dict(spec.arguments)["heads"]  # type: ignore[assignment]
    return {name: _joined_heads(name, array, heads) for name, array in parts.items()}


def _joined_heads(name: str, array: Any, heads: int) -> Any:
    """[C, heads, D] -> [C, C], [heads, D, C] -> [C, C] and [heads, D] -> [C]."""
    *_, module, leaf = ["", *name.split("/")]
    if "/MultiHeadDotProductAttention_" not in name or (module == "out" and leaf == "bias"):
        return array
    shape = np.shape(array)
    axis = 0 if module == "out" or leaf == "bias" else 1
    if len(shape) <= axis + 1:
        return array  # of another shape: the port says so
    if shape[axis] != heads:
        raise UserError(f"{name} has {shape[axis]} heads, and the network {heads}.")
    return np.reshape(array, (*shape[:axis], -1, *shape[axis + 2 :]))


def _path_of(table: NameTable) -> Callable[[str, int], str | None]:
    def path(name: str, axes: int) -> str | None:
        dotted = re.sub(r"encoderblock_(\d+)", r"encoderblock.\1", name).replace("/", ".")
        return table.path(dotted, axes)

    return path


BIG_VISION = Layout(
    name="big_vision",
    anchor="embedding/kernel",
    kept=r"(embedding/|pos_embedding|Transformer/|MAPHead_0/)",
    dropped=(
        (r"(^|/)txt/", "text tower"),
        (r"(^|/)(t|b)$", "temperature and bias of the loss"),
        (r"(^|/)head/", "classifier"),
        (r"^opt/", "state of the optimiser"),
    ),
    path=_path_of(_TABLE),
    arrange=_arrange,
    prefixes=("params/img/", "img/", "params/", ""),
    kernels="ours",
)

AUGREG = replace(
    BIG_VISION,
    name="augreg",
    kept=r"(cls$|embedding/|Transformer/)",
    dropped=((r"^(head|pre_logits)/", "classifier"),),
    path=_path_of(_AUGREG_TABLE),
    prefixes=("",),
)
