"""PyTorch checkpoints. Our modules carry PyTorch's names, so one rule serves them all.

A number joins the word before it ("layer1.0.downsample.1" -> "layer1_0/downsample_1"), a leading
underscore falls, and the last word says the role.
"""

import re
from dataclasses import replace
from functools import partial

from jaxret.convert.layouts import Layout

_ROLES = {
    "bias": ("params", "bias"),
    "running_mean": ("batch_stats", "mean"),
    "running_var": ("batch_stats", "var"),
    "p": ("params", "p"),
}


def torch_path(name: str, axes: int) -> str | None:
    """From "layer1.0.conv1.weight" with 4 axes to "params/layer1_0/conv1/kernel"."""
    *parents, role = name.split(".")
    modules: list[str] = []
    for part in parents:
        if part.isdigit() and modules:
            modules[-1] += f"_{part}"
        else:
            modules.append(part.lstrip("_"))
    if role == "weight":
        return "/".join(["params", *modules, "scale" if axes == 1 else "kernel"])
    if role not in _ROLES:
        return None
    collection, leaf = _ROLES[role]
    return "/".join([collection, *modules, leaf])


_ROLE_OF = {place: role for role, place in _ROLES.items()} | {
    ("params", "kernel"): "weight",
    ("params", "scale"): "weight",
}


def torch_name(path: str, mark: str = "") -> str:
    """The inverse: from "params/layer1_0/conv1/kernel" to "layer1.0.conv1.weight".

    Args:
        path: Ours.
        mark: What the layout's names begin with: the underscore that `torch_path` lets fall.
    """
    collection, *modules, leaf = path.split("/")
    parts = [mark + re.sub(r"_(?=\d)", ".", module) for module in modules]
    return ".".join([*parts, _ROLE_OF[collection, leaf]])


_COUNTER = (r"(^|\.)num_batches_tracked$", "counter of batches")

# MoCo (momentum encoder, queue), SwAV (projection_head, prototypes), Barlow Twins and VICReg
# (projector; bn), DINO (head), SimSiam (predictor), and classifiers: SimSiam's and MoCo's fc too.
_RESNET_DROPPED = (
    _COUNTER,
    (r"(^|\.)encoder_k\.", "momentum encoder"),
    (r"(^|\.)queue(_ptr)?$", "queue of negatives"),
    (r"(^|\.)(projection_head|projector|head)\.", "projection head"),
    (r"(^|\.)prototypes\.", "prototypes"),
    (r"(^|\.)predictor\.", "predictor"),
    (r"^(module\.)?bn\.", "normalisation of the loss"),
    (r"(^|\.)fc\.", "classifier or projection head"),
)

RESNET = Layout(
    name="resnet",
    anchor="conv1.weight",
    kept=r"(conv1|bn1|layer[1-4])\.",
    dropped=_RESNET_DROPPED,
    path=torch_path,
    name_of=torch_name,
    prefixes=tuple(
        outer + inner
        for inner in ("encoder_q.", "encoder.", "backbone.", "")
        for outer in ("module.", "")
    ),
    wrappers=("state_dict", "model", "teacher"),
    witness="layer1.0.conv1.weight",
)

# deep-image-retrieval: the network ends in adpool.p and fc, which are used here.
GEM = replace(
    RESNET,
    name="gem",
    kept=r"(conv1|bn1|layer[1-4]|adpool|fc)\.",
    dropped=(_COUNTER,),
    prefixes=("", "module."),
    wrappers=("state_dict",),
)

AMDIM = Layout(
    name="amdim",
    anchor="layer_list.0.conv.weight",
    kept=r"layer_list\.",
    dropped=(
        _COUNTER,
        (r"layer_list\.[01]\.bn\.", "batch normalisation that is never applied"),
        (r"layer_list\.[2-8]\.(.*\.)?bn1\.", "batch normalisation that is never applied"),
        (r"layer_list\.5\.bn\.", "batch normalisation that is never applied"),
        (r"(^|\.)rkhs_block_\d+\.", "heads of the contrastive loss"),
        (r"^g2l_loss\.", "masks of the contrastive loss"),
        (r"^evaluator\.", "classifier"),
    ),
    path=torch_path,
    name_of=torch_name,
    prefixes=("encoder.module.", "encoder.", "module.", ""),
    wrappers=("model",),
)

EFFICIENTNET_LITE = Layout(
    name="efficientnet_lite",
    anchor="_conv_stem.weight",
    kept=r"(_conv_stem|_bn0|_blocks|_conv_head|_bn1)\.",
    dropped=(_COUNTER, (r"^_fc\.", "classifier")),
    path=torch_path,
    name_of=partial(torch_name, mark="_"),
)
