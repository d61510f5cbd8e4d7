"""Reading checkpoints of every published form, without running anything that is in them.

>>> checkpoint = read_checkpoint("moco_v2_800ep_pretrain.pth.tar")
>>> checkpoint.form, checkpoint.wrapper, checkpoint.tensors["module.encoder_q.conv1.weight"].shape
('torch stream', 'state_dict', (64, 3, 7, 7))
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from jaxret.convert.reading import container, safe_pickle, tensorflow_bundle, torch_file, unwrap
from jaxret.errors import UserError

__all__ = ["Checkpoint", "read_checkpoint"]


@dataclass(frozen=True)
class Checkpoint:
    """What a checkpoint file holds.

    Attributes:
        path: the file, or the prefix of a TensorFlow checkpoint.
        form: "torch zip", "torch stream", "torch tar", "safetensors", "tensorflow", "pickle" or
            "npz".
        tensors: name -> array, contiguous, in the file's own layout; floats are float32, integers
            and booleans as they were. BYOL's names are `module/name`.
        wrapper: the key of the top-level dict that held them, "" where they lay on top.
        extras: what stood beside them: `pca` (name -> {mean, components, explained_variance,
            whiten}), `model_options`, `hyperparams`, `epoch` and so on; no optimiser states.
    """

    path: str
    form: str
    tensors: dict[str, np.ndarray]
    wrapper: str = ""
    extras: dict[str, Any] = field(default_factory=dict)


def read_checkpoint(path: str | Path) -> Checkpoint:
    """Reads a checkpoint, whatever its ending: the form is told from its content.

    Raises:
        UserError: the file is none, is cut short or damaged, holds no tensors, or asks for a class
            or function beyond the few that published checkpoints need; nothing in it was run.
    """
    place, form, contents = contents_of(path)
    wrapper, tensors, extras = unwrap.tensors_of(contents, str(place))
    return Checkpoint(str(place), form, tensors, wrapper, extras)


def contents_of(path: str | Path) -> tuple[Path, str, Any]:
    """The file itself, its form, and what it holds as plain mappings, lists and tensors.

    Raises:
        UserError: as `read_checkpoint`, whatever the contents are.
    """
    path = Path(path).expanduser()
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
        return _load_safetensors(path)
    if form == container.NPZ:
        with np.load(path, allow_pickle=False) as arrays:
            return dict(arrays)
    if form == container.PICKLE:
        with path.open("rb") as file:
            return safe_pickle.load(file)
    return safe_pickle.plain(torch_file.load(path, form))


def _load_safetensors(path: Path) -> dict[str, Any]:
    try:
        from safetensors import safe_open
    except ImportError as error:
        raise UserError(
            f"Reading '{path}' needs safetensors. Install it with: pip install 'jaxret[convert]'"
        ) from error
    # Through torch, which knows bfloat16.
    with safe_open(path, framework="pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118


def _first_line(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0][:200] or "no more is known"
