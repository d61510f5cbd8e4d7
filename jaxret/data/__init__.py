"""Datasets: photographs, ground truth, and the way from files to batches of pixels."""

import difflib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from jaxret.data.benchmarks import registry
from jaxret.data.dataset import Box, Dataset, FileSplit, Split
from jaxret.errors import UserError

__all__ = ["LOADERS", "Box", "Dataset", "FileSplit", "Split", "load", "names"]


def _demo(name: str, data_dir: Path | None, **of_benchmarks: Any) -> Dataset:
    from jaxret.data.demo import build

    return build.load(data_dir)


def _benchmark(name: str, data_dir: Path | None, **options: Any) -> Dataset:
    from jaxret.data.benchmarks import loading

    return loading.load(name, data_dir, **options)


# Name -> how it is loaded: the name, where data lies, and the keyword options of `load`.
LOADERS: dict[str, Callable[..., Dataset]] = {
    "demo": _demo,
    **dict.fromkeys(registry.BENCHMARKS, _benchmark),
}


def names() -> tuple[str, ...]:
    """Datasets known by name."""
    return tuple(LOADERS)


def load(
    name_or_folder: str | Path,
    data_dir: str | Path | None = None,
    *,
    manual_dir: str | Path | None = None,
    allow_missing: bool = False,
    distractors: str | None = None,
    subset: str | None = None,
    labels: str | None = None,
    require_ground_truth: bool = True,
) -> Dataset:
    """A dataset by its name, or a folder of photographs.

    Args:
        name_or_folder: a known name goes before a folder of that name ("./demo" is the folder).
        data_dir: where datasets known by name lie or are made; None is the user's cache.
        manual_dir: where the official files of a benchmark lie; see `benchmarks.loading.load`.
        allow_missing: evaluate a benchmark on those of its photographs that are there.
        distractors: "revisitop1m", for roxford5k and rparis6k.
        subset: part of a benchmark whose database is published in many archives, such as "0-9" or
            "positives+50000" of gldv2; see `benchmarks.parts.Subset`.
        labels: "folders" takes the folders of a folder's photographs for instances, each of whose
            photographs asks for the others.
        require_ground_truth: refuse a folder without gnd.json and without `labels`.

    Raises:
        UserError: neither a name nor a folder; the sentence lists the names, nearest first.
    """
    wanted = os.fspath(name_or_folder)
    if distractors and wanted not in registry.BENCHMARKS:
        raise UserError(f"{distractors} goes with roxford5k and rparis6k, not with {wanted!r}.")
    place = None if data_dir is None else Path(data_dir).expanduser()
    if wanted in LOADERS:
        if labels is not None:
            raise UserError(
                f"--labels={labels} is for a folder of photographs; {wanted} has a ground truth of "
                f"its own. A folder of that name is ./{wanted}."
            )
        return LOADERS[wanted](
            wanted,
            place,
            manual_dir=manual_dir,
            allow_missing=allow_missing,
            distractors=distractors,
            subset=subset,
        )
    if subset is not None:
        raise UserError(f"--subset={subset} is for a benchmark by its name, not for {wanted!r}.")
    if wanted and Path(wanted).expanduser().is_dir():
        from jaxret.data.folder import load_folder

        return load_folder(Path(wanted), require_ground_truth, labels)
    raise _unknown(wanted)


def _unknown(wanted: str) -> UserError:
    near = difflib.get_close_matches(wanted, names(), n=len(names()), cutoff=0.0)
    return UserError(
        f"There is neither a dataset nor a folder {wanted!r}. Datasets, nearest first: "
        f"{', '.join(near)}. A folder of your own needs photographs and a gnd.json with imlist, "
        "qimlist and gnd, or one folder an instance and --labels=folders."
    )
