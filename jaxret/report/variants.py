"""Evaluations of one model that differ in more than its dimension, told apart by name.

Tables, plots and pages know a model by its name. Where a run has several poolings, layers or sizes
of one, each gets the name that says which.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from jaxret.report.results import Results

# What may differ, by its key in a figure, and how a name says it.
SAID: dict[str, Callable[[Any], str]] = {
    "pooling": str,
    "layer": lambda layer: layer or "last layer",
    "pixels": lambda pixels: f"{pixels} px",
    "scales": lambda scales: f"scales {scales_text(scales)}",
}


def scales_text(scales: Sequence[float]) -> str:
    """Such as "1/0.7/0.5"."""
    return "/".join(f"{scale:g}" for scale in scales)


def told_apart(results: Results) -> Results:
    """The results with names that tell every evaluation of a dataset from the others.

    A figure that got one keeps the model's own under "model_row".
    """
    differing = _differing(results.figures)
    figures = [_named(one, _name(one, differing)) for one in results.figures]
    return results if figures == results.figures else replace(results, figures=figures)


def model_row(figure: dict[str, Any]) -> str:
    """The model of a figure by its own name."""
    return str(figure.get("model_row", figure["model"]))


def _named(figure: dict[str, Any], name: str) -> dict[str, Any]:
    own = model_row(figure)
    return figure if name == own else {**figure, "model": name, "model_row": own}


def name_of(figures: Iterable[dict[str, Any]], figure: dict[str, Any]) -> str:
    """The model of a figure, and what its evaluations on the dataset do not share."""
    return _name(figure, _differing(figures))


def _name(figure: dict[str, Any], differing: Mapping[Any, list[str]]) -> str:
    parts = [SAID[key](figure.get(key)) for key in differing[figure["model"], figure["dataset"]]]
    return ", ".join([figure["model"], *parts])


def _differing(figures: Iterable[dict[str, Any]]) -> dict[Any, list[str]]:
    """The keys of SAID under which the figures of a model on a dataset have several values."""
    values: dict[Any, dict[str, set[str]]] = {}
    for figure in figures:
        place = figure["model"], figure["dataset"]
        found = values.setdefault(place, {key: set() for key in SAID})
        for key in SAID:
            found[key].add(str(figure.get(key)))
    return {
        place: [key for key, several in found.items() if len(several) > 1]
        for place, found in values.items()
    }
