"""PyTorch checkpoints. Our modules carry PyTorch's names, so one rule serves them all.

A number joins the word before it ("layer1.0.downsample.1" -> "layer1_0/downsample_1"), a leading
underscore falls, and the last word says the role.
"""

import re

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


COUNTER = (r"(^|\.)num_batches_tracked$", "counter of batches")
