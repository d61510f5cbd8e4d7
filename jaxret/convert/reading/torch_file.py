"""PyTorch files: the zip of torch 1.6 and later, the stream before it, and the oldest tar."""

import io
import pickle
import tarfile
import warnings
import zipfile
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from jaxret.convert.reading import container, safe_pickle
from jaxret.errors import UserError


def load(path: Path, form: str) -> Any:
    """The object that was saved, its tensors on the CPU.

    `weights_only=True` reads all but three published files. What it refuses goes through
    `safe_pickle`, which resolves a few named classes as bags of attributes, imports nothing and
    says which name it refused.

    Raises:
        UserError: torch is not installed, or the zip file's checksums do not hold.
        safe_pickle.ForbiddenName: the file asks for a class or function that is not allowed.
    """
    torch = _torch()
    if form == container.TORCH_ZIP:
        _check_zip(path)
    if form == container.TORCH_TAR:
        _check_tar(path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of torch, about its own old storages
        if form != container.TORCH_TAR:
            try:
                return torch.load(path, map_location="cpu", weights_only=True)
            except pickle.UnpicklingError:
                pass
        # weights_only=True takes no pickle_module: this is the restricted one.
        restricted = safe_pickle.pickle_module(LateNames())
        return torch.load(path, map_location="cpu", weights_only=False, pickle_module=restricted)


def _torch() -> Any:
    try:
        import torch
    except ImportError as error:
        raise UserError(
            "Reading a PyTorch checkpoint needs PyTorch. Install it with:"
            " pip install 'jaxret[convert]'"
        ) from error
    return torch


def is_tensor(value: Any) -> bool:
    """Whether `value` is a torch tensor, without importing torch where nothing else did."""
    return type(value).__module__.partition(".")[0] == "torch" and hasattr(value, "detach")


def to_numpy(name: str, tensor: Any) -> np.ndarray:
    """A contiguous array: floats of every width as float32, integers and booleans as they are.

    A tensor in a file may be a view with permuted strides (simclr-converter's are): `contiguous`
    lays it out by its shape.
    """
    import torch

    if tensor.layout is not torch.strided or tensor.is_quantized or tensor.is_meta:
        raise UserError(
            f"Tensor '{name}' is sparse, quantised or without data. Save it as a plain tensor."
        )
    if tensor.is_complex():
        raise UserError(f"Tensor '{name}' holds complex numbers, which no encoder here has.")
    tensor = tensor.detach().cpu()
    if tensor.is_floating_point():
        tensor = tensor.float()
    return tensor.contiguous().numpy()


def _check_zip(path: Path) -> None:
    """Compares every entry with its checksum, which torch does not."""
    with zipfile.ZipFile(path) as archive:
        damaged = archive.testzip()
    if damaged is not None:
        raise UserError(
            f"'{path}' is damaged: the bytes of its entry '{damaged}' do not match their"
            " checksum. Download it again."
        )


def _check_tar(path: Path) -> None:
    with tarfile.open(path) as archive:
        members = {member.name: member for member in archive.getmembers()}
    for name in ("storages", "tensors", "pickle"):
        if name not in members or not members[name].isfile():
            raise UserError(
                f"'{path}' is a tar archive, but not one that PyTorch wrote: it has no '{name}'."
                " Unpack it and give the checkpoint inside."
            )


class _Parameter:
    """An `nn.Parameter` of the oldest files: its tensor; the rest of its state is dropped."""

    def __new__(cls, data: Any = None, *_: Any) -> Any:
        return data


def _rebuild_tensor(storage: Any, offset: int, size: Any, stride: Any, *_: Any) -> Any:
    import torch

    return torch._utils._rebuild_tensor(storage, offset, size, stride)


def _size(*dimensions: Any) -> tuple:
    return tuple(dimensions[0]) if dimensions else ()


def _device(*_: Any) -> str:
    return "cpu"


def _storage_of_bytes(data: bytes) -> Any:
    """A storage inside an ordinary pickle: a small file of torch's own, which may hold no more."""
    storage = _torch().load(io.BytesIO(data), map_location="cpu", weights_only=True)
    if type(storage).__name__ not in ("TypedStorage", "UntypedStorage"):
        raise pickle.UnpicklingError("a tensor without numbers")
    return storage


class LateNames(Mapping[str, Any]):
    """`_torch_names`, made when the first name of torch is asked for: other files need no torch."""

    def __getitem__(self, name: str) -> Any:
        if not name.startswith("torch."):
            raise KeyError(name)
        return self._names[name]

    @cached_property
    def _names(self) -> dict[str, Any]:
        _torch()
        return _torch_names()

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


def _torch_names() -> dict[str, Any]:
    """What a saved state dict asks of torch, with functions that do only that."""
    import torch

    names: dict[str, Any] = {
        "torch._utils._rebuild_tensor": _rebuild_tensor,
        "torch._utils._rebuild_tensor_v2": _rebuild_tensor,
        "torch._utils._rebuild_parameter": lambda data, *_: data,
        "torch.nn.parameter.Parameter": _Parameter,
        "torch.Size": _size,
        "torch.device": _device,
        "torch.storage._load_from_bytes": _storage_of_bytes,
    }
    # The oldest files name types of tensors and storages; torch reads `_dtype` off the latter.
    for kind in ("Float", "Double", "Half", "Long", "Int", "Short", "Char", "Byte", "BFloat16"):
        names[f"torch.{kind}Tensor"] = safe_pickle.bag_type("torch", f"{kind}Tensor")
        names[f"torch.cuda.{kind}Tensor"] = safe_pickle.bag_type("torch.cuda", f"{kind}Tensor")
        storage = torch.serialization.StorageType(f"{kind}Storage")
        names[f"torch.{kind}Storage"] = storage
        names[f"torch.cuda.{kind}Storage"] = storage
    return names
