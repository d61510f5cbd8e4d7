"""Unpickling that imports nothing and calls nothing of what a file names.

Checkpoints hold more than tensors: GeM(AP)'s a scikit-learn PCA, DINO's an `argparse.Namespace`,
BYOL's named tuples and Haiku mappings, and training scripts leave objects of their own classes.
Here each such class resolves to a stand-in that only keeps what the stream gives it, and numpy
arrays are rebuilt from their bytes. A name of Python's own library, or of one that could read files
or run code, raises `ForbiddenName` unless it is in the table: the file is not what it seems.

The stream's names are compared as it spells them: a pickle of protocol 2 says `__builtin__` and
`copy_reg` whether Python 2 or 3 wrote it, numpy 2 says `numpy._core` where older ones say
`numpy.core`.
"""

import _compat_pickle
import pickle
import re
import sys
from collections import OrderedDict
from collections.abc import Callable, Mapping
from types import MappingProxyType, SimpleNamespace
from typing import Any, BinaryIO, ClassVar

from jaxret.runtime import pickled_arrays
from jaxret.runtime.pickled_arrays import Function, PickledArray, PickledDtype


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

    def __new__(cls, *arguments: Any, **keywords: Any) -> "Bag":
        bag = super().__new__(cls)
        bag.arguments = arguments
        bag.attributes = dict(keywords)
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


class Foreign(Bag):
    """Stands in for an object of a class of the file's own maker, which may be a dict or a list."""

    __slots__ = ()

    def __setitem__(self, key: Any, value: Any) -> None:
        self.attributes[key] = value

    def extend(self, values: Any) -> None:
        self.arguments = (*self.arguments, *values)

    def append(self, value: Any) -> None:
        self.extend((value,))

    def add(self, value: Any) -> None:
        self.extend((value,))


def _array_of_parts(make: Callable, arguments: tuple, state: Any, *_: Any) -> PickledArray:
    """Dill and JAX write an array as the three parts of its numpy reduction."""
    array = make(*arguments)
    array.__setstate__(state)
    return array


def _reconstruct_object(cls: Any, _base: Any = None, state: Any = None, *_: Any) -> Bag:
    """`copy_reg._reconstructor`, which protocols 0 and 1 use for every object."""
    if not (isinstance(cls, type) and issubclass(cls, Bag)):
        raise pickle.UnpicklingError(f"an object of {cls!r}")
    return cls(**{str(key): value for key, value in state.items()}) if _is_dict(state) else cls()


def _is_dict(value: Any) -> bool:
    return isinstance(value, dict)


def _default_dict(*_: Any) -> dict:
    """`collections.defaultdict`: its items follow, its factory is of no use."""
    return {}


def _path(*parts: Any) -> str:
    """A `pathlib` path among a training script's arguments."""
    return "/".join(str(part) for part in parts)


def _named_tuple(name: str, fields: Any, module: str = "", *_: Any) -> type[Bag]:
    """Dill writes a named tuple's class as a call that makes it."""
    return bag_type(str(module), str(name), tuple(str(field) for field in fields))


def bag_type(
    module: str, name: str, fields: tuple[str, ...] = (), base: type[Bag] = Bag
) -> type[Bag]:
    """A new stand-in class for `module.name`; new each time, so that no stream alters another's."""
    return type(name, (base,), {"__slots__": (), "origin": f"{module}.{name}", "fields": fields})


# Field order of the named tuple in byol/byol_experiment.py of deepmind-research.
_BYOL_FIELDS = ("online_params", "target_params", "online_state", "target_state", "opt_state")

_FUNCTIONS: tuple[tuple[str, Callable], ...] = (
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
    r"argparse\.Namespace|types\.SimpleNamespace|functools\.partial"
    # What a training's arguments name: partial(nn.LayerNorm, eps=1e-6), nn.ReLU, torch.float16.
    r"|torch\.nn\.modules\.(normalization|activation|batchnorm)\.\w+"
    r"|torch\.(float|bfloat|int|uint|complex)\d+|torch\.(float|half|double|long|int|short|bool)"
    r"|datetime\.(datetime|date|timedelta)|collections\.(Counter|deque|UserDict)|uuid\.UUID"
    r"|numpy\.ndarray|(__builtin__|builtins)\.object"
    r"|sklearn\.decomposition\.(pca\.|_pca\.)?PCA"
    r"|haiku\.(_src\.)?data_structures\.(FlatMapping|FlatMap|frozendict)"
    # Optimiser and experiment states: named tuples of arrays.
    r"|byol\.[\w.]+State|optax\.[\w.]+State|jax\.experimental\.optix\.\w+State"
)


# Of these a name outside the tables is no class of a training script.
_READERS = "numpy scipy pandas sklearn joblib torch tensorflow keras jax flax optax haiku byol"
_INSTALLERS = "dill cloudpickle pip setuptools pkg_resources"
_LIBRARIES = {*_READERS.split(), *_INSTALLERS.split(), *_compat_pickle.IMPORT_MAPPING}
_LIBRARIES |= sys.stdlib_module_names


def _is_of_its_maker(module: str, name: str) -> bool:
    """Whether `module.name` is a class of somebody's own code; "__main__" is his script."""
    parts = module.split(".")
    whole = all(part.isidentifier() for part in (*parts, name)) and not name.startswith("__")
    return whole and (parts[0] not in _LIBRARIES) and not any(p == "builtins" for p in parts)


def _resolve(module: str, name: str) -> Any:
    """The harmless stand-in for `module.name`, or None where there is none."""
    dotted = f"{module}.{name}"
    if dotted in _TYPES:
        return _TYPES[dotted]
    if _BAGS.fullmatch(dotted):
        fields = _BYOL_FIELDS if name == "_ByolExperimentState" else ()
        return bag_type(module, name, fields, Foreign)
    for pattern, function in _FUNCTIONS:
        if re.fullmatch(pattern, dotted):
            return Function(function)  # a class too: the stream may call it, not alter it
    array = pickled_arrays.resolve(dotted)
    if array is None and _is_of_its_maker(module, name):
        return bag_type(module, name, base=Foreign)
    return array


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
        if callable(found) and not isinstance(found, type | Function):
            return Function(found)
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


def load(file: BinaryIO, more: Mapping[str, Any] = MappingProxyType({})) -> Any:
    """Reads one pickle of plain values, numpy arrays and the foreign classes above.

    Args:
        file: opened for reading.
        more: as in `pickle_module`.

    Raises:
        ForbiddenName: the stream names anything else; nothing was called.
        pickle.UnpicklingError: it is damaged.
    """
    return plain(pickle_module(more).load(file))


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
    if isinstance(value, type) and issubclass(value, Bag):
        return value.origin  # a class by its name
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
