"""Reading checkpoints of every published form, without running anything that is in them.

>>> checkpoint = read_checkpoint("moco_v2_800ep_pretrain.pth.tar")
>>> checkpoint.form, checkpoint.wrapper, checkpoint.tensors["module.encoder_q.conv1.weight"].shape
('torch stream', 'state_dict', (64, 3, 7, 7))
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from jaxret.convert.reading import (
    container,
    mappings,
    safe_pickle,
    safetensors_files,
    tensorflow_bundle,
    torch_file,
)
from jaxret.errors import UserError

__all__ = ["Checkpoint", "contents_of", "read_checkpoint"]


@dataclass(frozen=True)
class Checkpoint:
    """What a checkpoint file holds.

    Attributes:
        path: the file, or the prefix of a TensorFlow checkpoint.
        form: "torch zip", "torch stream", "torch tar", "safetensors", "safetensors shards",
            "tensorflow", "pickle" or "npz".
        mappings: every mapping of names to tensors in it, by the keys that lead there ("" where
            they lie on top, "state_dict", "model_ema", ...), tensors as the file has them.
            BYOL's names are `module/name`.
        extras: what stood beside them: `pca` (name -> {mean, components, explained_variance,
            whiten}), `model_options`, `hyperparams`, `epoch` and so on; no optimiser states.
    """

    path: str
    form: str
    mappings: dict[str, Mapping[Any, Any]]
    extras: dict[str, Any] = field(default_factory=dict)

    @property
    def wrapper(self) -> str:
        """The key of the likeliest mapping."""
        return mappings.likeliest(self.mappings)

    @cached_property
    def tensors(self) -> dict[str, np.ndarray]:
        """The likeliest mapping's: name -> array, contiguous, in the file's own layout.

        Floats are float32, integers and booleans as they were.
        """
        return mappings.to_arrays(self.mappings[self.wrapper])


def read_checkpoint(path: str | Path) -> Checkpoint:
    """Reads a checkpoint, whatever its ending: the form is told from its content.

    Raises:
        UserError: the file is none, is cut short or damaged, holds no tensors, or asks for a class
            or function beyond the few that published checkpoints need; nothing in it was run.
    """
    place, form, contents = contents_of(path)
    found = mappings.checked(contents, str(place))
    return Checkpoint(str(place), form, found, mappings.extras_of(contents))


def contents_of(path: str | Path) -> tuple[Path, str, Any]:
    """The file itself, its form, and what it holds as plain mappings, lists and tensors.

    Raises:
        UserError: as `read_checkpoint`, whatever the contents are.
    """
    path = container.file_of(Path(path).expanduser())
    form = container.recognise(path)
    if form == container.TENSORFLOW:
        path = container.tensorflow_prefix(path) or path
    try:
        return path, form, _load(path, form)
    except UserError:
        raise
    except safe_pickle.ForbiddenName as error:
        raise UserError(
            f"'{path}' asks for {error.name}, which jaxret does not allow in a checkpoint; nothing"
            " in it was run. If you trust the file, load it where it was made and save its"
            " state_dict() alone."
        ) from error
    except MemoryError as error:
        raise UserError(f"'{path}' does not fit into memory.") from error
    except Exception as error:  # damaged or hostile bytes raise anything at all
        raise UserError(
            f"'{path}' begins as a {form} file but cannot be read to its end"
            f" ({type(error).__name__}: {_first_line(error)}). Download it again."
        ) from error


def _load(path: Path, form: str) -> Any:
    if form == container.TENSORFLOW:
        return tensorflow_bundle.load(path)
    if form == container.SAFETENSORS:
        safetensors_files.check_alone(path)
        return safetensors_files.read_file(path)
    if form == container.SHARDS:
        return safetensors_files.read_sharded(path)
    if form == container.NPZ:
        with np.load(path, allow_pickle=False) as arrays:
            return dict(arrays)
    if form == container.PICKLE:
        with path.open("rb") as file:
            return safe_pickle.load(file, torch_file.LateNames())
    return safe_pickle.plain(torch_file.load(path, form))


def _first_line(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0][:200] or "no more is known"
