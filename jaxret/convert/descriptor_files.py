"""Descriptors that were made elsewhere, out of a file of any form; nothing in it is run.

    .npy .npz .pt .pth .safetensors .pkl    NumPy's and PyTorch's, told by content
    .mat .h5 .csv                           MATLAB's, HDF5, text with commas, semicolons or spaces

Rows are descriptors. Where a file holds several arrays, FILE#NAME names one, else the one that has
as many rows as there are names is taken. A mapping of names to vectors, a first column of names in
a text, and an HDF5 dataset `index` of strings beside the numbers (as ILIAS's makers publish
theirs) say themselves which row is whose. What a file claims of its size is held against
the bytes that are there before anything is made of it.
"""

import contextlib
import csv
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from jaxret.convert import reading
from jaxret.convert.reading import container
from jaxret.errors import UserError

_NPY, _ZIP, _HDF5 = b"\x93NUMPY", b"PK\x03\x04", b"\x89HDF\r\n\x1a\n"
_MATLAB, _MATLAB_HDF5 = b"MATLAB 5.0", b"MATLAB 7.3"
_MOST_PACKED = 1032  # deflate's best: a claim beyond that many times the bytes is a lie
_KINDS = "fiu"
HDF5_INDEX = "index"  # of an HDF5 file that names its rows


@dataclass(frozen=True)
class Stored:
    """An array in a file, not yet read: its shape, and how it is read."""

    shape: tuple[int, ...]
    read: Callable[[], np.ndarray]


@dataclass(frozen=True)
class Rows:
    """Descriptors as a file holds them.

    Attributes:
        vectors: [rows, D] float32.
        names: what each row describes, where the file says it.
        source: file and array, for the report.
    """

    vectors: np.ndarray
    names: tuple[str, ...] | None
    source: str


@dataclass(frozen=True)
class FoundRows:
    """Descriptors that have been found in a file, and are not yet read.

    Attributes:
        shape: rows and dimensions.
        names: what each row describes, where the file says it.
        source: file and array, for the report.
    """

    shape: tuple[int, ...]
    names: tuple[str, ...] | None
    source: str
    _read: Callable[[], np.ndarray]
    _path: Path

    def read(self) -> np.ndarray:
        """The numbers as they are stored, [rows, D]; UserError where they cannot be read."""
        with _told(self._path):
            return self._read()


def find_rows(place: str | Path, count: int | None, which: str) -> FoundRows:
    """Which descriptors are in a file, before they are read.

    Args:
        place: FILE, or FILE#NAME where it holds several arrays.
        count: how many are wanted, for choosing among several arrays; fewer or more are the
            caller's to judge where names tell which is whose. None where that is not known.
        which: half a sentence for errors: what names them.

    Raises:
        UserError: the file cannot be read, or none of its arrays or several fit, or it names
            another number of rows than it has, or a row twice.
    """
    path, key = _split(str(place))
    with _told(path):
        stored, names = _stored(path)
        name, chosen = _chosen(path, stored, key, count, which)
    source = f"{path}#{name}" if name and len(stored) > 1 else str(path)
    return FoundRows(chosen.shape, names, source, chosen.read, path)


def read_rows(place: str | Path, count: int | None, which: str) -> Rows:
    """The descriptors in a file; arguments and errors as of `find_rows`."""
    found = find_rows(place, count, which)
    return Rows(np.asarray(found.read(), np.float32), found.names, found.source)


@contextlib.contextmanager
def _told(path: Path) -> Iterator[None]:
    """Whatever goes wrong in a file becomes a sentence that names it."""
    try:
        yield
    except UserError:
        raise
    except (Exception, MemoryError) as error:  # damaged or hostile bytes raise anything at all
        reason = str(error).strip().split("\n")[0][:200] or type(error).__name__
        raise UserError(f"{path} cannot be read as descriptors: {reason}.") from error


def _split(place: str) -> tuple[Path, str]:
    name, _, key = place.rpartition("#")
    if not name or Path(place).expanduser().exists():
        return Path(place).expanduser(), ""
    return Path(name).expanduser(), key


def _chosen(
    path: Path, stored: Mapping[str, Stored], key: str, count: int | None, which: str
) -> tuple[str, Stored]:
    """The array named, or the only one, or the only one with as many rows as wanted."""
    if key:
        if key not in stored:
            raise UserError(f"{path} holds no array '{key}': {_shapes(stored)}.")
        chosen = {key: stored[key]}
    else:
        flat = {name: one for name, one in stored.items() if len(one.shape) == 2}
        fitting = {name: one for name, one in flat.items() if one.shape[0] == count}
        chosen = flat if len(flat) == 1 else fitting
    if len(chosen) > 1:
        raise UserError(
            f"{path} holds several arrays that fit: {_shapes(chosen)}. Choose one: "
            f"{path}#{next(iter(chosen))}."
        )
    if not chosen:
        wanted = f"the {which}" if count is None else f"the {count} {which}"
        raise UserError(
            f"{path} must hold numbers [photographs, dimension] for {wanted}, but holds "
            f"{_shapes(stored)}."
        )
    [(name, one)] = chosen.items()
    if len(one.shape) != 2:
        raise UserError(
            f"{path} must hold numbers [photographs, dimension], but holds {list(one.shape)}."
        )
    if one.shape[0] != count and one.shape[1] == count:
        raise UserError(
            f"{path} has {one.shape[0]} rows, but its other axis fits the {count} {which}: it is "
            f"[dimension, photographs]. Turn it over (array.T in NumPy, X' in MATLAB) and save it."
        )
    return name, one


def _shapes(stored: Mapping[str, Stored]) -> str:
    shown = [f"{name} {list(one.shape)}".strip() for name, one in list(stored.items())[:8]]
    return ", ".join(shown) or "no array of numbers"


# What a file holds, by its first bytes


def _stored(path: Path) -> tuple[dict[str, Stored], tuple[str, ...] | None]:
    try:
        with path.open("rb") as file:
            start = file.read(520)
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}.") from error
    if not start:
        raise UserError(f"{path} is empty (0 bytes).")
    if start.startswith(_NPY):
        return _of_npy(path), None
    if start.startswith(_ZIP) and container.recognise(path) == container.NPZ:
        return dict(_of_npz(path)), None
    if start.startswith(_MATLAB):
        return dict(_of_matlab(path)), None
    if start.startswith((_HDF5, _MATLAB_HDF5)):
        turned = start.startswith(_MATLAB_HDF5)
        return dict(_of_hdf5(path, turned)), None if turned else _hdf5_names(path)
    if _is_text(start):
        return _of_text(path)
    return _of_contents(path)


def _of_npy(path: Path) -> dict[str, Stored]:
    with path.open("rb") as file:
        _, dtype = _header(file)
    if dtype.kind not in _KINDS:
        return {}
    rows = np.load(path, mmap_mode="r", allow_pickle=False)
    return {"": Stored(rows.shape, lambda: rows)}


def _header(file: Any) -> tuple[tuple[int, ...], np.dtype]:
    """Shape and type that an .npy states, before anything is made of it."""
    read = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }[np.lib.format.read_magic(file)]
    shape, _, dtype = read(file)
    return shape, dtype


def _of_npz(path: Path) -> Iterator[tuple[str, Stored]]:
    with zipfile.ZipFile(path) as archive:
        for member in archive.infolist():
            with archive.open(member) as file:
                shape, dtype = _header(file)
            if dtype.kind in _KINDS:
                _hold(shape, dtype.itemsize, member.file_size, member.filename)
                name = member.filename.removesuffix(".npy")
                yield name, Stored(shape, lambda name=name: _npz_array(path, name))  # type: ignore[misc]


def _npz_array(path: Path, name: str) -> np.ndarray:
    with np.load(path, allow_pickle=False) as arrays:
        return arrays[name]


def _of_matlab(path: Path) -> Iterator[tuple[str, Stored]]:
    import scipy.io

    size = path.stat().st_size
    numbers = ("double", "single", "int", "uint")
    for name, shape, kind in scipy.io.whosmat(path):
        if kind.startswith(numbers):
            _hold(shape, 1, size * _MOST_PACKED, name)
            yield name, Stored(tuple(shape), lambda name=name: _matlab_array(path, name))  # type: ignore[misc]


def _matlab_array(path: Path, name: str) -> np.ndarray:
    import scipy.io

    return scipy.io.loadmat(path, variable_names=[name])[name]


def _of_hdf5(path: Path, turned: bool) -> Iterator[tuple[str, Stored]]:
    """Datasets of numbers; MATLAB 7.3 writes its arrays turned over."""
    h5py = _h5py(path)
    found: dict[str, tuple[int, ...]] = {}

    def visit(name: str, item: Any) -> None:  # links out of the file are not followed
        if isinstance(item, h5py.Dataset) and item.dtype.kind in _KINDS:
            if item.external or item.is_virtual:
                raise UserError(f"{path}: '{name}' lies in other files, which are not read.")
            stored = max(item.id.get_storage_size(), 1)
            _hold(item.shape, item.dtype.itemsize, stored * _MOST_PACKED, name)
            found[name] = item.shape

    with h5py.File(path, "r") as file:
        file.visititems(visit)
    for name, shape in found.items():
        seen = shape[::-1] if turned else shape
        yield name, Stored(seen, lambda name=name: _hdf5_array(path, name, turned))  # type: ignore[misc]


def _hdf5_names(path: Path) -> tuple[str, ...] | None:
    """The strings of the dataset `index`, where there is one beside the numbers."""
    h5py = _h5py(path)
    with h5py.File(path, "r") as file:
        if not isinstance(file.get(HDF5_INDEX, getlink=True), h5py.HardLink):
            return None  # links, out of the file or in it, are not followed
        index = file[HDF5_INDEX]
        if not isinstance(index, h5py.Dataset) or h5py.check_string_dtype(index.dtype) is None:
            return None
        if index.external or index.is_virtual or index.ndim != 1:
            raise UserError(f"{path}: '{HDF5_INDEX}' is no plain list of names.")
        _hold(index.shape, 1, max(index.id.get_storage_size(), 1) * _MOST_PACKED, HDF5_INDEX)
        names = tuple(index.asstr()[()].tolist())
    if len(set(names)) < len(names):
        twice = next(name for name, times in Counter(names).items() if times > 1)
        raise UserError(f"{path}: its {HDF5_INDEX} names {twice!r} twice; one row a photograph.")
    return names


def _hdf5_array(path: Path, name: str, turned: bool) -> np.ndarray:
    with _h5py(path).File(path, "r") as file:
        array = file[name][()]
    return array.T if turned else array


def _h5py(path: Path) -> Any:
    try:
        import h5py
    except ImportError as error:
        raise UserError(
            f"Reading {path}, an HDF5 file, needs h5py: pip install 'jaxret[hdf5]'. Or save it as "
            ".npy, from MATLAB with save(..., '-v7')."
        ) from error
    return h5py


def _hold(shape: Sequence[int], itemsize: int, most: int, name: str) -> None:
    """Refuses an array that claims more than the bytes that are there can hold."""
    claimed = itemsize
    for side in shape:
        claimed *= int(side)
    if claimed > most:
        raise UserError(f"'{name}' claims the shape {list(shape)}, more than the file can hold.")


def _of_contents(path: Path) -> tuple[dict[str, Stored], tuple[str, ...] | None]:
    """PyTorch's files and pickles: a tensor, several by name, or one vector a name."""
    contents = reading.contents_of(path)[2]
    if isinstance(contents, list | tuple) and contents and all(map(_is_numbers, contents)):
        contents = _array(contents[0]) if len(contents) == 1 else np.stack([*map(_array, contents)])
    if _is_numbers(contents):
        array = _array(contents)
        return {"": Stored(array.shape, lambda: array)}, None
    arrays = {name: _array(value) for name, value in _walk(contents, "") if _is_numbers(value)}
    vectors = [
        array.ravel() for array in arrays.values() if max(array.shape, default=0) == array.size
    ]
    if len(arrays) > 1 and len(vectors) == len(arrays) and len({len(v) for v in vectors}) == 1:
        rows = np.stack(vectors)
        return {"": Stored(rows.shape, lambda: rows)}, tuple(arrays)
    return {
        name: Stored(array.shape, lambda array=array: array)  # type: ignore[misc]
        for name, array in arrays.items()
    }, None


def _walk(value: Any, key: str, depth: int = 3) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping) and depth:
        for name, inner in value.items():
            yield from _walk(inner, f"{key}.{name}" if key else str(name), depth - 1)
    else:
        yield key, value


def _is_numbers(value: Any) -> bool:
    return hasattr(value, "detach") or (
        isinstance(value, np.ndarray) and value.dtype.kind in _KINDS
    )


def _array(value: Any) -> np.ndarray:
    """A tensor of any float as float32, an array as it is."""
    return np.asarray(value.detach().float().cpu() if hasattr(value, "detach") else value)


# Text


def _is_text(start: bytes) -> bool:
    """Whether a file's beginning is UTF-8 without control characters; its last one may be cut."""
    text = start.decode("utf-8-sig", "replace").rstrip("\ufffd")
    return "\ufffd" not in text and all(c.isprintable() or c in "\t\r\n\f" for c in text)


def _of_text(path: Path) -> tuple[dict[str, Stored], tuple[str, ...] | None]:
    """Numbers in lines, perhaps under a line of headings, perhaps behind a column of names."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        first, second = file.readline(), file.readline()
    counted = second or first
    separator = max(",;\t ", key=counted.count)
    headings = int(not _numbers(_fields(first, separator)[1:] or _fields(first, separator)))
    body = _fields(second if headings else first, separator)
    named = int(not _numbers(body[:1]))
    if not _numbers(body[named:]):
        raise UserError(f"{path} holds no lines of numbers.")
    array = np.loadtxt(
        path,
        np.float32,
        comments=None,
        delimiter=None if separator == " " else separator,
        skiprows=headings,
        usecols=range(named, len(body)),
        ndmin=2,
        encoding="utf-8-sig",
        quotechar='"',
    )
    names = tuple(_names(path, separator, headings)) if named else None
    return {"": Stored(array.shape, lambda: array)}, names


def _fields(line: str, separator: str) -> list[str]:
    return next(csv.reader([line.strip()], delimiter=separator, skipinitialspace=True), [])


def _names(path: Path, separator: str, headings: int) -> Iterator[str]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        lines = csv.reader(file, delimiter=separator, skipinitialspace=True)
        yield from (line[0] for number, line in enumerate(lines) if line and number >= headings)


def _numbers(values: Sequence[str]) -> bool:
    try:
        return bool([float(value) for value in values])
    except ValueError:
        return False
