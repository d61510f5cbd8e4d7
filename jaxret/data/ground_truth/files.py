"""Ground-truth files: the official pickles, the .mat files, and a folder's own gnd.json.

All three end in the same `GroundTruth`, checked. Indices are 0-based places in `imlist`, boxes are
x1 y1 x2 y2 in pixels. The pickles are read without allowing any class but NumPy's arrays, which are
rebuilt from their bytes, so that a file from a stranger can hold data and nothing else.
"""

import io
import json
import pickle
import pickletools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from jaxret.data.benchmarks import registry
from jaxret.data.ground_truth import checks as checks
from jaxret.errors import UserError
from jaxret.runtime import pickled_arrays

_PROTOCOLS = {"revisited": ("easy", "medium", "hard"), "classic": ("classic",)}

# The largest official file has 0.3 MB; a folder of a million photographs would need some 50.
MAX_FILE_BYTES = 256 * 1024 * 1024


@dataclass(frozen=True)
class GroundTruth:
    """Which database photographs answer which query.

    Attributes:
      imlist: names of the database photographs; their places are the indices of `gnd`.
      qimlist: names of the query photographs; two queries may share one photograph.
      gnd: one dict a query: "ok" and "junk" (classic, INSTRE), or "easy", "hard" and "junk"
        (revisited), lists of 0-based int; and "bbx", the query's box, where there is one.
      metrics, depth: as of `data.Dataset`, where the file says them (`--save_descriptors` does).
    """

    imlist: list[str]
    qimlist: list[str]
    gnd: list[dict[str, Any]]
    metrics: tuple[str, ...] = ()
    depth: int | None = None

    @property
    def kind(self) -> str:
        """By the lists that a query has: "revisited" or "classic"."""
        return "classic" if "ok" in self.gnd[0] else "revisited"

    @property
    def protocols(self) -> tuple[str, ...]:
        return _PROTOCOLS[self.kind]

    @property
    def boxes(self) -> list[tuple[float, float, float, float] | None]:
        return [tuple(entry["bbx"]) if "bbx" in entry else None for entry in self.gnd]


def read_pickle(path: str | Path, benchmark: str | None = None) -> GroundTruth:
    """An official gnd_*.pkl: a dict of imlist, qimlist and gnd made of plain lists.

    Args:
      path: the file.
      benchmark: name of a published benchmark whose counts the file must have.

    Raises:
      UserError: the file names a class, is damaged, or fails a check; the message says which.
    """
    path = Path(path)
    return _checked(_load(path, _unpickle), path, benchmark)


def read_mat(path: str | Path, benchmark: str | None = None) -> GroundTruth:
    """INSTRE's gnd_instre.mat (imlist, qimlist) or the Oxford/Paris .mat (imlist, qidx).

    Indices in these files count from 1 and are returned counted from 0.
    """
    path = Path(path)
    return _checked(_load(path, _read_matlab), path, benchmark)


def read_gnd_json(path: str | Path) -> GroundTruth:
    """A gnd.json in the form of the official pickles: imlist, qimlist, gnd."""
    path = Path(path)
    return _checked(_load(path, _read_json), path, None)


def read(path: str | Path, benchmark: str | None = None) -> GroundTruth:
    """Any of the three, by the name's ending."""
    readers = {".pkl": _unpickle, ".mat": _read_matlab, ".json": _read_json}
    path = Path(path)
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise UserError(f"{path}: a ground truth's name must end in {', '.join(readers)}.")
    return _checked(_load(path, reader), path, benchmark)


def _load(path: Path, reader: Callable[[bytes, Path], Any]) -> Any:
    try:
        size = path.stat().st_size
        content = path.read_bytes() if 0 < size <= MAX_FILE_BYTES else b""
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}).") from error
    if not content:
        wrong = "is empty" if size == 0 else f"has {size} bytes, too many for a ground truth"
        raise UserError(f"{path}: the file {wrong}; fetch it again.")
    try:
        return reader(content, path)
    except UserError:
        raise
    # A damaged file can raise nearly anything in these readers (the pickle manual says so).
    except (Exception, MemoryError) as error:
        reason = str(error).split("\n")[0][:200] or type(error).__name__
        raise UserError(f"{path}: damaged or of another format ({reason}).") from error


class _PlainUnpickler(pickle.Unpickler):
    """Reads dicts, lists, strings, numbers and NumPy's arrays; any other name is refused."""

    def __init__(self, content: bytes, path: Path) -> None:
        # Latin-1: the bytes of an array that Python 2 wrote arrive as text.
        super().__init__(io.BytesIO(content), encoding="latin1")
        self._path = path
        self.holds_arrays = False

    def find_class(self, module: str, name: str) -> Any:
        if (found := pickled_arrays.resolve(f"{module}.{name}")) is not None:
            self.holds_arrays = True
            return found
        raise UserError(
            f"{self._path}: this pickle asks for {module}.{name}, which could run code; a ground "
            "truth needs only lists, arrays, numbers and names, so the file was not read."
        )


def _unpickle(content: bytes, path: Path) -> Any:
    for opcode, argument, _ in pickletools.genops(content):
        # A memo slot far above the file's own length serves to exhaust the memory.
        if opcode.name in ("PUT", "LONG_BINPUT") and int(argument or 0) > len(content):
            raise UserError(f"{path}: not a sound pickle (memo slot {argument}).")
    unpickler = _PlainUnpickler(content, path)
    contents = unpickler.load()
    return pickled_arrays.to_lists(contents) if unpickler.holds_arrays else contents


def _read_json(content: bytes, path: Path) -> Any:
    def no_key_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len(dict(pairs)) < len(pairs):
            raise ValueError(f"a key twice among {sorted(key for key, _ in pairs)[:5]}")
        return dict(pairs)

    return json.loads(content.decode("utf-8-sig"), object_pairs_hook=no_key_twice)


def _read_matlab(content: bytes, path: Path) -> Any:
    import scipy.io

    arrays = scipy.io.loadmat(io.BytesIO(content))
    if "gnd" not in arrays or "imlist" not in arrays:
        return {key: [] for key in arrays if not key.startswith("__")}
    imlist = _cells(arrays["imlist"])
    if "qimlist" in arrays:
        qimlist = _cells(arrays["qimlist"])
    else:
        qimlist = [imlist[place] for place in _from_one(arrays["qidx"], f"{path}: qidx")]
    gnd = []
    for place, row in enumerate(arrays["gnd"].ravel()):
        query = f"{path}: query {place}"
        entry: dict[str, Any] = {"bbx": row["bbx"].ravel().tolist()}
        for key in set(row.dtype.names) - {"bbx"}:
            entry[key] = _from_one(row[key], f"{query}: {key}")
        gnd.append(entry)
    return {"imlist": imlist, "qimlist": qimlist, "gnd": gnd}


def _cells(array: np.ndarray) -> list[str]:
    """The strings of a MATLAB cell array."""
    return [str(cell.item()) if cell.size == 1 else "" for cell in array.ravel()]


def _from_one(numbers: np.ndarray, what: str) -> list[int]:
    """MATLAB's 1-based indices, integers of any numeric class, as 0-based int."""
    values = numbers.ravel()
    if values.size == 0:
        return []
    if values.dtype.kind not in "iuf" or not np.all(np.floor(values) == values):
        raise UserError(f"{what} holds {values.dtype} values that are no whole numbers.")
    if values.min() < 1:
        raise UserError(f"{what} holds {values.min()}, but MATLAB files count from 1.")
    return [int(value) - 1 for value in values]


def _checked(raw: Any, path: Path, benchmark: str | None) -> GroundTruth:
    where = str(path)
    if not isinstance(raw, Mapping):
        raise UserError(
            f"{where}: holds a {type(raw).__name__}, not a dict of imlist, qimlist, gnd."
        )
    missing = [key for key in ("imlist", "qimlist", "gnd") if key not in raw]
    if missing:
        found = sorted(str(key) for key in raw)[:10]
        raise UserError(f"{where}: lacks {' and '.join(missing)}; it has {found}.")
    imlist = checks.check_names(raw["imlist"], "imlist", where, unique=True)
    qimlist = checks.check_names(raw["qimlist"], "qimlist", where, unique=False)
    gnd = checks.check_queries(raw["gnd"], qimlist, len(imlist), where)
    metrics = checks.check_metrics(raw.get("metrics", ()), where)
    depth = checks.check_depth(raw.get("depth"), where)
    ground_truth = GroundTruth(imlist, qimlist, gnd, metrics, depth)
    if benchmark is not None:
        checks.check_published(registry.get(benchmark), imlist, qimlist, gnd, where)
    return ground_truth
