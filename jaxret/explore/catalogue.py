"""What a workdir can show: its evaluations by short names, and what can be searched in with what.

An entry is an evaluation whatever its rankings; runs that differ in rankings alone are one entry.
"""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jaxret.errors import UserError
from jaxret.explore.settings import ExploreSettings
from jaxret.runs import records
from jaxret.runs.search import as_found
from jaxret.runtime.artifacts import digest
from jaxret.settings import TRUE_DIM, Settings
from jaxret.stages.context import unranked, workdir_of

_NAME_LENGTH = 10  # hexadecimal digits that tell entries apart in links
_SAID_ELSEWHERE = ("model", "weights", "dataset", "ranking")  # not in what tells labels apart


@dataclass(frozen=True)
class Entry:
    """One encoder on one dataset.

    Attributes:
      name: of the entry in links; the same for the same settings.
      settings: without rankings.
      rankings: those that were evaluated; none where it is for searches alone.
      label: what the page calls the encoder; no two on a dataset have the same.
      dataset: name of the dataset in links.
    """

    name: str
    settings: Settings
    rankings: tuple[str, ...]
    label: str = ""

    @property
    def dataset(self) -> str:
        return _name({"dataset": self.settings.dataset, **self.settings.data_options})

    @property
    def dataset_label(self) -> str:
        return Path(self.settings.dataset).name or self.settings.dataset


def read(settings: ExploreSettings) -> dict[str, Entry]:
    """The entries of a workdir and of the flags, by name, in a fixed order.

    Raises:
      UserError: there is nothing to show.
    """
    workdir = workdir_of(Settings(workdir=settings.workdir))
    places = {name: getattr(settings, name) for name in ("data_dir", "manual_dir", "weights_dir")}
    here = {name: place for name, place in places.items() if place is not None}
    evaluated = [dataclasses.replace(one, **here) for one in records.recorded(workdir)]
    more = [
        dataclasses.replace(one, workdir=str(workdir), **here)
        for one in _asked_for(settings, evaluated)
    ]
    if not evaluated and not more:
        raise UserError(
            f"{workdir} holds no evaluation to look into: run python -m jaxret.main "
            f"--workdir={workdir} first, or name a folder to search in by --dataset=FOLDER."
        )
    return _labelled(_entries(evaluated, more))


def _asked_for(settings: ExploreSettings, evaluated: Sequence[Settings]) -> list[Settings]:
    """Those of the flags: every encoder in every dataset, as a search has them."""
    if not (settings.dataset or settings.model):
        return []
    datasets: Iterable[Settings] = [Settings(dataset=name) for name in settings.dataset] or {
        one.dataset: one for one in evaluated
    }.values()
    return [
        dataclasses.replace(encoder, **_data_of(dataset))
        for dataset in datasets
        for encoder in _encoders(settings.model, evaluated)
    ]


def _encoders(models: Sequence[str], evaluated: Sequence[Settings]) -> list[Settings]:
    """The encoders of the evaluations, or of them and beyond them those that are named."""
    known: dict[str, Settings] = {}
    for one in evaluated:
        # a dimension that one database bears may be too many for another
        dim = TRUE_DIM if one.pca_dim == TRUE_DIM else None
        plain = unranked(dataclasses.replace(one, pca_dim=dim, **_data_of(Settings())))
        known.setdefault(_name(plain.key()), as_found(plain))
    if not models:
        return list(known.values()) or [as_found(Settings(ranking=()))]
    return [
        encoder
        for model in models
        for encoder in (
            [one for one in known.values() if one.model == model]
            or [as_found(Settings(model=model, ranking=()))]
        )
    ]


def _data_of(settings: Settings) -> dict[str, Any]:
    return {"dataset": settings.dataset, **settings.data_options}


def _entries(evaluated: Sequence[Settings], more: Sequence[Settings]) -> list[Entry]:
    found: dict[str, Entry] = {}
    for one in (*evaluated, *more):
        plain = unranked(one)
        name = _name(plain.key())
        before = found[name].rankings if name in found else ()
        found[name] = Entry(name, plain, tuple(dict.fromkeys((*before, *one.ranking))))
    return list(found.values())


def _name(key: Mapping[str, Any]) -> str:
    return digest(key)[:_NAME_LENGTH]


def _labelled(entries: Sequence[Entry]) -> dict[str, Entry]:
    """With the encoder's name, and behind it the options that tell it from others of that name."""
    made = {}
    for entry in entries:
        alike = [
            one.settings.key()
            for one in entries
            if one.dataset == entry.dataset and one.settings.label == entry.settings.label
        ]
        own = entry.settings.key()
        differ = [
            name
            for name, value in own.items()
            if name not in _SAID_ELSEWHERE and any(one[name] != value for one in alike)
        ]
        words = [entry.settings.label, *(_in_words(name, own[name]) for name in differ)]
        made[entry.name] = dataclasses.replace(entry, label=", ".join(words))
    return dict(sorted(made.items(), key=lambda item: item[1].label))


def _in_words(name: str, value: Any) -> str:
    if name == "pca_dim":
        return "no PCA" if value == TRUE_DIM else f"{value or 'default'} dimensions"
    return f"{name.replace('_', ' ')} {'default' if value is None else value}"
