"""config.json of transformers -> a row: every field is used, checked or known to mean nothing."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from jaxret.errors import UserError
from jaxret.models.encoder import count_parameters, template
from jaxret.models.rows.vit.row import CLIP_MEAN, CLIP_STD, HALF, vit
from jaxret.models.spec import IMAGENET_MEAN, IMAGENET_STD, Argument, ModelSpec

_ACTIVATIONS = {
    "gelu": "gelu",
    "gelu_pytorch_tanh": "gelu_tanh",
    "gelu_new": "gelu_tanh",
    "quick_gelu": "quick_gelu",
}

# Of learning, of other heads, or about the file itself.
_WITHOUT_MEANING = frozenset(  # words are easier to read than quotes
    """
    _attn_implementation _attn_implementation_autoset _commit_hash _name_or_path apply_layernorm
    architectures attention_dropout attention_probs_dropout_prob auto_map drop_path_rate dropout
    dtype encoder_stride hidden_dropout_prob id2label initializer_factor initializer_range
    label2id layerscale_value logit_scale_init_value mask_ratio model_type norm_pix_loss
    num_labels out_features out_indices pooler_act pooler_output_size pos_embed_jitter
    pos_embed_rescale pos_embed_shift problem_type reshape_hidden_states return_class_token
    return_dict stage_names text_config text_config_dict torch_dtype transformers_version
    use_mask_token vision_config_dict decoder_hidden_size decoder_intermediate_size
    decoder_num_attention_heads decoder_num_hidden_layers
    """.split()  # noqa: SIM905
)
# What transformers 4 wrote into every config, a tower's too: settings of text generation.
_OF_GENERATION = frozenset(  # words are easier to read than quotes
    """
    add_cross_attention bad_words_ids begin_suppress_tokens bos_token_id chunk_size_feed_forward
    cross_attention_hidden_size decoder_start_token_id diversity_penalty do_sample
    early_stopping encoder_no_repeat_ngram_size eos_token_id exponential_decay_length_penalty
    finetuning_task forced_bos_token_id forced_eos_token_id is_decoder is_encoder_decoder
    length_penalty max_length min_length no_repeat_ngram_size num_beam_groups num_beams
    num_return_sequences output_attentions output_hidden_states output_scores pad_token_id
    prefix pruned_heads remove_invalid_values repetition_penalty return_dict_in_generate
    sep_token_id suppress_tokens task_specific_params temperature tf_legacy_loss
    tie_encoder_decoder tie_word_embeddings tokenizer_class top_k top_p torchscript typical_p
    use_bfloat16
    """.split()  # noqa: SIM905
)

Fields = Mapping[str, Any]


@dataclass(frozen=True)
class _Family:
    """One model_type.

    Attributes:
        layout: Of the row.
        defaults: Fields that a config may leave out, with what transformers takes then.
        fixed: Fields that the network has one value of.
        arguments: Fields -> arguments of the network beyond those that all share.
        mean: Of the pixels, where the folder does not say.
        std: The same.
        pooling: As in ModelSpec.
    """

    layout: str
    defaults: Fields
    arguments: Callable[[Fields], dict[str, Argument]]
    fixed: Fields = field(default_factory=dict)
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD
    pooling: str = "cls"


_BASE = {
    "hidden_size": 768,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "image_size": 224,
    "patch_size": 16,
    "hidden_act": "gelu",
    "layer_norm_eps": 1e-12,
}


def _bias(fields: Fields) -> str:
    return "all" if fields["qkv_bias"] else "none"


def _dinov2(fields: Fields) -> dict[str, Argument]:
    hidden = int(fields["hidden_size"] * fields["mlp_ratio"])
    gated = bool(fields["use_swiglu_ffn"])
    arguments: dict[str, Argument] = {
        "layer_scale": True,
        "qkv_bias": _bias(fields),
        "gated": gated,
        "hidden": (int(hidden * 2 / 3) + 7) // 8 * 8 if gated else hidden,
        "resize_original": "bicubic+0.1",
    }
    if fields.get("num_register_tokens"):
        antialias = "bicubic-antialias"
        arguments |= {"registers": fields["num_register_tokens"]}
        arguments |= {"resize_original": antialias, "resize_hf": antialias}
    return arguments


def _dinov3(fields: Fields) -> dict[str, Argument]:
    biases = tuple(bool(fields[f"{name}_bias"]) for name in ("query", "key", "value"))
    known = {(True, False, True): "qv", (True, True, True): "all", (False,) * 3: "none"}
    if biases not in known:
        raise UserError(f"query_bias, key_bias and value_bias are {biases}: jaxret has no such.")
    return {
        "positions": "none",
        "rope": "dinov3",
        "registers": fields["num_register_tokens"],
        "layer_scale": True,
        "qkv_bias": known[biases],
        "gated": bool(fields["use_gated_mlp"]),
        "hidden": fields["intermediate_size"],
        "rope_periods": "float32",  # its files hold none, its module computes them
    }


def _clip(fields: Fields) -> dict[str, Argument]:
    return {
        "patch_bias": False,
        "norm_pre": True,
        "hidden": fields["intermediate_size"],
        "projection": fields["projection_dim"],
    }


def _siglip(fields: Fields) -> dict[str, Argument]:
    return {
        "cls": False,
        "hidden": fields["intermediate_size"],
        "pool_heads": fields["num_attention_heads"] if fields["vision_use_head"] else 0,
        "resize_original": "bilinear-corners",
    }


def _vit(fields: Fields) -> dict[str, Argument]:
    return {
        "hidden": fields["intermediate_size"],
        "qkv_bias": _bias(fields),
        # DINO, augreg and others lie on the hub as this type: which, its config does not say.
        "resize_original": "bicubic",
    }


_DINOV2 = {**_BASE, "patch_size": 14, "layer_norm_eps": 1e-6, "mlp_ratio": 4, "qkv_bias": True}
_CLIP_TOWER = {
    **_BASE,
    "intermediate_size": 3072,
    "patch_size": 32,
    "hidden_act": "quick_gelu",
    "layer_norm_eps": 1e-5,
    "projection_dim": 512,
}
_SIGLIP_TOWER = {
    **_BASE,
    "intermediate_size": 3072,
    "hidden_act": "gelu_pytorch_tanh",
    "layer_norm_eps": 1e-6,
    "vision_use_head": True,
}
_PLAIN = {**_BASE, "intermediate_size": 3072, "qkv_bias": True}

_CLIP = _Family("clip", _CLIP_TOWER, _clip, {}, CLIP_MEAN, CLIP_STD, "pooled")
_SIGLIP = _Family("siglip", _SIGLIP_TOWER, _siglip, {}, HALF, HALF, "pooled")
_FAMILIES = {
    "dinov2": _Family("dinov2", {**_DINOV2, "use_swiglu_ffn": False}, _dinov2),
    "dinov2_with_registers": _Family(
        "dinov2", {**_DINOV2, "use_swiglu_ffn": False, "num_register_tokens": 4}, _dinov2
    ),
    "dinov3_vit": _Family(
        "dinov3",
        {
            **_BASE,
            "hidden_size": 384,
            "num_attention_heads": 6,
            "intermediate_size": 1536,
            "layer_norm_eps": 1e-5,
            "query_bias": True,
            "key_bias": False,
            "value_bias": True,
            "use_gated_mlp": False,
            "num_register_tokens": 0,
        },
        _dinov3,
        {"rope_theta": 100.0, "proj_bias": True, "mlp_bias": True},
    ),
    "clip": _CLIP,
    "clip_vision_model": _CLIP,
    "siglip": _SIGLIP,
    "siglip_vision_model": _SIGLIP,
    "vit": _Family("dino", _PLAIN, _vit),
    "vit_mae": _Family("dino", _PLAIN, _vit, pooling="mean"),
}


def row_of(name: str, config: Fields, processor: Fields) -> ModelSpec:
    """The row that the two files of a folder describe.

    Args:
        name: Of the row.
        config: Of config.json.
        processor: Of preprocessor_config.json, or nothing.

    Raises:
        UserError: The kind of model, or a field or its value, is not known; the sentence names it.
    """
    kind = config.get("model_type")
    if kind not in _FAMILIES:
        raise UserError(
            f"{name} is of model_type {kind!r}, which jaxret does not know. Known: "
            f"{', '.join(_FAMILIES)}."
        )
    family = _FAMILIES[kind]
    fields = _checked(name, family, _tower(config))
    spec = _spec(name, family, fields, processor)
    return replace(spec, parameters=count_parameters(template(spec)["params"]))


def _tower(config: Fields) -> dict[str, Any]:
    """The fields of the image tower; of a model of two towers its projection's dimension too."""
    if "vision_config" in config:
        outer = {"projection_dim": config["projection_dim"]} if "projection_dim" in config else {}
        return {**config["vision_config"], **outer}
    if config["model_type"] == "clip_vision_model" and not any(
        "WithProjection" in one for one in config.get("architectures") or ()
    ):
        return {**config, "projection_dim": 0}
    return dict(config)


def _checked(name: str, family: _Family, given: Fields) -> dict[str, Any]:
    known = {*family.defaults, *family.fixed, "num_channels"}
    if family is _SIGLIP:
        known |= {"projection_dim"}  # of CLIP's config, written along
    unknown = sorted(set(given) - known - _WITHOUT_MEANING - _OF_GENERATION)
    if unknown:
        raise UserError(
            f"config.json of {name} has a field that jaxret does not know: {unknown[0]} = "
            f"{given[unknown[0]]!r}."
        )
    for key, value in {**family.fixed, "num_channels": 3}.items():
        if given.get(key, value) != value:
            raise UserError(
                f"config.json of {name} has {key} = {given[key]!r}; jaxret knows {value!r} alone."
            )
    fields = {**family.defaults, **{key: given[key] for key in family.defaults if key in given}}
    for key in ("image_size", "patch_size"):
        fields[key] = _side(name, key, fields[key])
    return fields


def _side(name: str, key: str, value: Any) -> int:
    sides = set(value) if isinstance(value, list | tuple) else {value}
    if len(sides) != 1:
        raise UserError(f"config.json of {name} has {key} = {value!r}; jaxret knows squares alone.")
    return int(sides.pop())


def _spec(name: str, family: _Family, fields: Fields, processor: Fields) -> ModelSpec:
    arguments = family.arguments(fields)
    gated = bool(arguments.get("gated"))
    act = fields["hidden_act"]
    if not gated:
        if act not in _ACTIVATIONS:
            raise UserError(
                f"config.json of {name} has hidden_act = {act!r}; jaxret knows "
                f"{', '.join(_ACTIVATIONS)}."
            )
        arguments["activation"] = _ACTIVATIONS[act]
    arguments["epsilon"] = float(fields["layer_norm_eps"])
    mean, std = _pixels(family, processor)
    return vit(
        name,
        (fields["hidden_size"], fields["num_hidden_layers"], fields["num_attention_heads"]),
        fields["patch_size"],
        fields["image_size"],
        0,
        f"{family.layout}-gated" if family.layout == "dinov3" and gated else family.layout,
        arguments,
        mean=mean,
        std=std,
        pooling=family.pooling,
        note="Of the hub, by its config.json.",
    )


def _pixels(family: _Family, processor: Fields) -> tuple[Any, Any]:
    """Mean and standard deviation of the pixels in [0, 1]."""
    if processor.get("do_normalize") is False:
        return (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)
    mean = processor.get("image_mean", family.mean)
    std = processor.get("image_std", family.std)
    return tuple(map(float, mean)), tuple(map(float, std))
