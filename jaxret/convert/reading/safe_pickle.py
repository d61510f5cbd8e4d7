"""Unpickling that imports nothing and calls nothing of what a file names.

Three published checkpoints hold more than tensors: GeM(AP) a scikit-learn PCA, DINO's full file an
`argparse.Namespace`, BYOL named tuples and Haiku mappings. Here each such class resolves to a
stand-in that only keeps what the stream gives it, numpy arrays are rebuilt from their bytes, and
any name that is not in the table raises `ForbiddenName` before anything is called.

The stream's names are compared as it spells them: a pickle of protocol 2 says `__builtin__` and
`copy_reg` whether Python 2 or 3 wrote it, numpy 2 says `numpy._core` where older ones say
`numpy.core`.
"""

import _compat_pickle
import pickle
import re
from collections import OrderedDict
from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any, BinaryIO, ClassVar

import numpy as np

# Numbers, booleans and raw bytes: nothing that could hold a Python object.
_PLAIN_DTYPE = re.compile(r"[biufcSUV]\d+|\?")


class ForbiddenName(pickle.UnpicklingError):
    """The stream asks for a class or function that is not allowed.

    Attributes:
        name: the dotted name, such as `posix.system`, as today's Python spells it.
    """

    def __init__(self, module: str, name: str):
        if (module, name) in _compat_pickle.NAME_MAPPING:
            module, name = _compat_pickle.NAME_MAPPING[module, name]
        self.name = f"{_compat_pickle.IMPORT_MAPPING.get(module, module)}.{name}"
        super().__init__(f"{self.name} is not allowed")


class Bag:
    """Stands in for an object of a foreign class: its arguments and attributes, nothing else."""

    __slots__ = ("arguments", "attributes")
    arguments: tuple[Any, ...]
    attributes: dict[str, Any]
    origin: ClassVar[str] = ""
    fields: ClassVar[tuple[str, ...]] = ()

    def __new__(cls, *arguments: Any) -> "Bag":
        bag = super().__new__(cls)
        bag.arguments = arguments
        bag.attributes = {}
        return bag

    def __setstate__(self, state: Any) -> None:
        parts = state if isinstance(state, tuple) else (state,)
        for part in parts:
            if isinstance(part, dict):
                self.attributes.update(part)

    def plain(self) -> Any:
        """A mapping's own items, else field names and attributes with their values."""
        if self.fields:
            return dict(zip(self.fields, self.arguments, strict=False))
        if not self.attributes and len(self.arguments) == 1:
            only = self.arguments[0]
            if isinstance(only, Mapping):
                return only
        return self.attributes or list(self.arguments)


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


class _Function:
    """A function of ours under a foreign name; `__setstate__` keeps the stream from altering it."""

    __slots__ = ("_function",)

    def __init__(self, function: Callable):
        self._function = function

    def __call__(self, *arguments: Any) -> Any:
        return self._function(*arguments)

    def __setstate__(self, state: Any) -> None:
        raise pickle.UnpicklingError("an attempt to change a function")


def _raw(data: Any) -> bytes:
    # A Python 2 string arrives decoded as Latin-1, a character a byte.
    return data.encode("latin1") if isinstance(data, str) else bytes(data)


def _encode(text: str, encoding: str = "latin1", *_: Any) -> bytes:
    """`_codecs.encode`, which protocol 2 uses for bytes."""
    if encoding not in ("latin1", "latin-1"):
        raise pickle.UnpicklingError(f"text encoded as {encoding}")
    return text.encode("latin1")


def _numpy_scalar(dtype: PickledDtype, data: Any) -> Any:
    return np.frombuffer(_raw(data), dtype.plain())[0].item()


def _numpy_from_buffer(data: Any, dtype: PickledDtype, shape: tuple, order: str) -> PickledArray:
    array = PickledArray()
    array.__setstate__((1, shape, dtype, order == "F", data))
    return array


def _array_of_parts(make: Callable, arguments: tuple, state: Any, *_: Any) -> PickledArray:
    """Dill and JAX write an array as the three parts of its numpy reduction."""
    array = make(*arguments)
    array.__setstate__(state)
    return array


def _reconstruct_object(cls: Any, *_: Any) -> Bag:
    """`copy_reg._reconstructor`, which protocols 0 and 1 use for every object."""
    if not (isinstance(cls, type) and issubclass(cls, Bag)):
        raise pickle.UnpicklingError(f"an object of {cls!r}")
    return cls()


def _default_dict(*_: Any) -> dict:
    """`collections.defaultdict`: its items follow, its factory is of no use."""
    return {}


def _path(*parts: Any) -> str:
    """A `pathlib` path among a training script's arguments."""
    return "/".join(str(part) for part in parts)


def _named_tuple(name: str, fields: Any, module: str = "", *_: Any) -> type[Bag]:
    """Dill writes a named tuple's class as a call that makes it."""
    return bag_type(str(module), str(name), tuple(str(field) for field in fields))


def bag_type(module: str, name: str, fields: tuple[str, ...] = ()) -> type[Bag]:
    """A new stand-in class for `module.name`; new each time, so that no stream alters another's."""
    return type(name, (Bag,), {"__slots__": (), "origin": f"{module}.{name}", "fields": fields})


# Field order of the named tuple in byol/byol_experiment.py of deepmind-research.
_BYOL_FIELDS = ("online_params", "target_params", "online_state", "target_state", "opt_state")

_NUMPY = r"numpy\._?core\.(multiarray|numeric|_multiarray_umath)"
_FUNCTIONS: tuple[tuple[str, Callable], ...] = (
    (rf"{_NUMPY}\._reconstruct", PickledArray),
    (rf"{_NUMPY}\.scalar", _numpy_scalar),
    (rf"{_NUMPY}\._frombuffer", _numpy_from_buffer),
    (r"numpy\.dtype", PickledDtype),
    (r"_codecs\.encode", _encode),
    (r"copy_?reg\._reconstructor", _reconstruct_object),
    (r"collections\.defaultdict", _default_dict),
    (r"pathlib\.(Pure)?(Posix|Windows)?Path", _path),
    (r"dill\.(_dill|dill)\._create_namedtuple", _named_tuple),
    (r"jax\.[\w.]+\._?reconstruct_(device_)?array", _array_of_parts),
    (r"dill\.(_dill|dill)\._create_array", _array_of_parts),
)
_TYPES: dict[str, type] = {
    f"{module}.{name}": kind
    for module in ("__builtin__", "builtins")
    for name, kind in {
        "set": set,
        "frozenset": frozenset,
        "bytearray": bytearray,
        "complex": complex,
        "dict": dict,
        "list": list,
        "tuple": tuple,
    }.items()
} | {"collections.OrderedDict": OrderedDict}
_BAGS = re.compile(
    r"argparse\.Namespace"
    r"|numpy\.ndarray|(__builtin__|builtins)\.object"
    r"|sklearn\.decomposition\.(pca\.|_pca\.)?PCA"
    r"|haiku\.(_src\.)?data_structures\.(FlatMapping|FlatMap|frozendict)"
    # Optimiser and experiment states: named tuples of arrays.
    r"|byol\.[\w.]+State|optax\.[\w.]+State|jax\.experimental\.optix\.\w+State"
)


def _resolve(module: str, name: str) -> Any:
    """The harmless stand-in for `module.name`, or None where there is none."""
    dotted = f"{module}.{name}"
    if dotted in _TYPES:
        return _TYPES[dotted]
    if _BAGS.fullmatch(dotted):
        return bag_type(module, name, _BYOL_FIELDS if name == "_ByolExperimentState" else ())
    for pattern, function in _FUNCTIONS:
        if re.fullmatch(pattern, dotted):
            return _Function(function)  # a class too: the stream may call it, not alter it
    return None


class RestrictedUnpickler(pickle.Unpickler):
    """`pickle.Unpickler` that resolves the names above and those of `more`, and no others."""

    more: ClassVar[Mapping[str, Any]] = {}

    def __init__(self, file: Any, **keywords: Any):
        keywords["encoding"] = "latin1"  # strings that Python 2 wrote, numpy's bytes among them
        super().__init__(file, **keywords)

    def find_class(self, module: str, name: str) -> Any:
        """Never imports: a name resolves through the tables of this module or not at all."""
        found = self.more.get(f"{module}.{name}") or _resolve(module, name)
        if found is None:
            raise ForbiddenName(module, name)
        if callable(found) and not isinstance(found, type | _Function):
            return _Function(found)
        return found


def pickle_module(more: Mapping[str, Any]) -> Any:
    """What `torch.load(pickle_module=...)` wants of a pickle module, restricted.

    Args:
        more: dotted name -> what stands for it, beside the names of this module.
    """
    unpickler = type("TorchUnpickler", (RestrictedUnpickler,), {"more": more})

    def load(file: BinaryIO, **keywords: Any) -> Any:
        return unpickler(file, **keywords).load()

    return SimpleNamespace(
        __name__="jaxret.restricted_pickle",
        Unpickler=unpickler,
        load=load,
        UnpicklingError=pickle.UnpicklingError,
    )


def load(file: BinaryIO) -> Any:
    """Reads one pickle of plain values, numpy arrays and the foreign classes above.

    Raises:
        ForbiddenName: the stream names anything else; nothing was called.
        pickle.UnpicklingError: it is damaged.
    """
    return plain(RestrictedUnpickler(file).load())


def plain(value: Any, _seen: dict[int, Any] | None = None) -> Any:
    """Replaces stand-ins by dicts, lists and numpy arrays, all the way down."""
    seen = {} if _seen is None else _seen
    if id(value) not in seen:
        seen[id(value)] = None  # an object that holds itself holds None instead
        seen[id(value)] = _plain(value, seen)
    return seen[id(value)]


def _plain(value: Any, seen: dict[int, Any]) -> Any:
    if isinstance(value, PickledArray):
        return value.value
    if isinstance(value, PickledDtype):
        return str(value.plain())
    if isinstance(value, Bag):
        # What a bag makes is held in the result, as `seen` needs: ids are of living objects.
        return _plain(value.plain(), seen)
    if isinstance(value, Mapping):
        return {key: plain(item, seen) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item, seen) for item in value]
    if isinstance(value, tuple):
        return tuple(plain(item, seen) for item in value)
    return value
