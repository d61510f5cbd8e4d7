"""A Vision Transformer's twin under the names of its authors' files, and back.

Written apart from `jaxret.convert`, as rules on the twin's own names (those of DINO's code).
"""

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from jaxret.models import ModelSpec

# (the twin's, theirs), tried in order; the twin's attention is fused as theirs is.
_CLIP = (
    (r"^cls_token$", "class_embedding"),
    (r"^pos_embed$", "positional_embedding"),
    (r"^patch_embed\.proj\.", "conv1."),
    (r"^norm_pre\.", "ln_pre."),
    (r"^norm\.", "ln_post."),
    (r"^head\.weight$", "proj"),
    (r"^attn_pool\.norm\.", "attn_pool.layernorm."),
    (r"^attn_pool\.mlp\.fc1\.", "attn_pool.mlp.c_fc."),
    (r"^attn_pool\.mlp\.fc2\.", "attn_pool.mlp.c_proj."),
    (r"^blocks\.(\d+)\.norm([12])\.", r"transformer.resblocks.\1.ln_\2."),
    (r"^blocks\.(\d+)\.attn\.qkv\.", r"transformer.resblocks.\1.attn.in_proj_"),
    (r"^blocks\.(\d+)\.attn\.proj\.", r"transformer.resblocks.\1.attn.out_proj."),
    (r"^blocks\.(\d+)\.mlp\.fc1\.", r"transformer.resblocks.\1.mlp.c_fc."),
    (r"^blocks\.(\d+)\.mlp\.fc2\.", r"transformer.resblocks.\1.mlp.c_proj."),
)
_PREFIXES = {"mocov3": "module.base_encoder.", "clip": "visual.", "pe-core": "visual."}


def _renamed(name: str) -> str:
    for pattern, theirs in _CLIP:
        new, count = re.subn(pattern, theirs, name)
        if count:
            return new
    return name


def _prefix(spec: ModelSpec) -> str:
    return next((p for begin, p in _PREFIXES.items() if spec.name.startswith(begin)), "")


def published_vit(spec: ModelSpec, state: Mapping[str, Tensor]) -> dict[str, Any]:
    """What the authors' file holds: the twin's weights, and companions of no meaning."""
    prefix, width = _prefix(spec), next(iter(state.values())).shape[-1]
    token = torch.zeros(1, width)
    if spec.layout in ("siglip", "augreg"):
        return _flax(spec, state)
    if spec.layout in ("clip", "pe"):
        arrays = {prefix + _renamed(name): value for name, value in state.items()}
        arrays[f"{prefix}class_embedding"] = state["cls_token"][0, 0]
        arrays[f"{prefix}positional_embedding"] = state["pos_embed"][0]
        arrays[f"{prefix}proj"] = state["head.weight"].T.contiguous()
        text = {"logit_scale": torch.tensor(4.6), "token_embedding.weight": torch.zeros(5, 4)}
        return arrays | text | {"positional_embedding": torch.zeros(7, 4)}
    if spec.layout.startswith("dinov3"):
        return _dinov3(spec, dict(state))
    arrays = {prefix + name: value for name, value in _packed_gates(state).items()}
    if spec.layout == "dinov2":
        return arrays | {"mask_token": token}
    if spec.name.startswith("mocov3"):
        heads = {f"{prefix}head.0.weight": token, "module.predictor.0.weight": token}
        return {"epoch": 300, "state_dict": arrays | heads}
    if spec.name.startswith("mae"):
        return {"model": arrays | {"mask_token": token[None], "decoder_pos_embed": token[None]}}
    return arrays


def _packed_gates(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """DINOv2's w12: the gate's rows, then the value's."""
    arrays = {}
    for name, value in state.items():
        if ".mlp.w1." in name:
            both = [value, state[name.replace(".w1.", ".w2.")]]
            arrays[name.replace(".w1.", ".w12.")] = torch.cat(both)
        elif ".mlp.w2." not in name:
            arrays[name] = value
    return arrays


def _dinov3(spec: ModelSpec, state: dict[str, Tensor]) -> dict[str, Any]:
    a: dict[str, Any] = dict(spec.arguments)
    state["storage_tokens"] = state.pop("register_tokens")
    state["mask_token"] = torch.zeros(1, a["width"])
    channels = a["width"] // a["heads"]
    steps = 2 * torch.arange(channels // 4, dtype=torch.bfloat16) / (channels // 2)
    state["rope_embed.periods"] = 100**steps
    for name in [name for name in state if name.endswith("attn.qkv.bias")]:
        mask = torch.ones(3, a["width"])
        mask[1] = 0
        state[f"{name}_mask"] = mask.flatten()
    return state


def _flax(spec: ModelSpec, state: Mapping[str, Tensor]) -> dict[str, np.ndarray]:
    """Google's .npz: heads on an axis of their own, kernels as Flax holds them."""
    heads: int = dict(spec.arguments)["heads"]  # type: ignore[assignment]
    siglip = spec.layout == "siglip"
    root = "params/img/" if siglip else ""
    attention = f"MultiHeadDotProductAttention_{0 if siglip else 1}"
    norms = {"1": "LayerNorm_0", "2": "LayerNorm_1" if siglip else "LayerNorm_2"}
    mlp = f"MlpBlock_{0 if siglip else 3}"
    arrays: dict[str, np.ndarray] = {}

    def put(name: str, value: Tensor) -> None:
        arrays[root + name] = value.detach().float().contiguous().numpy()

    def turned(value: Tensor) -> Tensor:
        return value.T if value.dim() == 2 else value

    def layer(name: str, module: str, role: str, value: Tensor) -> None:
        """A linear layer or a normalisation of the twin."""
        norm = value.dim() == 1 and role == "weight"
        put(
            f"{name}/{module}/{'scale' if norm else {'weight': 'kernel'}.get(role, role)}",
            turned(value),
        )

    def attend(name: str, role: str, value: Tensor) -> None:
        for one, part in zip(("query", "key", "value"), value.chunk(3), strict=True):
            shape = (heads, -1) if role == "bias" else (-1, heads, len(part) // heads)
            kind = "bias" if role == "bias" else "kernel"
            put(f"{name}/{one}/{kind}", turned(part).reshape(shape))

    def project(name: str, role: str, value: Tensor) -> None:
        out = value if role == "bias" else value.T.reshape(heads, -1, len(value))
        put(f"{name}/out/{'bias' if role == 'bias' else 'kernel'}", out)

    for name, value in state.items():
        *path, role = name.split(".")
        match path:
            case []:
                place = {"cls_token": "cls", "pos_embed": "pos_embedding"}[name]
                put(place if siglip or name == "cls_token" else _POSITIONS, value)
            case ["patch_embed", "proj"]:
                kernel = value.permute(2, 3, 1, 0) if role == "weight" else value
                put(f"embedding/{'kernel' if role == 'weight' else role}", kernel)
            case ["norm"]:
                layer("Transformer", "encoder_norm", role, value)
            case ["attn_pool"]:
                put("MAPHead_0/probe", value)
            case _:
                pool = path[0] == "attn_pool"
                rest = path[1:] if pool else path[2:]
                place = "MAPHead_0" if pool else f"Transformer/encoderblock_{path[1]}"
                at = f"{place}/{attention}"
                if rest in (["attn", "qkv"], ["attn"]):
                    attend(at, role.removeprefix("in_proj_"), value)
                elif rest in (["attn", "proj"], ["attn", "out_proj"]):
                    project(at, role, value)
                elif rest[0] == "mlp":
                    layer(f"{place}/{mlp}", f"Dense_{int(rest[1][-1]) - 1}", role, value)
                else:
                    layer(place, norms[rest[0].removeprefix("norm") or "1"], role, value)
    if siglip:
        arrays |= {"params/t": np.zeros(1, np.float32), "params/b": np.zeros(1, np.float32)}
        return arrays | {"params/txt/head/bias": np.zeros(3, np.float32)}
    return arrays | {"head/bias": np.zeros(3, np.float32), "head/kernel": np.zeros((3, 3))}


_POSITIONS = "Transformer/posembed_input/pos_embedding"


def twin_state(
    spec: ModelSpec, tensors: Mapping[str, np.ndarray], wanted: Mapping[str, Tensor]
) -> dict[str, np.ndarray]:
    """The twin's arrays out of an authors' file; what is not there is absent.

    Args:
        spec: The row.
        tensors: Of the file.
        wanted: The twin's own state, for its names and shapes.
    """
    # Below zero, where no companion has a number.
    marks = {name: torch.full_like(value, -i) for i, (name, value) in enumerate(wanted.items(), 1)}
    published = published_vit(spec, marks)
    for wrapper in ("state_dict", "model"):
        published = published.get(wrapper, published)
    found: dict[str, np.ndarray] = {}
    for i, (name, value) in enumerate(wanted.items(), 1):
        pieces = []
        for theirs, mark in published.items():
            numbers = mark.float().numpy() if isinstance(mark, Tensor) else mark
            if theirs in tensors and (numbers == -i).any():
                pieces.append((theirs, numbers == -i))
        if pieces:
            found[name] = _joined(name, pieces, tensors, tuple(value.shape))
    return found


def _joined(
    name: str,
    pieces: list[tuple[str, np.ndarray]],
    tensors: Mapping[str, np.ndarray],
    shape: tuple[int, ...],
) -> np.ndarray:
    """One array of the twin, of the pieces of theirs that hold it."""
    parts = []
    for theirs, places in pieces:
        array = np.asarray(tensors[theirs])
        kernel = theirs.endswith("/kernel")
        if not places.all():  # of a packed array: its rows
            array = array[places.reshape(len(places), -1).all(axis=1)]
        if kernel and array.ndim == 4:
            array = array.transpose(3, 2, 0, 1)
        elif kernel and "/out/" in theirs:
            array = array.reshape(-1, array.shape[-1]).T
        elif kernel:
            array = array.reshape(len(array), -1).T
        elif theirs.endswith("proj") and array.ndim == 2:
            array = array.T
        elif "/bias" in theirs:
            array = array.reshape(-1)
        parts.append(array)
    return np.concatenate(parts).reshape(shape) if len(parts) > 1 else parts[0].reshape(shape)
