"""A whitening that was learnt elsewhere, out of a file; nothing that the file names is run.

y = P (x - m), L2-normalised, is what all of them are:

- cirtorch's {"m": [D, 1], "P": [D', D]}, as .pkl or .mat, alone or in a network's meta["Lw"]
- VISSL's PCA, pickled: `mean` [1, D] and `DVt` [D', D]
- scikit-learn's PCA, pickled; it divides by the deviations unless it was fitted with whiten=False
- what `PCAWhitening.save` writes, and an .npz of m and P

Where a file holds several, FILE#KEY names one by the keys that lead to it.
"""

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from jaxret.convert.reading import contents_of
from jaxret.errors import UserError

# (names of the mean and of the projection).
_PROJECTIONS = (("m", "P"), ("mean", "DVt"))
_SKLEARN = ("mean_", "components_", "explained_variance_")
_OURS = ("mean", "components", "variance", "power")
_MAX_ENTRIES = 2**29  # of a projection: 16,384 x 16,384 has half of that
_DEPTH = 5


def read_whitening(place: str | Path) -> dict[str, Any]:
    """The whitening in a file, as `PCAWhitening.from_pca` takes it.

    Args:
        place: FILE, or FILE#KEY where it holds several.

    Returns:
        "mean" [D], "components" [D', D], "explained_variance" [D'] and the "power" of it that is
        divided by; a projection that is scaled already has variances of 1.

    Raises:
        UserError: It cannot be read, holds none or several, or its arrays do not fit together.
    """
    path, key = _split(str(place))
    found = dict(_whitenings(_contents(path), ""))
    if key:
        found = {name: one for name, one in found.items() if f".{key}." in f".{name}."}
    if len(found) == 1:
        return _made(path, *found.values())
    if not found:
        under = f" under '{key}'" if key else ""
        raise UserError(
            f"{path} holds no whitening{under}: neither m and P (cirtorch), nor mean and DVt "
            "(VISSL), nor a PCA of scikit-learn or of jaxret."
        )
    raise UserError(
        f"{path} holds {len(found)} whitenings: {', '.join(found)}. Choose one, for example "
        f"--whitening={path}#{next(iter(found))}."
    )


def _split(place: str) -> tuple[Path, str]:
    name, _, key = place.rpartition("#")
    if not name or Path(place).expanduser().exists():
        name, key = place, ""
    return Path(name).expanduser(), key


def _contents(path: Path) -> Any:
    if not path.is_file():
        raise UserError(
            f"--whitening={path} is neither 'learnt', 'checkpoint' nor a file that is there."
        )
    with path.open("rb") as file:
        start = file.read(16)
    if start.startswith((b"MATLAB", b"\x89HDF")):
        return _matlab(path, start)
    try:
        return contents_of(path)[2]
    except UserError as error:
        raise UserError(f"--whitening: {error}") from error


def _matlab(path: Path, start: bytes) -> Any:
    """The variables of a .mat file, structs as mappings; refused where they claim too much."""
    import scipy.io

    again = "save it from MATLAB with save(..., '-v7')"
    if start.startswith((b"MATLAB 7.3", b"\x89HDF")):
        raise UserError(f"{path} is an HDF5 file (MATLAB 7.3), which is not read here: {again}.")
    try:
        for name, shape, _ in scipy.io.whosmat(str(path)):
            if min(shape, default=0) < 0 or math.prod(map(int, shape)) > _MAX_ENTRIES:
                raise ValueError(f"{name} claims the shape {shape}")
        variables = scipy.io.loadmat(str(path), simplify_cells=True)
    # A damaged file can raise nearly anything in this reader.
    except (Exception, MemoryError) as error:
        reason = str(error).split("\n")[0][:200] or type(error).__name__
        raise UserError(f"{path} cannot be read as a .mat file ({reason}): {again}.") from error
    return {name: value for name, value in variables.items() if not name.startswith("__")}


def _whitenings(value: Any, key: str, depth: int = _DEPTH) -> Iterator[tuple[str, Any]]:
    """(keys that lead there, mapping of its arrays) of every whitening in what a file holds."""
    if not isinstance(value, Mapping):
        return
    names = [*_PROJECTIONS, _SKLEARN, _OURS]
    if any(all(name in value for name in one) for one in names):
        yield key, value
    for name, inner in value.items() if depth else ():
        yield from _whitenings(inner, f"{key}.{name}".strip("."), depth - 1)


def _made(path: Path, found: Mapping[str, Any]) -> dict[str, Any]:
    def has(names: tuple[str, ...]) -> bool:
        return all(name in found for name in names)

    if has(_SKLEARN):
        mean, components, variance = (_numbers(path, name, found[name]) for name in _SKLEARN)
        power = 0.5 if found.get("whiten", False) else 0.0
    elif has(_OURS):
        mean, components, variance, powers = (_numbers(path, n, found[n]) for n in _OURS)
        power = float(powers.ravel()[0])
    else:
        names = next(pair for pair in _PROJECTIONS if has(pair))
        mean, components = (_numbers(path, name, found[name]) for name in names)
        mean = mean.ravel()
        _check_projection(path, names, mean, components)
        variance, power = np.ones(len(components)), 0.5
    arrays = {"mean": mean, "components": components, "explained_variance": variance}
    return {**arrays, "power": power}


def _check_projection(
    path: Path, names: tuple[str, str], mean: np.ndarray, projection: np.ndarray
) -> None:
    if projection.ndim == 2 and projection.shape[1] == mean.size:
        return
    turned = projection.ndim == 2 and projection.shape[0] == mean.size
    raise UserError(
        f"{path}: {names[1]} must be [dimensions, {mean.size}], as {names[0]} has {mean.size} "
        f"numbers, but is {list(projection.shape)}{': it is transposed' if turned else ''}."
    )


def _numbers(path: Path, name: str, value: Any) -> np.ndarray:
    try:
        array = np.asarray(value.detach().cpu() if hasattr(value, "detach") else value, np.float64)
    except (TypeError, ValueError, RuntimeError) as error:
        raise UserError(f"{path}: {name} is no array of numbers ({error}).") from error
    if array.size == 0 or not np.isfinite(array).all():
        raise UserError(f"{path}: {name} is empty or holds NaN or infinity.")
    return array
