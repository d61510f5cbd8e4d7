"""safetensors files, one or many: name -> array, without PyTorch.

A file is a length (8 bytes, little-endian), a header in JSON {name: {dtype, shape, data_offsets}}
and the bytes. A model too large for one file lies in several beside `*.safetensors.index.json`,
whose "weight_map" says which file holds which array.
"""

import json
import re
from collections.abc import Mapping
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

import ml_dtypes
import numpy as np

from jaxret.errors import UserError

INDEX = "model.safetensors.index.json"
SINGLE = "model.safetensors"
INDEX_ENDING = ".safetensors.index.json"  # of an index by any other name
_SHARD = re.compile(r"-(\d+)-of-(\d+)\.safetensors$")
_MAX_INDEX_BYTES = 64 * 1024 * 1024  # of a network of 100,000 arrays it has some 10 MB

_DTYPES = {
    "F64": np.float64,
    "F32": np.float32,
    "F16": np.float16,
    "BF16": ml_dtypes.bfloat16,
    "I64": np.int64,
    "I32": np.int32,
    "I16": np.int16,
    "I8": np.int8,
    "U8": np.uint8,
    "BOOL": np.bool_,
}


def read_sharded(place: str | Path) -> dict[str, np.ndarray]:
    """All arrays of a folder or of an index, floats as float32.

    Args:
        place: A folder with `model.safetensors` or `model.safetensors.index.json`, an index, or
            one safetensors file.

    Raises:
        UserError: There is none, a shard is missing or damaged, index and shards disagree, or the
            index names a file outside its folder.
    """
    place = Path(place).expanduser()
    if place.is_dir():
        place = _in_folder(place)
    if not place.name.endswith(INDEX_ENDING):
        return read_file(place)
    where = _weight_map(place)
    arrays: dict[str, np.ndarray] = {}
    shards = sorted(set(where.values()))
    for shard in shards:
        if not (place.parent / shard).is_file():
            there = sum((place.parent / one).is_file() for one in shards)
            raise UserError(
                f"{place.parent} lacks {shard}, which {place.name} names ({there} of {len(shards)} "
                "files are there): download it too."
            )
        arrays |= read_file(place.parent / shard)
    absent = sorted(set(where) - set(arrays))
    if absent:
        raise UserError(
            f"{where[absent[0]]} of {place.parent} does not hold {absent[0]}, as {place.name} says:"
            " the files are not of one download."
        )
    return {name: arrays[name] for name in where}


def check_alone(path: Path) -> None:
    """UserError where a file is one of several that hold one network together."""
    shard = _SHARD.search(path.name)
    if shard is None or int(shard[2]) < 2:
        return
    index = path.with_name(_SHARD.sub(INDEX_ENDING, path.name))
    absent = "" if index.is_file() else " (which is not there: download it too)"
    raise UserError(
        f"'{path}' is one of {int(shard[2])} files that hold one network together. Give their "
        f"index, '{index}'{absent}."
    )


def index_in(folder: Path) -> Path | None:
    """The one index in a folder, by whatever name; None where there is none or several."""
    found = sorted(folder.glob(f"*{INDEX_ENDING}"))
    return found[0] if len(found) == 1 else None


def _in_folder(folder: Path) -> Path:
    for name in (INDEX, SINGLE):
        if (folder / name).is_file():
            return folder / name
    if (index := index_in(folder)) is not None:
        return index
    raise UserError(f"{folder} holds neither {SINGLE} nor {INDEX}.")


def _weight_map(index: Path) -> dict[str, str]:
    """Name of an array -> name of a file in the folder of the index."""
    try:
        if index.stat().st_size > _MAX_INDEX_BYTES:
            raise ValueError("it is too large")
        found = json.loads(index.read_text("utf-8"))["weight_map"]
        if not isinstance(found, Mapping) or not found:
            raise ValueError("its weight_map is empty")
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        reason = str(error)[:200] or type(error).__name__
        raise UserError(f"{index} is no index of safetensors files ({reason}).") from error
    for name, file in found.items():
        if not isinstance(file, str) or not _is_plain_name(file):
            raise UserError(
                f"{index} names {file!r} for {name}, which is no .safetensors file or lies outside"
                " its folder; nothing was read."
            )
    return dict(found)


def _is_plain_name(file: str) -> bool:
    """Whether it names a safetensors file and no path, on any system."""
    plain = PurePosixPath(file).name == file == PureWindowsPath(file).name
    return plain and file.endswith(".safetensors") and "\x00" not in file


def read_file(path: Path) -> dict[str, np.ndarray]:
    """Arrays of one file by name, floats as float32; UserError where it is cut short or none."""
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            if not 2 <= length <= size - 8:
                raise ValueError("no header")
            header: dict[str, Any] = json.loads(file.read(length))
        data = np.memmap(path, np.uint8, "r", 8 + length, size - 8 - length)
        return {
            name: _array(entry, data) for name, entry in header.items() if name != "__metadata__"
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise UserError(
            f"{path} is no safetensors file or is cut short ({error}). Download it again."
        ) from error


def _array(entry: dict[str, Any], data: np.ndarray) -> np.ndarray:
    start, end = entry["data_offsets"]
    if not 0 <= start <= end <= len(data):
        raise ValueError("an array lies beyond its end")
    array = data[start:end].view(_DTYPES[entry["dtype"]]).reshape(entry["shape"])
    if array.dtype.kind in "fV" or array.dtype == ml_dtypes.bfloat16:
        return array.astype(np.float32)  # a copy in memory
    return np.array(array)
