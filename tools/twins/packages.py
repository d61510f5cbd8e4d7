"""The modules of transformers and of timm for a row: twins that others wrote.

>>> module = of_transformers(jaxret.models.get("dinov2-small"))
>>> randomize(module, seed=0)
>>> outputs = outputs_of(module, spec, images)       # {"map": ..., "cls": ..., ...} as NumPy
"""

import warnings
from collections.abc import Callable
from functools import cache, partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from jaxret.models import ModelSpec
from twins import torchvision_module
from twins.building import pixels_to_torch
from twins.vit import randomize

__all__ = ["Tokens", "of_timm", "of_transformers", "outputs_of", "randomize"]

_GELU = {"gelu": "gelu", "gelu_tanh": "gelu_pytorch_tanh", "quick_gelu": "quick_gelu"}
_MODELS = (
    "Dinov2Model",
    "Dinov2WithRegistersModel",
    "DINOv3ViTModel",
    "CLIPVisionModelWithProjection",
    "SiglipVisionModel",
    "ViTModel",
)


@cache
def _transformers() -> Any:
    torchvision_module.load()  # which it imports where it is
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import transformers

        transformers.logging.set_verbosity_error()
        _ = [getattr(transformers, name) for name in _MODELS]  # imported when first asked for
    return transformers


@cache
def _timm() -> tuple[Any, Any, Any]:
    torchvision_module.load()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from timm import layers
        from timm.models import eva, vision_transformer
    return layers, eva, vision_transformer


def of_transformers(spec: ModelSpec) -> nn.Module:
    """The module of transformers with the arguments of a row, in inference mode."""
    hf, a = _transformers(), _arguments(spec)
    size = {
        "hidden_size": a["width"],
        "num_hidden_layers": a["depth"],
        "num_attention_heads": a["heads"],
        "patch_size": a["patch"],
        "image_size": a["grid"] * a["patch"],
        "layer_norm_eps": a["epsilon"],
    }
    hidden = {"intermediate_size": a["hidden"], "hidden_act": _GELU[a["activation"]]}
    if spec.layout == "dinov2":
        gated = {"use_swiglu_ffn": a["gated"]}
        if a["registers"]:
            registers = {"num_register_tokens": a["registers"]}
            config = hf.Dinov2WithRegistersConfig(**size, **gated, **registers)
            return hf.Dinov2WithRegistersModel(config).eval()
        return hf.Dinov2Model(hf.Dinov2Config(**size, **gated)).eval()
    if spec.layout.startswith("dinov3"):
        if a["gated"]:
            hidden["hidden_act"] = "silu"
        biases = {"query_bias": a["qkv_bias"] != "none", "value_bias": a["qkv_bias"] != "none"}
        config = hf.DINOv3ViTConfig(
            **size,
            **hidden,
            **biases,
            num_register_tokens=a["registers"],
            use_gated_mlp=a["gated"],
        )
        return hf.DINOv3ViTModel(config).eval()
    if spec.layout == "clip":
        config = hf.CLIPVisionConfig(**size, **hidden, projection_dim=a["projection"])
        return hf.CLIPVisionModelWithProjection(config).eval()
    if spec.layout == "siglip":
        return hf.SiglipVisionModel(hf.SiglipVisionConfig(**size, **hidden)).eval()
    if spec.layout in ("dino", "augreg"):
        return hf.ViTModel(hf.ViTConfig(**size, **hidden), add_pooling_layer=False).eval()
    raise ValueError(f"transformers has no module for {spec.layout}")


def of_timm(spec: ModelSpec) -> nn.Module:
    """The module of timm with the arguments of a row, in inference mode."""
    layers, eva, vision_transformer = _timm()
    a = _arguments(spec)
    common: dict[str, Any] = {
        "img_size": a["grid"] * a["patch"],
        "patch_size": a["patch"],
        "embed_dim": a["width"],
        "depth": a["depth"],
        "num_heads": a["heads"],
        "mlp_ratio": a["hidden"] / a["width"],
        "num_classes": a["projection"],
        "class_token": a["cls"],
        "init_values": 1.0 if a["layer_scale"] else None,
        "norm_layer": partial(layers.LayerNorm, eps=a["epsilon"]),
        "dynamic_img_size": True,
    }
    if spec.layout.startswith("dinov3"):
        return eva.Eva(
            **common,
            global_pool="token",
            qkv_bias=a["qkv_bias"] != "none",
            rope_type="dinov3",
            rope_temperature=100,
            rope_rotate_half=True,
            use_rot_pos_emb=True,
            use_abs_pos_emb=False,
            num_reg_tokens=a["registers"],
            swiglu_mlp=a["gated"],
            swiglu_align_to=8 if a["gated"] else 0,
            use_fc_norm=False,
        ).eval()
    if spec.layout == "pe":
        return eva.Eva(
            **common,
            global_pool="map",
            attn_type="rope",
            use_pre_transformer_norm=True,
            use_rot_pos_emb=True,
            ref_feat_shape=(a["grid"], a["grid"]),
            rope_grid_offset=1.0,
            rope_grid_indexing="xy",
            attn_pool_num_heads=a["pool_heads"],
            attn_pool_mlp_ratio=a["hidden"] / a["width"],
        ).eval()
    if a["gated"]:
        common |= {"mlp_layer": layers.SwiGLUPacked, "mlp_ratio": 2 * a["hidden"] / a["width"]}
    acts = {"gelu": nn.GELU, "gelu_tanh": layers.GELUTanh, "quick_gelu": layers.QuickGELU}
    return vision_transformer.VisionTransformer(
        **common,
        global_pool="map" if a["pool_heads"] else "token",
        act_layer=nn.SiLU if a["gated"] else acts[a["activation"]],
        reg_tokens=a["registers"],
        no_embed_class=bool(a["registers"]),
        pre_norm=a["norm_pre"],
    ).eval()


def _arguments(spec: ModelSpec) -> dict[str, Any]:
    """A row's arguments with the network's defaults filled in."""
    from jaxret.models.encoder import network

    module = network(spec)
    names = module.__dataclass_fields__
    arguments = {name: getattr(module, name) for name in names if name not in ("parent", "name")}
    return {**arguments, "hidden": arguments["hidden"] or 4 * arguments["width"]}


@torch.no_grad()
def outputs_of(module: nn.Module, spec: ModelSpec, images: np.ndarray) -> dict[str, np.ndarray]:
    """What `Encoder.outputs` gives, of a module of either package."""
    pixels = pixels_to_torch(spec, images).to(next(module.parameters()).dtype)
    package = type(module).__module__.partition(".")[0]
    run: Callable[..., tuple[Tensor, Tensor | None]] = (
        _run_timm if package == "timm" else _run_transformers
    )
    tokens, pooled = run(module, pixels)
    a = _arguments(spec)
    grid = [side // a["patch"] for side in images.shape[1:3]]
    patches = grid[0] * grid[1]
    outputs = {"map": tokens[:, -patches:].reshape(len(images), *grid, -1)}
    if a["cls"]:
        outputs["cls"] = tokens[:, 0]
    if a["registers"]:
        outputs["registers"] = tokens[:, int(a["cls"]) : -patches]
    if a["pool_heads"] or a["projection"]:
        assert pooled is not None
        outputs["pooled"] = pooled
    return {name: value.numpy() for name, value in outputs.items()}


class Tokens(nn.Module):
    """Either package's module as a twin: images [B, 3, H, W] -> {"norm": map [B, C, h, w]}."""

    def __init__(self, module: nn.Module, spec: ModelSpec) -> None:
        super().__init__()
        self.module, self.patch = module, _arguments(spec)["patch"]
        timm = type(module).__module__.startswith("timm")
        self.run = _run_timm if timm else _run_transformers

    def forward(self, pixels: Tensor) -> dict[str, Tensor]:
        tokens, _ = self.run(self.module, pixels)
        rows, columns = (side // self.patch for side in pixels.shape[2:])
        patches = tokens[:, -rows * columns :]
        return {"norm": patches.transpose(1, 2).unflatten(2, (rows, columns))}


def _run_timm(module: Any, pixels: Tensor) -> tuple[Tensor, Tensor | None]:
    tokens = module.forward_features(pixels)
    return tokens, module.forward_head(tokens)


def _run_transformers(module: Any, pixels: Tensor) -> tuple[Tensor, Tensor | None]:
    # Where a module refuses other sizes unless it is told to interpolate its positions.
    asks = type(module).__name__.startswith(("CLIP", "Siglip", "ViT"))
    out = module(pixel_values=pixels, **({"interpolate_pos_encoding": True} if asks else {}))
    tokens = out.last_hidden_state
    if "image_embeds" in out:  # CLIP normalises cls alone; jaxret, open_clip and timm all tokens
        return module.vision_model.post_layernorm(tokens), out.image_embeds
    return tokens, out.pooler_output
