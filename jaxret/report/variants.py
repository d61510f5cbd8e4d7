"""Evaluations of one model that differ in more than its dimension, told apart by name.

Tables, plots and pages know a model by its name. Where a run has several poolings, layers or sizes
of one, each gets the name that says which.
"""

from collections.abc import Callable, Sequence
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
    """The results with names that tell every evaluation of a dataset from the others."""
    figures = [{**one, "model": name_of(results, one)} for one in results.figures]
    return results if figures == results.figures else replace(results, figures=figures)


def name_of(results: Results, figure: dict[str, Any]) -> str:
    """The model of a figure, and what its evaluations on the dataset do not share."""
    parts = [say(figure.get(key)) for key, say in SAID.items() if _several(results, figure, key)]
    return ", ".join([figure["model"], *parts])


def _several(results: Results, figure: dict[str, Any], key: str) -> bool:
    same = results.select(model=figure["model"], dataset=figure["dataset"])
    first = figure.get(key)
    return any(one.get(key) != first for one in same)
