"""Checkpoint files: written as the authors publish them, and read into a twin.

The way from a file into the twin is written apart from `jaxret.convert`, so that a mistake of one
of the two shows as a difference.
"""

import pickle
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from twins import build, published_state, randomize
from twins.published import byol_names, tensorflow_names
from twins.published_vits import twin_state

from jaxret.errors import UserError
from jaxret.models import ModelSpec

# Published before torch 1.6, which made the zip form the default.
_STREAMS = ("mocov1", "mocov2", "amdim", "gem-ap")


def random_twin(spec: ModelSpec, seed: int) -> nn.Module:
    """A twin with He kernels and non-trivial BN statistics, well enough conditioned to compare."""
    twin = randomize(build(spec), seed)
    if spec.architecture == "efficientnet_lite":
        # At the scale of `randomize` its sixteen blocks amplify rounding until PyTorch's own
        # float32 is 2e-5 from float64; trained weights are at 5e-6, these at 2e-6.
        for module in twin.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.weight.data.mul_(0.8)
    return twin


def write_published(spec: ModelSpec, twin: nn.Module, folder: Path) -> Path:
    """A file with the twin's weights, in the names, wrappers and form of the published one."""
    source = spec.sources[0] if spec.sources else None
    name = (source.member or source.url.rsplit("/", 1)[-1]) if source else f"{spec.name}.pth"
    path = folder / name.replace(":", "_")
    if path.suffix == ".safetensors":  # of the hub; here its authors' own names are written
        path = path.with_suffix(".pth")
    state = published_state(spec, twin)
    if path.suffix == ".npz":
        np.savez(path, **state)
    elif spec.layout == "byol":
        path.write_bytes(pickle.dumps(_byol_file(state), 2))
    else:
        zipped = not spec.name.startswith(_STREAMS)
        torch.save(state, path, _use_new_zipfile_serialization=zipped)
    return path


def _byol_file(arrays: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Module -> name -> array, parameters and state apart, as the authors' pickle has them."""
    parts: dict[str, dict[str, dict[str, np.ndarray]]] = {"online_params": {}, "online_state": {}}
    for full_name, array in arrays.items():
        module, name = full_name.rsplit("/", 1)
        part = "online_state" if module.endswith("_ema") else "online_params"
        parts[part].setdefault(module, {})[name] = array
    return {"experiment_state": parts, "step": 300_000, "rng": np.zeros(2, np.uint32)}


@torch.no_grad()
def fill(twin: nn.Module, spec: ModelSpec, tensors: Mapping[str, np.ndarray]) -> nn.Module:
    """Gives the twin the weights of a published file; returns the twin.

    Args:
        twin: of `spec`.
        spec: the row.
        tensors: name -> array, as `jaxret.convert.reading` read them from the file.

    Raises:
        UserError: an array of the twin is not in the file, or has another shape there.
    """
    if spec.architecture == "vit":
        tensors = twin_state(spec, tensors, twin.state_dict())
    state = {
        name: tensor
        for name, tensor in twin.state_dict().items()
        if not name.endswith("num_batches_tracked")
    }
    vit = spec.architecture == "vit"
    places = {name: name for name in state} if vit else _places(spec, state, tensors)
    for name, tensor in state.items():
        array = tensors.get(places[name])
        if array is None:
            raise UserError(f"The file holds no '{places[name]}', which {spec.name} needs.")
        found = torch.from_numpy(np.array(array, np.float32))
        if places[name].count("/") and tensor.dim() == 4:  # TensorFlow and Haiku: HWIO
            found = found.permute(3, 2, 0, 1)
        if found.numel() != tensor.numel() or (
            (found.dim() > 1 and tensor.dim() > 1) and (found.shape != tensor.shape)
        ):
            raise UserError(
                f"'{places[name]}' is {tuple(array.shape)} in the file; {spec.name} needs"
                f" {tuple(tensor.shape)}."
            )
        tensor.copy_(found.reshape(tensor.shape))
    return twin


def _places(
    spec: ModelSpec, state: Mapping[str, torch.Tensor], tensors: Mapping[str, np.ndarray]
) -> dict[str, str]:
    """Name in the twin -> name in the file."""
    if any(name.startswith("base_model/") for name in tensors):
        return _renamed(state, tensorflow_names)
    if any(name.startswith("res_net") for name in tensors):
        return _renamed(state, byol_names)
    anchor = next(iter(state))
    prefixes = [
        name.removesuffix(anchor)
        for name in tensors
        if name == anchor or name.endswith(f".{anchor}")
    ]
    if not prefixes:
        raise UserError(f"The file holds no '{anchor}', so it is not a checkpoint of {spec.name}.")
    # MoCo's own training files hold two encoders; encoder_q is the one that is published.
    prefix = min(prefixes, key=lambda prefix: ("encoder_k" in prefix, len(prefix)))
    return {name: prefix + name for name in state}


def _renamed(
    state: Mapping[str, torch.Tensor],
    rename: Callable[[dict[str, torch.Tensor]], dict[str, np.ndarray]],
) -> dict[str, str]:
    """Learns a renaming by sending a number through it in place of each array."""
    marked = {
        name: torch.full((1,) * max(tensor.dim(), 1), float(number))
        for number, (name, tensor) in enumerate(state.items(), 1)
    }
    theirs: dict[int, str] = {}
    for name, array in rename(marked).items():
        if array.size == 1 and not name.endswith(("counter", "hidden", "global_step")):
            theirs[int(array.reshape(()))] = name
    return {name: theirs[number] for number, name in enumerate(state, 1)}
