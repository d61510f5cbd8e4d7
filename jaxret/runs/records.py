"""What was evaluated in a workdir: one file an evaluation, from which it can be looked at again.

evaluations/DIGEST.json   all settings, folders and files by their absolute paths

The files add up over the runs of a workdir. One that was written before they were has results.json
of its last run, which says nearly the same (`of_results`).
"""

import dataclasses
import itertools
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from jaxret import checkpoint_flag, data
from jaxret.errors import UserError
from jaxret.report.results import Results
from jaxret.runtime.artifacts import write_json
from jaxret.settings import RANDOM, Settings

FOLDER = "evaluations"
_FOLDERS = ("data_dir", "manual_dir", "weights_dir", "workdir")


def record(settings: Settings, workdir: Path) -> None:
    """Keeps the settings of an evaluation or a search; equal ones are one file."""
    plain = {**dataclasses.asdict(settings), **_absolute(settings)}
    write_json(workdir / FOLDER / f"{settings.digest()[:20]}.json", {"settings": plain})


def recorded(workdir: Path) -> list[Settings]:
    """The settings of all evaluations of a workdir, those of another version of jaxret left out."""
    files = sorted((workdir / FOLDER).glob("*.json"))
    found = [of_plain(json.loads(file.read_text("utf-8"))["settings"]) for file in files]
    older = workdir / "results.json"
    if not files and older.exists():
        try:
            found = list(of_results(older.read_text("utf-8")))
        except ValueError as error:
            raise UserError(f"{older} cannot be read: {error}") from error
    return [dataclasses.replace(one, workdir=str(workdir)) for one in found if one is not None]


def of_plain(plain: Mapping[str, Any]) -> Settings | None:
    """Settings from what JSON made of them; None where this version has no such option or value."""
    if not set(plain) <= {one.name for one in dataclasses.fields(Settings)}:
        return None
    lists = {name: tuple(value) for name, value in plain.items() if isinstance(value, list)}
    try:
        return Settings(**{**plain, **lists})
    except UserError:  # a value that is no longer known
        return None


def of_results(text: str) -> Iterator[Settings]:
    """The evaluations of a results.json: model, dataset and dimension of those that have figures.

    It does not say where benchmarks and weights lie, and nothing of a run over descriptors made
    elsewhere can be looked at.
    """
    results = Results.from_json(text)
    common = {name: value for name, value in results.settings.items() if name != "digest"}
    swept = [_listed(common.get(name)) for name in ("model", "dataset", "pca_dim")]
    for model, dataset, dim in itertools.product(*swept):
        cells = [f for f in results.figures if _is_of(f, model, dataset, dim)]
        rankings = dict.fromkeys(figure["ranking"] for figure in cells)
        if not (cells or results.found):
            continue
        own = {"model": model, "dataset": dataset, "pca_dim": dim}
        if rankings:
            own["ranking"] = list(rankings)
        settings = of_plain({**common, **own})
        if settings is not None:
            yield settings


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _is_of(figure: Mapping[str, Any], model: str, dataset: str, dim: Any) -> bool:
    """Whether a cell can be of that evaluation: tables may call model and dataset otherwise."""
    name = str(figure["dataset"]).removesuffix(" (incomplete)").removeprefix("./")
    return (
        str(figure["model"]).removesuffix(RANDOM) == model
        and name in (dataset, Path(dataset).as_posix(), Path(dataset).expanduser().resolve().name)
        and dim in (None, figure["dim"])
    )


def _absolute(settings: Settings) -> dict[str, str]:
    """The fields that are places, so that they are found from elsewhere too."""
    places = {name: getattr(settings, name) for name in _FOLDERS}
    places |= {
        name: value
        for name in ("dataset", "whiten_on")
        if (value := getattr(settings, name)) not in data.names()
    }
    places |= {"whitening": settings.whitening_file}
    found = {name: _whole(place) for name, place in places.items() if place}
    if settings.checkpoint:
        named = checkpoint_flag.named(settings.checkpoint)
        found["checkpoint"] = (
            _whole(settings.checkpoint)
            if named is None
            else ",".join(f"{name}={_whole(place)}" for name, place in named.items())
        )
    return found


def _whole(place: str) -> str:
    return str(Path(place).expanduser().absolute())
