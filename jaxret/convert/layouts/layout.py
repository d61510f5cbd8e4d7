"""How a family of checkpoints names its arrays, as rules: their name -> our path.

What a file holds beyond the encoder (classifiers, projection heads, queues) is dropped by name; a
name that no rule knows is an error of the port.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from jaxret.convert.reading import torch_file
from jaxret.models.spec import ModelSpec


@dataclass(frozen=True)
class Layout:
    """The names of one family of checkpoints.

    Attributes:
        name: Of the layout.
        anchor: An array that every file holds, under one of the prefixes; found by it.
        kept: Regular expression of the names (prefix stripped) that belong to the encoder.
        dropped: (regular expression on the whole name, why it is not needed), tried in order
            and before `kept`.
        path: Name (prefix stripped) and number of axes -> our path, e.g.
            "params/layer1_0/conv1/kernel", or None where the name is not of this network.
        prefixes: What may stand before every name of the encoder, the likeliest first.
        kernels: "torch" kernels are [out, in, kh, kw] or [out, in] and are transposed; "ours" are
            as we hold them, [kh, kw, in, out].
        flat_vectors: False where a vector is stored as [1, 1, 1, C].
        witness: A second array that confirms a prefix nobody is known to use; empty: none will do.
        network: Arguments of the architecture that files of this form were made with, where they
            are not those of the row.
        name_of: The inverse of `path`, for the export: our path -> name without a prefix. None:
            encoders are not written under these names.
        outside: As `dropped`, of names that do not begin with the network's prefix.
        arrange: (arrays, prefix, row) -> arrays that the other rules know, where a file packs
            several of ours into one ("NAME[0]", "NAME[1]" ... are its parts) or leaves one out.
        pack: The inverse, for the export: parts by their names -> arrays as the file holds them.
        axes: Our path -> how many axes their array has, where that is less: ours begins with
            axes of length 1.
        written: What the export puts before every name.
        untransposed: Our paths of kernels that lie in a "torch" file as ours do.
    """

    name: str
    anchor: str
    kept: str
    dropped: tuple[tuple[str, str], ...]
    path: Callable[[str, int], str | None]
    prefixes: tuple[str, ...] = ("",)
    kernels: Literal["torch", "ours"] = "torch"
    flat_vectors: bool = True
    witness: str = ""
    network: tuple[tuple[str, int | str], ...] = ()
    name_of: Callable[[str], str] | None = None
    outside: tuple[tuple[str, str], ...] = ()
    arrange: Callable[[Mapping[str, Any], str, ModelSpec], dict[str, Any]] | None = None
    pack: Callable[[dict[str, np.ndarray]], dict[str, np.ndarray]] | None = None
    axes: Mapping[str, int] = field(default_factory=dict)
    written: str = ""
    untransposed: tuple[str, ...] = ()

    def prefixes_in(self, names: Mapping[str, Any]) -> list[str]:
        """Every prefix under which a mapping holds a network of these names.

        That is where the witness stands beside the anchor; where it does nowhere, a prefix that is
        known will do, for the port to say what is missing.
        """
        anchored = [str(name) for name in names if _ends_in(str(name), self.anchor)]
        prefixes = [name.removesuffix(self.anchor) for name in anchored]
        whole = [p for p in prefixes if self.witness and p + self.witness in names]
        return whole or [prefix for prefix in self.prefixes if prefix in prefixes]

    def reason_to_drop(self, name: str, prefix: str = "") -> str | None:
        """Why an array is not needed, or None where no rule knows it.

        The prefix of the network that was taken says nothing against its arrays.
        """
        inner = name.removeprefix(prefix)
        rules = self.dropped if prefix else (*self.dropped, *self.outside)
        return next((why for pattern, why in rules if re.search(pattern, inner)), None)

    def locate(self, name: str, prefix: str, axes: int) -> str | None:
        """Our path for a name of the file, or None where it is not the encoder's."""
        inside = self.is_inside(name, prefix)
        return self.path(name.removeprefix(prefix), axes) if inside else None

    def is_inside(self, name: str, prefix: str) -> bool:
        """Whether a name belongs to the encoder, known or not."""
        inner = name.removeprefix(prefix)
        return name.startswith(prefix) and re.match(self.kept, inner) is not None

    def axes_to_ours(self, path: str, count: int) -> tuple[int, ...]:
        """The transposition that makes their array of `count` axes ours."""
        torch = self.kernels == "torch" and path not in self.untransposed
        if torch and path.endswith("/kernel"):
            return (2, 3, 1, 0) if count == 4 else (1, 0)
        return tuple(range(count))

    def their_shape(self, path: str, ours: tuple[int, ...]) -> tuple[int, ...]:
        """The shape of their array, before the transposition, for one of ours."""
        axes = self.axes_to_ours(path, len(ours))
        shape = tuple(ours[axes.index(axis)] for axis in range(len(axes)))
        return shape[len(shape) - self.axes.get(path, len(shape)) :]


def _ends_in(name: str, anchor: str) -> bool:
    return name == anchor or name.endswith((f".{anchor}", f"/{anchor}"))


def to_numpy(name: str, value: Any) -> np.ndarray:
    """A host array in float32 of an array of NumPy or JAX, or a PyTorch tensor on any device."""
    if torch_file.is_tensor(value):
        value = torch_file.to_numpy(name, value)
    return np.asarray(value, dtype=np.float32)
