"""Datasets: photographs, ground truth, and the way from files to batches of pixels."""

import difflib
import importlib
import os
from pathlib import Path

from jaxret.data.dataset import Box, Dataset, FileSplit, Split
from jaxret.errors import UserError

__all__ = ["Box", "Dataset", "FileSplit", "Split", "load", "names"]

# name -> module with load(data_dir: Path | None) -> Dataset
_LOADERS = {"demo": "jaxret.data.demo"}


def names() -> tuple[str, ...]:
    """Datasets known by name."""
    return tuple(_LOADERS)


def load(
    name_or_folder: str | Path,
    data_dir: str | Path | None = None,
    require_ground_truth: bool = True,
) -> Dataset:
    """A dataset by its name, or a folder of photographs.

    Args:
        name_or_folder: a known name goes before a folder of that name ("./demo" is the folder).
        data_dir: where datasets known by name lie or are made; None is the user's own place.
        require_ground_truth: refuse a folder without gnd.json.

    Raises:
        UserError: neither; the sentence lists the names, nearest first.
    """
    wanted = os.fspath(name_or_folder)
    if wanted in _LOADERS:
        module = importlib.import_module(_LOADERS[wanted])
        return module.load(None if data_dir is None else Path(data_dir).expanduser())
    if Path(wanted).expanduser().is_dir():
        from jaxret.data.folder import load_folder

        return load_folder(Path(wanted), require_ground_truth)
    raise _unknown(wanted)


def _unknown(wanted: str) -> UserError:
    near = difflib.get_close_matches(wanted, names(), n=len(names()), cutoff=0.0)
    rest = [name for name in names() if name not in near]
    return UserError(
        f"There is neither a dataset nor a folder {wanted!r}. Datasets, nearest first: "
        f"{', '.join([*near, *rest])}. A folder of your own needs photographs and a gnd.json with "
        "imlist, qimlist and gnd."
    )
