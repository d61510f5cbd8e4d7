"""The names of transformers, as its files on the hub have them, and as its modules do since 5.0."""

from dataclasses import replace

from jaxret.convert.layouts.layout import Layout
from jaxret.convert.layouts.vit.dino import packed
from jaxret.convert.layouts.vit.name_table import NameTable, join

_ROLES = {"weight": "weight", "bias": "bias"}
_LAYER = "encoder.layer.#"
_EMBEDDINGS = {
    "embeddings.cls_token": "cls_token",
    "embeddings.position_embeddings": "pos_embed",
    "embeddings.register_tokens": "register_tokens",
    "embeddings.patch_embeddings.projection": "patch_embed",
}


def _attention(names: dict[str, str]) -> dict[str, str]:
    return {their: f"blocks.#.attn.{our}" for their, our in names.items()}


_DINOV2_TABLE = NameTable(
    {
        **_EMBEDDINGS,
        f"{_LAYER}.norm1": "blocks.#.norm1",
        f"{_LAYER}.attention.attention.query": "blocks.#.attn.query",
        f"{_LAYER}.attention.attention.key": "blocks.#.attn.key",
        f"{_LAYER}.attention.attention.value": "blocks.#.attn.value",
        f"{_LAYER}.attention.output.dense": "blocks.#.attn.proj",
        f"{_LAYER}.layer_scale1.lambda1": "blocks.#.ls1.gamma",
        f"{_LAYER}.norm2": "blocks.#.norm2",
        f"{_LAYER}.mlp.fc1": "blocks.#.mlp.fc1",
        f"{_LAYER}.mlp.fc2": "blocks.#.mlp.fc2",
        f"{_LAYER}.mlp.weights_in": ("blocks.#.mlp.w1", "blocks.#.mlp.w2"),
        f"{_LAYER}.mlp.weights_out": "blocks.#.mlp.w3",
        f"{_LAYER}.layer_scale2.lambda1": "blocks.#.ls2.gamma",
        "layernorm": "norm",
        # Of the modules since 5.0
        f"{_LAYER}.attention.q_proj": "blocks.#.attn.query",
        f"{_LAYER}.attention.k_proj": "blocks.#.attn.key",
        f"{_LAYER}.attention.v_proj": "blocks.#.attn.value",
        f"{_LAYER}.attention.o_proj": "blocks.#.attn.proj",
        f"{_LAYER}.mlp.gate_proj": "blocks.#.mlp.w1",
        f"{_LAYER}.mlp.up_proj": "blocks.#.mlp.w2",
        f"{_LAYER}.mlp.down_proj": "blocks.#.mlp.w3",
    },
    _ROLES,
)

HF_DINOV2 = Layout(
    name="hf dinov2",
    anchor="embeddings.patch_embeddings.projection.weight",
    kept=r"(embeddings\.|encoder\.|layernorm\.)",
    dropped=(
        (r"(^|\.)mask_token$", "token of what is masked in training"),
        (r"^classifier\.", "classifier"),
    ),
    path=_DINOV2_TABLE.path,
    name_of=_DINOV2_TABLE.name_of,
    arrange=_DINOV2_TABLE.split,
    pack=join,
    prefixes=("", "dinov2.", "dinov2_with_registers."),
)

_VIT_TABLE = NameTable(
    {
        **_EMBEDDINGS,
        f"{_LAYER}.layernorm_before": "blocks.#.norm1",
        f"{_LAYER}.attention.attention.query": "blocks.#.attn.query",
        f"{_LAYER}.attention.attention.key": "blocks.#.attn.key",
        f"{_LAYER}.attention.attention.value": "blocks.#.attn.value",
        f"{_LAYER}.attention.output.dense": "blocks.#.attn.proj",
        f"{_LAYER}.layernorm_after": "blocks.#.norm2",
        f"{_LAYER}.intermediate.dense": "blocks.#.mlp.fc1",
        f"{_LAYER}.output.dense": "blocks.#.mlp.fc2",
        "layernorm": "norm",
        # Of the modules since 5.0
        "layers.#.layernorm_before": "blocks.#.norm1",
        "layers.#.attention.q_proj": "blocks.#.attn.query",
        "layers.#.attention.k_proj": "blocks.#.attn.key",
        "layers.#.attention.v_proj": "blocks.#.attn.value",
        "layers.#.attention.o_proj": "blocks.#.attn.proj",
        "layers.#.layernorm_after": "blocks.#.norm2",
        "layers.#.mlp.fc1": "blocks.#.mlp.fc1",
        "layers.#.mlp.fc2": "blocks.#.mlp.fc2",
    },
    _ROLES,
)

# ViT, DINO and MAE
HF_VIT = replace(
    HF_DINOV2,
    name="hf vit",
    kept=r"(embeddings\.|encoder\.|layers\.|layernorm\.)",
    dropped=(
        (r"(^|\.)mask_token$", "token of what is masked in training"),
        (r"(^|\.)pooler\.", "layer on top of cls, of no use for retrieval"),
        (r"^classifier\.", "classifier"),
        (r"^decoder\.", "decoder of the pre-training"),
    ),
    path=_VIT_TABLE.path,
    name_of=_VIT_TABLE.name_of,
    arrange=_VIT_TABLE.split,
    prefixes=("", "vit."),
)

_DINOV3_TABLE = NameTable(
    {
        "embeddings.cls_token": "cls_token",
        "embeddings.register_tokens": "register_tokens",
        "embeddings.patch_embeddings": "patch_embed",
        "layer.#.norm1": "blocks.#.norm1",
        "layer.#.attention.q_proj": "blocks.#.attn.query",
        "layer.#.attention.k_proj": "blocks.#.attn.key",
        "layer.#.attention.v_proj": "blocks.#.attn.value",
        "layer.#.attention.o_proj": "blocks.#.attn.proj",
        "layer.#.layer_scale1.lambda1": "blocks.#.ls1.gamma",
        "layer.#.norm2": "blocks.#.norm2",
        "layer.#.mlp.up_proj": "blocks.#.mlp.fc1",
        "layer.#.mlp.down_proj": "blocks.#.mlp.fc2",
        "layer.#.layer_scale2.lambda1": "blocks.#.ls2.gamma",
        "norm": "norm",
    },
    _ROLES,
)
_GATED = {
    "layer.#.mlp.gate_proj": "blocks.#.mlp.w1",
    "layer.#.mlp.up_proj": "blocks.#.mlp.w2",
    "layer.#.mlp.down_proj": "blocks.#.mlp.w3",
}
_GATED_TABLE = NameTable({**_DINOV3_TABLE.modules, **_GATED}, _ROLES)

HF_DINOV3 = replace(
    HF_DINOV2,
    name="hf dinov3",
    anchor="embeddings.patch_embeddings.weight",
    kept=r"(embeddings\.|(model\.)?layer\.|norm\.)",
    dropped=((r"(^|\.)mask_token$", "token of what is masked in training"),),
    path=lambda name, axes: _DINOV3_TABLE.path(name.removeprefix("model."), axes),
    name_of=_DINOV3_TABLE.name_of,
    arrange=None,
    prefixes=("", "dinov3_vit."),
)
# Of a network with gates: `up_proj` and `down_proj` are other layers of ours then.
HF_DINOV3_GATED = replace(
    HF_DINOV3,
    name="hf dinov3 gated",
    path=lambda name, axes: _GATED_TABLE.path(name.removeprefix("model."), axes),
    name_of=_GATED_TABLE.name_of,
)

_CLIP_LAYER = "encoder.layers.#"
_TOWER = {
    "embeddings.patch_embedding": "patch_embed",
    "embeddings.position_embedding.weight": "pos_embed",
    f"{_CLIP_LAYER}.layer_norm1": "blocks.#.norm1",
    f"{_CLIP_LAYER}.self_attn.q_proj": "blocks.#.attn.query",
    f"{_CLIP_LAYER}.self_attn.k_proj": "blocks.#.attn.key",
    f"{_CLIP_LAYER}.self_attn.v_proj": "blocks.#.attn.value",
    f"{_CLIP_LAYER}.self_attn.out_proj": "blocks.#.attn.proj",
    f"{_CLIP_LAYER}.layer_norm2": "blocks.#.norm2",
    f"{_CLIP_LAYER}.mlp.fc1": "blocks.#.mlp.fc1",
    f"{_CLIP_LAYER}.mlp.fc2": "blocks.#.mlp.fc2",
    "post_layernorm": "norm",
}
_TEXT = (
    (r"^text_", "text tower"),
    (r"^logit_(scale|bias)$", "temperature and bias of the loss"),
    (r"position_ids$", "numbers of the positions"),
)


def _with_prefix(prefix: str, modules: dict) -> dict:
    return {prefix + theirs: ours for theirs, ours in modules.items()}


_CLIP_TABLE = NameTable(
    {
        **_with_prefix(
            "vision_model.",
            {**_TOWER, "embeddings.class_embedding": "cls_token", "pre_layrnorm": "norm_pre"},
        ),
        "visual_projection": "head",
    },
    _ROLES,
)

HF_CLIP = replace(
    HF_DINOV2,
    name="hf clip",
    anchor="vision_model.embeddings.patch_embedding.weight",
    kept=r"(vision_model\.|visual_projection\.)",
    dropped=_TEXT,
    path=_CLIP_TABLE.path,
    name_of=_CLIP_TABLE.name_of,
    arrange=None,
    prefixes=("",),
    axes={"params/cls_token": 1, "params/pos_embed": 2},
)

_SIGLIP_TABLE = NameTable(
    {
        **_TOWER,
        "head.probe": "attn_pool.probe",
        "head.attention.in_proj_weight": tuple(f"{m}.weight" for m in packed("attn_pool.attn")),
        "head.attention.in_proj_bias": tuple(f"{m}.bias" for m in packed("attn_pool.attn")),
        "head.attention.out_proj": "attn_pool.attn.proj",
        "head.layernorm": "attn_pool.norm",
        "head.mlp.fc1": "attn_pool.mlp.fc1",
        "head.mlp.fc2": "attn_pool.mlp.fc2",
    },
    _ROLES,
)

HF_SIGLIP = replace(
    HF_CLIP,
    name="hf siglip",
    anchor="embeddings.patch_embedding.weight",
    kept=r"(embeddings\.|encoder\.|post_layernorm\.|head\.)",
    path=_SIGLIP_TABLE.path,
    name_of=_SIGLIP_TABLE.name_of,
    arrange=_SIGLIP_TABLE.split,
    prefixes=("vision_model.", ""),
    axes={"params/pos_embed": 2},
)
