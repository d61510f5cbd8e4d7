"""From what a file holds to its tensors by name, and what stands beside them."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from jaxret.convert.reading import torch_file
from jaxret.errors import UserError

# In this order: DINO's full file has a student too, its evaluation takes the teacher.
WRAPPERS = ("state_dict", "model", "teacher")

# Beside the weights and of no use to an encoder, often twice as large as they are.
_DROPPED = ("optimizer", "optim", "opt", "opt_state", "student", "dino_loss", "fp16_scaler", "amp")


def tensors_of(contents: Any, path: str) -> tuple[str, dict[str, np.ndarray], dict[str, Any]]:
    """Unwraps a checkpoint.

    Args:
        contents: what the file held; emptied as its tensors are converted, to hold them once.
        path: for the error.

    Returns:
        The wrapper's key ("" where the tensors lie on top), the tensors by name, and the rest.

    Raises:
        UserError: there are no tensors where they are looked for.
    """
    if not isinstance(contents, Mapping):
        raise UserError(
            f"'{path}' holds a single {type(contents).__name__}, not tensors by name. Save the"
            " model's state_dict()."
        )
    if isinstance(contents.get("experiment_state"), Mapping):
        state = contents["experiment_state"]
        return "experiment_state", _byol_tensors(state, path), _extras(contents)
    wrapper, inner = _inner(contents)
    tensors = _flat(inner)
    if not tensors:
        keys = ", ".join(repr(key) for key in list(contents)[:8]) or "none"
        raise UserError(
            f"'{path}' holds no tensors by name. Its keys are {keys}; tensors are looked for on"
            f" top and under {', '.join(WRAPPERS)}."
        )
    return wrapper, tensors, _extras(contents)


def _inner(contents: Mapping) -> tuple[str, Mapping]:
    """The mapping of tensors: the file's own, or that under a wrapper's key."""
    for key in WRAPPERS:
        inner = contents.get(key)
        if isinstance(inner, Mapping) and any(_is_array(value) for value in inner.values()):
            return key, inner
    return "", contents


def _is_array(value: Any) -> bool:
    return isinstance(value, np.ndarray) or torch_file.is_tensor(value)


def _flat(mapping: Mapping) -> dict[str, np.ndarray]:
    tensors = {}
    for key in [key for key, value in mapping.items() if _is_array(value)]:
        # Taken out of a dict, so that a tensor that had to be copied is not held twice.
        value = mapping.pop(key) if isinstance(mapping, dict) else mapping[key]
        name = key.decode("utf-8", "replace") if isinstance(key, bytes) else str(key)
        tensors[name] = to_numpy(name, value)
    return tensors


def to_numpy(name: str, value: Any) -> np.ndarray:
    """A contiguous array: floats as float32, integers and booleans as they are."""
    if torch_file.is_tensor(value):
        return torch_file.to_numpy(name, value)
    # bfloat16 is of no kind that numpy itself knows.
    if value.dtype.kind == "f" or value.dtype.name.startswith(("bfloat", "float8")):
        value = value.astype(np.float32, copy=False)
    elif value.dtype.kind not in "iub":
        raise UserError(f"Array '{name}' is of dtype {value.dtype}: no weights of an encoder.")
    value = value.astype(value.dtype.newbyteorder("="), copy=False)
    return value if value.flags.c_contiguous else np.ascontiguousarray(value)


def _byol_tensors(state: Mapping, path: str) -> dict[str, np.ndarray]:
    """`module/name` -> array, of the online network's parameters and state."""
    tensors = {}
    for part in ("online_params", "online_state"):
        modules = state.get(part)
        if not isinstance(modules, Mapping):
            raise UserError(f"'{path}' looks like BYOL's checkpoint but has no '{part}'.")
        for module, arrays in modules.items():
            for name, array in arrays.items():
                tensors[f"{module}/{name}"] = to_numpy(f"{module}/{name}", np.asarray(array))
    return tensors


def _extras(contents: Mapping) -> dict[str, Any]:
    """Numbers, texts and small structures beside the weights; a PCA under the names it had."""
    extras = {}
    for key, value in contents.items():
        if key in (*WRAPPERS, *_DROPPED, "experiment_state") or _is_array(value):
            continue
        if key == "pca":
            value = _pca(value)
        extras[str(key)] = value
    return extras


def _pca(value: Any) -> Any:
    """scikit-learn's PCA objects as {mean, components, explained_variance, whiten}."""
    if not isinstance(value, Mapping):
        return value
    if "components_" in value:
        wanted = ("mean_", "components_", "explained_variance_")
        arrays = {name.rstrip("_"): np.asarray(value[name]) for name in wanted if name in value}
        return arrays | {"whiten": bool(value.get("whiten", False))}
    return {str(name): _pca(item) for name, item in value.items()}
