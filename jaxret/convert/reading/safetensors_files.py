"""safetensors files, one or many: name -> array, without PyTorch.

A file is a length (8 bytes, little-endian), a header in JSON {name: {dtype, shape, data_offsets}}
and the bytes. A model too large for one file lies in several beside `*.safetensors.index.json`,
whose "weight_map" says which file holds which array.
"""

import json
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np

from jaxret.errors import UserError

INDEX = "model.safetensors.index.json"
SINGLE = "model.safetensors"

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
        UserError: There is none, a shard is missing or damaged, or index and shards disagree.
    """
    place = Path(place).expanduser()
    if place.is_dir():
        place = _in_folder(place)
    if not place.name.endswith(".index.json"):
        return read_file(place)
    where = _weight_map(place)
    arrays: dict[str, np.ndarray] = {}
    for shard in sorted(set(where.values())):
        if not (place.parent / shard).is_file():
            raise UserError(f"{place.parent} lacks {shard}, which {place.name} names.")
        arrays |= read_file(place.parent / shard)
    absent = sorted(set(where) - set(arrays))
    if absent:
        raise UserError(f"{where[absent[0]]} of {place.parent} does not hold {absent[0]}.")
    return arrays


def _in_folder(folder: Path) -> Path:
    for name in (INDEX, SINGLE):
        if (folder / name).is_file():
            return folder / name
    raise UserError(f"{folder} holds neither {SINGLE} nor {INDEX}.")


def _weight_map(index: Path) -> dict[str, str]:
    try:
        found = json.loads(index.read_text("utf-8"))["weight_map"]
        where = {str(name): str(file) for name, file in found.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{index} is no index of safetensors files ({error}).") from error
    for file in where.values():
        if Path(file).name != file:
            raise UserError(f"{index} names {file}, which lies outside its folder.")
    return where


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
    except (OSError, ValueError, KeyError, TypeError) as error:
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
