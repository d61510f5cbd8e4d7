"""NumPy arrays out of a pickle, rebuilt from their bytes: nothing is imported, nothing is called.

`resolve` gives the stand-in for each of the few names by which NumPy, old or new, writes an array,
a dtype or a number, and None for every other name; `to_lists` turns what was read into plain lists.
"""

import pickle
import re
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

# Numbers, booleans and raw bytes: nothing that could hold a Python object.
_PLAIN_DTYPE = re.compile(r"[biufcSUV]\d+|\?")


class Function:
    """A function of ours under a foreign name; `__setstate__` keeps the stream from altering it."""

    __slots__ = ("_function",)

    def __init__(self, function: Callable):
        self._function = function

    def __call__(self, *arguments: Any) -> Any:
        return self._function(*arguments)

    def __setstate__(self, state: Any) -> None:
        raise pickle.UnpicklingError("an attempt to change a function")


class PickledArray:
    """A numpy array on its way out of the stream; `value` is set once its bytes were read."""

    __slots__ = ("value",)

    def __init__(self, *_: Any):
        self.value: Any = None

    def __setstate__(self, state: Any) -> None:
        _version, shape, dtype, fortran, data = state
        if isinstance(data, list):  # an array of Python objects, each read as any other object
            self.value = data
            return
        flat = np.frombuffer(_raw(data), dtype.plain())
        self.value = flat.reshape(shape, order="F" if fortran else "C")


class PickledDtype:
    """A numpy dtype: its code, such as `f4`, and its byte order."""

    __slots__ = ("_code", "_order")

    def __init__(self, code: Any, *_: Any):
        self._code = code.decode("ascii") if isinstance(code, bytes) else code
        self._order: Any = "="

    def __setstate__(self, state: Any) -> None:
        order, subtype, names = state[1:4]
        if subtype is not None or names is not None:
            raise pickle.UnpicklingError("a structured numpy array")
        self._order = order.decode("ascii") if isinstance(order, bytes) else order

    def plain(self) -> np.dtype:
        if not isinstance(self._code, str) or not _PLAIN_DTYPE.fullmatch(self._code):
            raise pickle.UnpicklingError(f"a numpy array of dtype {self._code!r}")
        dtype = np.dtype(self._code)
        return dtype if self._order == "|" else dtype.newbyteorder(self._order)


def _raw(data: Any) -> bytes:
    # A Python 2 string arrives decoded as Latin-1, a character a byte.
    return data.encode("latin1") if isinstance(data, str) else bytes(data)


def _encode(text: str, encoding: str = "latin1", *_: Any) -> bytes:
    """`_codecs.encode`, which protocol 2 uses for bytes."""
    if encoding not in ("latin1", "latin-1"):
        raise pickle.UnpicklingError(f"text encoded as {encoding}")
    return text.encode("latin1")


def _no_bytes() -> bytes:
    """How protocols 0 to 2 write the bytes of an array without entries."""
    return b""


def _scalar(dtype: PickledDtype, data: Any) -> Any:
    return np.frombuffer(_raw(data), dtype.plain())[0].item()


def _from_buffer(data: Any, dtype: PickledDtype, shape: tuple, order: str) -> PickledArray:
    array = PickledArray()
    array.__setstate__((1, shape, dtype, order == "F", data))
    return array


_NUMPY = r"numpy\._?core\.(multiarray|numeric|_multiarray_umath)"
_NAMES: tuple[tuple[str, Callable[..., Any]], ...] = (
    (rf"{_NUMPY}\._reconstruct", PickledArray),
    (rf"{_NUMPY}\.scalar", _scalar),
    (rf"{_NUMPY}\._frombuffer", _from_buffer),
    (r"numpy\.dtype", PickledDtype),
    (r"numpy\.ndarray", PickledArray),
    (r"_codecs\.encode", _encode),
    (r"(__builtin__|builtins)\.bytes", _no_bytes),
)


def resolve(dotted: str) -> Function | None:
    """What a stream may call under the name `dotted`, or None."""
    found = next((made for name, made in _NAMES if re.fullmatch(name, dotted)), None)
    return None if found is None else Function(found)


def to_lists(value: Any, _seen: dict[int, Any] | None = None) -> Any:
    """Arrays as nested lists of Python's numbers, all the way down; a number of NumPy as Python's.

    An array without entries is [], whatever shape it claims.
    """
    seen = {} if _seen is None else _seen
    if id(value) not in seen:
        seen[id(value)] = None  # an object that holds itself holds None instead
        seen[id(value)] = _listed(value, seen)
    return seen[id(value)]


def _listed(value: Any, seen: dict[int, Any]) -> Any:
    if isinstance(value, PickledArray):
        value = value.value
    if isinstance(value, np.ndarray):
        return value.tolist() if value.size else []
    if isinstance(value, Mapping):
        return {key: to_lists(item, seen) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [to_lists(item, seen) for item in value]
    return value
