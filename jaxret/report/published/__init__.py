"""Figures that others published, as data: value, model, dataset, protocol, metric, preset, source.

Percent as printed. A figure is here only if its source can be named, and compares with one of ours
only where the preset is the same (`jaxret.presets`); README.md beside the files says what is left
out. The study's own tables are `jaxret.report.paper`.
"""

import csv
import functools
from dataclasses import dataclass
from importlib import resources

FILES = ("cirtorch", "ap-gem", "dino", "dinov2", "dinov3", "ilias")
RANKING = "G"  # that of all of them: nearest neighbours by cosine


@dataclass(frozen=True)
class Figure:
    """One published figure; the names are those of jaxret.

    Attributes:
      value: percent.
    """

    model: str
    dataset: str
    protocol: str
    metric: str
    value: float
    preset: str
    source: str


@functools.cache
def figures() -> tuple[Figure, ...]:
    """All of them, file by file."""
    return tuple(one for name in FILES for one in _read(name))


def _read(name: str) -> list[Figure]:
    text = (resources.files(__name__) / f"{name}.csv").read_text(encoding="utf-8")
    return [
        Figure(value=float(row.pop("value")), **row) for row in csv.DictReader(text.splitlines())
    ]


def of(preset: str, dataset: str) -> list[Figure]:
    """Those of a preset on a dataset, in the order of their files."""
    return [one for one in figures() if (one.preset, one.dataset) == (preset, dataset)]


def find(preset: str, dataset: str, model: str, protocol: str, metric: str) -> Figure | None:
    """The one of an address; None where nobody published any that can be named."""
    for one in of(preset, dataset):
        if (one.model, one.protocol, one.metric) == (model, protocol, metric):
            return one
    return None
