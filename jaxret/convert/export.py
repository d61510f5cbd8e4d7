"""The way back: an encoder as a PyTorch state dict under the names of its row's layout.

What the port dropped (classifiers, projection heads, queues) is not there; `num_batches_tracked`,
which PyTorch's batch normalisation keeps beside its statistics, is 0.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np

from jaxret.convert.layouts import Layout, layouts_of
from jaxret.errors import UserError
from jaxret.models.encoder import Encoder, named_arrays
from jaxret.models.spec import ModelSpec
from jaxret.runtime.artifacts import WorkdirError, atomic_write


@dataclass(frozen=True)
class Export:
    """What `export_file` did.

    Attributes:
        layout: Whose names the file has.
        arrays: How many it holds.
        notes: What to know before loading it, a sentence each.
    """

    layout: str
    arrays: int
    notes: tuple[str, ...]


def to_state_dict(encoder: Encoder) -> dict[str, np.ndarray]:
    """Name -> array as PyTorch's modules hold them: kernels [out, in, kh, kw] and [out, in].

    Porting it again gives the very same encoder.

    Raises:
        UserError: The row's layout is not written, or batch normalisation has been folded.
    """
    layout = _layout_of(encoder.spec)
    state: dict[str, np.ndarray] = {}
    for path, array in named_arrays(encoder.variables):
        name = _name_of(layout, path, array.ndim)
        order = np.argsort(layout.axes_to_ours(path, array.ndim))
        theirs = np.asarray(array).transpose(order).reshape(layout.their_shape(path, array.shape))
        state[name] = np.array(theirs, order="C")
        if name.endswith("running_var"):
            module = name.removesuffix("running_var")
            state[f"{module}num_batches_tracked"] = np.zeros((), np.int64)
    return state if layout.pack is None else layout.pack(state)


def export_file(encoder: Encoder, output: str | Path) -> Export:
    """Writes `to_state_dict(encoder)` to a .pth or .safetensors file, whole or not at all.

    Raises:
        UserError: Another ending; a folder or no room at `output`; see `to_state_dict`.
    """
    output = Path(output).expanduser()
    write = check_output(output)
    state = to_state_dict(encoder)
    try:
        with atomic_write(output) as file:
            write(state, file)
    except (WorkdirError, OSError) as error:  # the former's sentence speaks of a workdir
        raise UserError(f"{output} cannot be written: {_reason(error)}.") from error
    return Export(_layout_of(encoder.spec).name, len(state), tuple(_notes(encoder)))


def check_output(output: Path) -> Callable[[Mapping[str, np.ndarray], IO[bytes]], None]:
    """What writes the form that the ending asks for; UserError where nothing may be written."""
    if output.suffix not in _WRITERS:
        raise UserError(f"{output} must end in {' or '.join(_WRITERS)}, which says its form.")
    if output.is_dir():
        raise UserError(f"{output} is a folder: name a file.")
    return _WRITERS[output.suffix]


def _layout_of(spec: ModelSpec) -> Layout:
    """The first of the row's layouts that is written."""
    if spec.folded:
        raise UserError(
            f"The batch normalisation of {spec.name} has been folded into its convolutions, and "
            "no PyTorch module has such layers: export it before folding."
        )
    layouts = layouts_of(spec.layout)
    for layout in layouts:
        if layout.name_of is not None:
            return layout
    known = ", ".join(layout.name for layout in layouts)
    raise UserError(f"{spec.name} cannot be exported: its layout ({known}) is read, not written.")


def _name_of(layout: Layout, path: str, axes: int) -> str:
    """Their name of our path; the rule of the port must lead back from it."""
    assert layout.name_of is not None
    name = layout.written + layout.name_of(path)
    if (
        layout.reason_to_drop(name, layout.written)
        or layout.locate(name, layout.written, axes) != path
    ):
        raise UserError(f"The layout {layout.name} has no name for {path}.")
    return name


def _write_torch(state: Mapping[str, np.ndarray], file: IO[bytes]) -> None:
    import torch  # late: only this needs it

    try:
        torch.save({name: torch.from_numpy(array) for name, array in state.items()}, file)
    except RuntimeError as error:  # what torch makes of an error of the disk
        if isinstance(error.__context__, OSError):
            raise error.__context__ from None
        raise


def _write_safetensors(state: Mapping[str, np.ndarray], file: IO[bytes]) -> None:
    from safetensors.numpy import save

    file.write(save(dict(state), {"format": "pt"}))


_WRITERS = {".pth": _write_torch, ".safetensors": _write_safetensors}


def _reason(error: BaseException) -> str:
    cause = error.__cause__ or error
    return str(getattr(cause, "strerror", None) or cause)


def _notes(encoder: Encoder) -> list[str]:
    spec = encoder.spec
    arguments: dict[str, Any] = dict(spec.arguments)
    mean, std = (", ".join(f"{one:.6g}" for one in values) for values in (spec.mean, spec.std))
    notes = [f"Pixels in [0, 1] less ({mean}), divided by ({std})."]
    if "same" in (arguments.get("padding"), arguments.get("stem_pool")):
        notes.append(
            "Its strided windows pad as TensorFlow's SAME: torchvision's module, which pads "
            "otherwise, takes these weights and gives other maps."
        )
    if spec.layout == "amdim":
        notes.append(
            "Its authors' encoder also holds batch normalisations that are never applied; they "
            "are not in the file: load it with strict=False."
        )
    if encoder.whitening is not None:
        notes.append("The PCA that came with the weights is no part of a state dict.")
    return notes
