"""OpenAI's CLIP and open_clip, and PE-Core, which took over its names."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from jaxret.convert.layouts.layout import Layout, to_numpy
from jaxret.convert.layouts.vit.dino import TABLE as TIMM_TABLE
from jaxret.convert.layouts.vit.dino import TIMM, packed
from jaxret.convert.layouts.vit.name_table import NameTable, Ours, join
from jaxret.errors import UserError
from jaxret.models.spec import ModelSpec

_BLOCK = "transformer.resblocks.#"
_MODULES: dict[str, Ours] = {
    "class_embedding": "cls_token",
    "positional_embedding": "pos_embed",
    "conv1": "patch_embed",
    "ln_pre": "norm_pre",
    f"{_BLOCK}.ln_1": "blocks.#.norm1",
    f"{_BLOCK}.attn.in_proj_weight": tuple(f"{one}.weight" for one in packed("blocks.#.attn")),
    f"{_BLOCK}.attn.in_proj_bias": tuple(f"{one}.bias" for one in packed("blocks.#.attn")),
    f"{_BLOCK}.attn.out_proj": "blocks.#.attn.proj",
    f"{_BLOCK}.ln_2": "blocks.#.norm2",
    f"{_BLOCK}.mlp.c_fc": "blocks.#.mlp.fc1",
    f"{_BLOCK}.mlp.c_proj": "blocks.#.mlp.fc2",
    "ln_post": "norm",
    "proj": "head.weight",
}
_ROLES = {"weight": "weight", "bias": "bias"}
_TABLE = NameTable(_MODULES, _ROLES)

CLIP = Layout(
    name="clip",
    anchor="conv1.weight",
    kept=r"(class_embedding|positional_embedding|conv1\.|ln_pre\.|transformer\.|ln_post\.|proj$)",
    dropped=(),
    outside=(
        (r"^(module\.)?(text|transformer|token_embedding|ln_final)\.", "text tower"),
        (r"^(module\.)?(positional_embedding|text_projection|logit_scale|logit_bias)$", "text"),
        (r"^(input_resolution|context_length|vocab_size)$", "numbers of the network"),
    ),
    path=_TABLE.path,
    name_of=_TABLE.name_of,
    arrange=_TABLE.split,
    pack=join,
    prefixes=("visual.", "module.visual."),
    written="visual.",
    axes={"params/cls_token": 1, "params/pos_embed": 2},
    untransposed=("params/head/kernel",),
)

_POOL: dict[str, Ours] = {
    "attn_pool.probe": "attn_pool.probe",
    "attn_pool.attn.in_proj_weight": tuple(f"{one}.weight" for one in packed("attn_pool.attn")),
    "attn_pool.attn.in_proj_bias": tuple(f"{one}.bias" for one in packed("attn_pool.attn")),
    "attn_pool.attn.out_proj": "attn_pool.attn.proj",
    "attn_pool.layernorm": "attn_pool.norm",
    "attn_pool.mlp.c_fc": "attn_pool.mlp.fc1",
    "attn_pool.mlp.c_proj": "attn_pool.mlp.fc2",
}
_PE_TABLE = NameTable({**_MODULES, **_POOL}, _ROLES)

PE = replace(
    CLIP,
    name="pe",
    kept=rf"{CLIP.kept[:-1]}|attn_pool\.)",
    path=_PE_TABLE.path,
    name_of=_PE_TABLE.name_of,
    arrange=_PE_TABLE.split,
)

# In a file of the tower alone `transformer.` is its own.
PE_TOWER = replace(PE, name="pe tower", outside=(), prefixes=("", "module."))


def _arrange_timm(arrays: Mapping[str, Any], prefix: str, spec: ModelSpec) -> dict[str, Any]:
    """Split; the projection has a bias that is always zero."""
    name = f"{prefix}head.bias"
    if name in arrays and np.any(to_numpy(name, arrays[name])):
        raise UserError(f"{name} is not zero: the projection of {spec.name} has no bias.")
    return TIMM_TABLE.split(arrays, prefix, spec)


TIMM_CLIP = replace(
    TIMM,
    name="timm clip",
    dropped=(*TIMM.dropped, (r"(^|\.)head\.bias$", "bias of the projection, zero")),
    arrange=_arrange_timm,
    name_of=None,
    pack=None,
)
