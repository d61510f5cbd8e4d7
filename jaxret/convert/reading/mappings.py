"""From what a file holds to every mapping of names to arrays in it, and what stands beside them."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from jaxret.convert.reading import torch_file
from jaxret.errors import UserError

# Where the weights lie in most files. DINO's full file has a student too; its evaluation takes the
# teacher.
WRAPPERS = ("state_dict", "model", "teacher")

# Beside the weights and of no use to an encoder, often twice as large as they are.
_DROPPED = (
    *("optimizer", "optim", "opt", "opt_state", "optimizer_states"),
    *("dino_loss", "fp16_scaler", "amp"),
)
_DEPTH = 4  # of mappings within mappings that are looked into
_LONGEST = 16  # of lists of them


def mappings_of(contents: Mapping[Any, Any]) -> dict[str, Mapping[Any, Any]]:
    """Every mapping that holds arrays by name, by the keys that lead to it, joined by dots.

    The one that is the file itself is called "". What an optimiser keeps is left out, and a
    mapping that two keys lead to has the first.
    """
    found: dict[str, Mapping[Any, Any]] = {}
    seen: set[int] = set()
    for key, mapping in _walk(contents, "", _DEPTH):
        if id(mapping) not in seen and any(is_array(value) for value in mapping.values()):
            found.setdefault(key, mapping)
        seen.add(id(mapping))
    return found


def _walk(mapping: Mapping[Any, Any], key: str, depth: int) -> Iterator[tuple[str, Mapping]]:
    yield key, mapping
    for name, value in mapping.items():
        if depth and not (key == "" and name in _DROPPED):
            for inner, held in _held(str(name), value):
                yield from _walk(held, f"{key}.{inner}".strip("."), depth - 1)


def _held(name: str, value: Any) -> list[tuple[str, Mapping]]:
    """The mapping under a name, or those of a list."""
    if isinstance(value, list | tuple):
        numbered = [(f"{name}.{i}", item) for i, item in enumerate(value[:_LONGEST])]
        return [pair for pair in numbered if isinstance(pair[1], Mapping)]
    return [(name, value)] if isinstance(value, Mapping) else []


def likeliest(mappings: Mapping[str, Mapping[Any, Any]]) -> str:
    """The key of the mapping that holds the weights, as far as numbers and habit can tell.

    Which networks a mapping holds is told by the names of a layout: see `convert.networks`.
    """
    usual = [key for key in WRAPPERS if key in mappings]
    return usual[0] if usual else max(mappings, key=lambda key: len(mappings[key]))


def checked(contents: Any, path: str) -> dict[str, Mapping[Any, Any]]:
    """`mappings_of` the contents of a file; BYOL's modules joined into one mapping.

    Raises:
        UserError: there are no tensors by name.
    """
    if not isinstance(contents, Mapping):
        raise UserError(
            f"'{path}' holds a single {type(contents).__name__}, not tensors by name. Save the"
            " model's state_dict()."
        )
    if isinstance(contents.get("experiment_state"), Mapping):
        return {"experiment_state": _byol_arrays(contents["experiment_state"], path)}
    found = mappings_of(contents)
    if not found:
        keys = ", ".join(repr(key) for key in list(contents)[:8]) or "none"
        raise UserError(f"'{path}' holds no tensors by name. Its keys are {keys}.")
    return found


def is_array(value: Any) -> bool:
    """Whether it is an array of NumPy, PyTorch or JAX; a single number of NumPy's is none."""
    return hasattr(value, "shape") and hasattr(value, "dtype") and not isinstance(value, np.generic)


def to_arrays(mapping: Mapping[Any, Any]) -> dict[str, np.ndarray]:
    """The arrays of a mapping as NumPy's, by name."""
    named = {_text(key): value for key, value in mapping.items() if is_array(value)}
    return {name: to_numpy(name, value) for name, value in named.items()}


def _text(key: Any) -> str:
    return key.decode("utf-8", "replace") if isinstance(key, bytes) else str(key)


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


def _byol_arrays(state: Mapping, path: str) -> dict[str, np.ndarray]:
    """`module/name` -> array, of the online network's parameters and state."""
    arrays = {}
    for part in ("online_params", "online_state"):
        modules = state.get(part)
        if not isinstance(modules, Mapping):
            raise UserError(f"'{path}' looks like BYOL's checkpoint but has no '{part}'.")
        for module, leaves in modules.items():
            for name, array in leaves.items():
                arrays[f"{module}/{name}"] = np.asarray(array)
    return arrays


def extras_of(contents: Mapping) -> dict[str, Any]:
    """Numbers, texts and small structures beside the weights; a PCA under the names it had."""
    extras = {}
    for key, value in contents.items():
        if key in (*_DROPPED, "experiment_state") or is_array(value) or _is_state(value):
            continue
        if key == "pca":
            value = _pca(value)
        extras[str(key)] = value
    return extras


def _is_state(value: Any) -> bool:
    """Whether it is, or holds, the arrays of a network: their names have parts."""
    if not isinstance(value, Mapping):
        return False
    return any(
        key in WRAPPERS or any("." in _text(name) and is_array(mapping[name]) for name in mapping)
        for key, mapping in [("", value), *mappings_of(value).items()]
    )


def _pca(value: Any) -> Any:
    """scikit-learn's PCA objects as {mean, components, explained_variance, whiten}."""
    if not isinstance(value, Mapping):
        return value
    if "components_" in value:
        wanted = ("mean_", "components_", "explained_variance_")
        arrays = {name.rstrip("_"): np.asarray(value[name]) for name in wanted if name in value}
        return arrays | {"whiten": bool(value.get("whiten", False))}
    return {str(name): _pca(item) for name, item in value.items()}
