"""How the authors of each family name their arrays, as rules: their name -> our path.

Our modules carry PyTorch's names, so one rule serves every PyTorch checkpoint: a number joins the
word before it ("layer1.0.downsample.1" -> "layer1_0/downsample_1"), and the last word says the
role. What a file holds beyond the encoder (classifiers, projection heads, queues) is dropped by
name; a name that no rule knows is an error of the port.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

_ROLES = {
    "bias": ("params", "bias"),
    "running_mean": ("batch_stats", "mean"),
    "running_var": ("batch_stats", "var"),
    "p": ("params", "p"),
}


@dataclass(frozen=True)
class Layout:
    """The names of one family of checkpoints.

    Attributes:
        name: Of the layout.
        anchor: An array that every file holds, under one of the prefixes; found by it.
        prefixes: What may stand before every name of the encoder; stripped.
        wrappers: Keys under which a file may keep its state dict.
        kept: Regular expression of the names (prefix stripped) that belong to the encoder.
        dropped: (regular expression on the whole name, why it is not needed), tried in order.
        path: Name (prefix stripped) and number of axes -> our path.
        order: "torch" kernels are [out, in, kh, kw] and are transposed; "ours" are as we hold
            them.
    """

    name: str
    anchor: str
    kept: str
    dropped: tuple[tuple[str, str], ...]
    path: Callable[[str, int], str]
    prefixes: tuple[str, ...] = ("",)
    wrappers: tuple[str, ...] = ()
    order: Literal["torch", "ours"] = "torch"

    def unwrap(self, checkpoint: Mapping[str, Any]) -> Mapping[str, Any]:
        """The mapping of names to arrays inside a file that wraps it."""
        for key in self.wrappers:
            if isinstance(checkpoint.get(key), Mapping):
                return self.unwrap(checkpoint[key])
        return checkpoint

    def prefix(self, names: Mapping[str, Any]) -> str | None:
        """The prefix under which the anchor is found, or None: then the file is another's."""
        return next((p for p in self.prefixes if p + self.anchor in names), None)

    def reason_to_drop(self, name: str) -> str | None:
        """Why an array is not needed, or None where no rule knows it."""
        return next((why for pattern, why in self.dropped if re.search(pattern, name)), None)


def torch_path(name: str, axes: int) -> str:
    """From "layer1.0.conv1.weight" with 4 axes to "params/layer1_0/conv1/kernel"."""
    *parents, role = name.split(".")
    modules: list[str] = []
    for part in parents:
        if part.isdigit() and modules:
            modules[-1] += f"_{part}"
        else:
            modules.append(part.lstrip("_"))
    weight = ("params", "scale" if axes == 1 else "kernel")
    collection, leaf = _ROLES.get(role, weight if role == "weight" else ("params", role))
    return "/".join([collection, *modules, leaf])


_COUNTER = (r"(^|\.)num_batches_tracked$", "counter of batches")

_RESNET_DROPPED = (
    _COUNTER,
    (r"(^|\.)encoder_k\.", "momentum encoder"),
    (r"(^|\.)queue(_ptr)?$", "queue of negatives"),
    (r"(^|\.)(projection_head|projector|head)\.", "projection head"),
    (r"(^|\.)prototypes\.", "prototypes"),
    (r"(^|\.)predictor\.", "predictor"),
    (r"^module\.bn\.", "normalisation of the loss"),
    (r"(^|\.)fc\.", "classifier or projection head"),
)

RESNET = Layout(
    name="resnet",
    anchor="conv1.weight",
    kept=r"^(conv1|bn1|layer[1-4])\.",
    dropped=_RESNET_DROPPED,
    path=torch_path,
    prefixes=tuple(
        outer + inner
        for inner in ("", "encoder_q.", "encoder.", "backbone.")
        for outer in ("", "module.")
    ),
    wrappers=("state_dict", "model", "teacher"),
)

EFFICIENTNET_LITE = Layout(
    name="efficientnet_lite",
    anchor="_conv_stem.weight",
    kept=r"^(_conv_stem|_bn0|_blocks|_conv_head|_bn1)\.",
    dropped=(_COUNTER, (r"^_fc\.", "classifier")),
    path=torch_path,
)

# name of a row's layout -> the layouts that its files may have
LAYOUTS: dict[str, tuple[Layout, ...]] = {
    "resnet": (RESNET,),
    "efficientnet_lite": (EFFICIENTNET_LITE,),
}
