"""Safetensors: one file, or several with an index that says which tensor lies in which.

A large network is saved as model-00001-of-00003.safetensors and so on, beside them
model.safetensors.index.json: {"weight_map": {name of a tensor: name of a file}}.
"""

import json
import re
from collections.abc import Mapping
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from jaxret.errors import UserError

INDEX = ".index.json"  # how the name of an index ends
_SHARD = re.compile(r"-(\d+)-of-(\d+)\.safetensors$")
_MAX_INDEX_BYTES = 64 * 1024 * 1024  # of a network of 100,000 tensors it has some 10 MB


def read_whole(path: Path) -> dict[str, Any]:
    """Name -> tensor of a file that stands alone.

    Raises:
        UserError: safetensors is not installed, or the file is one of several.
    """
    shard = _SHARD.search(path.name)
    if shard and int(shard[2]) > 1:
        index = _SHARD.sub(f".safetensors{INDEX}", path.name)
        here = "" if path.with_name(index).is_file() else " (which is not there: download it too)"
        raise UserError(
            f"'{path}' is one of {int(shard[2])} files that hold one network together. Give their"
            f" index, '{path.with_name(index)}'{here}."
        )
    return _tensors(path)


def read_sharded(index_or_folder: str | Path) -> dict[str, Any]:
    """Name -> tensor of all files that an index names; they lie beside it.

    Args:
        index_or_folder: the index, or the folder that holds exactly one.

    Raises:
        UserError: no index or several; it is damaged, names a file outside its folder, or one
            that is not there; a tensor is not where it says.
    """
    index = _index(Path(index_or_folder).expanduser())
    places = _weight_map(index)
    tensors: dict[str, Any] = {}
    for file in sorted(set(places.values())):
        path = index.parent / file
        if not path.is_file():
            there = len({f for f in places.values() if (index.parent / f).is_file()})
            raise UserError(
                f"'{index}' names '{file}', which is not beside it ({there} of"
                f" {len(set(places.values()))} files are). Download it too."
            )
        held = _tensors(path)
        for name in [name for name, place in places.items() if place == file]:
            if name not in held:
                raise UserError(
                    f"'{index}' says that '{name}' lies in '{file}', but it does not: the files"
                    " are not of one download. Download them again."
                )
            tensors[name] = held[name]
    return tensors


def _index(path: Path) -> Path:
    if not path.is_dir():
        return path
    found = sorted(path.glob(f"*.safetensors{INDEX}"))
    if len(found) != 1:
        names = ", ".join(file.name for file in found) or "none"
        raise UserError(f"'{path}' must hold one *.safetensors{INDEX}, but holds {names}.")
    return found[0]


def _weight_map(index: Path) -> dict[str, str]:
    """Name of a tensor -> name of a file in the folder of the index."""
    try:
        if index.stat().st_size > _MAX_INDEX_BYTES:
            raise ValueError("it is too large")
        stated = json.loads(index.read_text("utf-8"))
        places = stated["weight_map"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        reason = "it has no weight_map" if isinstance(error, KeyError | TypeError) else str(error)
        raise UserError(f"'{index}' is no index of safetensors files ({reason[:200]}).") from error
    if not isinstance(places, Mapping) or not places:
        raise UserError(f"'{index}' is no index of safetensors files (its weight_map is empty).")
    for name, file in places.items():
        if not isinstance(file, str) or not _is_plain_name(file):
            raise UserError(
                f"'{index}' says that '{name}' lies in {file!r}, which is no name of a"
                " .safetensors file in its own folder; nothing was read."
            )
    return dict(places)


def _is_plain_name(file: str) -> bool:
    """Whether it names a safetensors file and no path, on any system."""
    plain = PurePosixPath(file).name == file == PureWindowsPath(file).name
    return plain and file.endswith(".safetensors") and "\x00" not in file


def _tensors(path: Path) -> dict[str, Any]:
    try:
        from safetensors import SafetensorError, safe_open
    except ImportError as error:
        raise UserError(
            f"Reading '{path}' needs safetensors. Install it with: pip install 'jaxret[convert]'"
        ) from error
    try:
        # Through torch, which knows bfloat16.
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        reason = str(error).strip().partition("\n")[0][:200]
        raise UserError(
            f"'{path}' begins as a safetensors file but cannot be read to its end ({reason})."
            " Download it again."
        ) from error
