"""Running statistics of batch normalisation as a file, so that a recalibration is done once."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from jaxret.models.encoder import Encoder, named_arrays
from jaxret.runtime.artifacts import read_arrays, write_arrays


def save_statistics(path: Path, encoder: Encoder) -> None:
    """Writes the encoder's running means and variances as one .npz, whole or not at all."""
    stored = {name: np.asarray(a) for name, a in named_arrays(encoder.variables["batch_stats"])}
    write_arrays(path, **stored)


def load_statistics(path: Path, encoder: Encoder) -> Encoder:
    """The encoder with the running statistics of a file.

    Raises:
      ValueError: the file's names or shapes are not those of the encoder.
    """
    stored = read_arrays(path)
    wanted = {name: a.shape for name, a in named_arrays(encoder.variables["batch_stats"])}
    if wanted != {name: a.shape for name, a in stored.items()}:
        raise ValueError(f"{path} holds statistics of another network than {encoder.spec.name}.")
    variables = {**encoder.variables, "batch_stats": _nested(stored)}
    return replace(encoder, variables=variables)


def _nested(named: dict[str, Any]) -> dict[str, Any]:
    """{"a/b": x} -> {"a": {"b": x}}."""
    tree: dict[str, Any] = {}
    for name, array in named.items():
        *parents, leaf = name.split("/")
        place = tree
        for parent in parents:
            place = place.setdefault(parent, {})
        place[leaf] = array
    return tree
