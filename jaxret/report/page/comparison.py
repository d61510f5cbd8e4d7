"""Two models on the same queries: is the difference of their mAP more than chance?"""

from dataclasses import dataclass
from typing import Any

from jaxret.evaluation import bootstrap
from jaxret.report.figures import plots
from jaxret.report.results import Results, number

_LEVEL = 0.005  # APs nearer than half a point count as equal
_SAME = ("dataset", "dim", "ranking", "protocol")


@dataclass(frozen=True)
class Comparison:
    """Two models query by query; `facts` is the dict of the results."""

    facts: dict[str, Any]
    plot: plots.Plot
    better_a: int
    better_b: int
    level: int


def compare_models(results: Results) -> list[dict[str, Any]]:
    """One comparison a dataset: of its two models, or of the two best where it has more.

    Global search under the main protocol; model_b is the second named, or the best. The interval
    is a paired bootstrap over the queries.
    """
    made = []
    for dataset in results.values("dataset"):
        pair = _pair(results, dataset)
        if pair is not None:
            made.append(compare(*pair))
    return made


def compare(a: dict[str, Any], b: dict[str, Any]) -> dict[str, Any]:
    """The difference of two figures' mAP, b less a, with its confidence interval."""
    interval = bootstrap.difference_interval(b["ap"], a["ap"])
    return {
        "model_a": a["model"],
        "model_b": b["model"],
        **{key: a[key] for key in _SAME},
        "difference": interval.value,
        "low": interval.low,
        "high": interval.high,
        "confidence": bootstrap.CONFIDENCE,
        "queries": interval.queries,
    }


def _pair(results: Results, dataset: str) -> tuple[dict[str, Any], dict[str, Any]] | None:
    """Figures of the two models to compare: same ranking, protocol and dimension, same queries."""
    protocol = results.main_protocol(dataset)
    rankings = [figure["ranking"] for figure in results.select(dataset=dataset)]
    same = {"protocol": protocol, "ranking": "G" if "G" in rankings else rankings[0]}
    figures = [f for f in results.select(dataset=dataset, **same) if f.get("ap")]
    figures = [f for f in figures if number(f["map"]) is not None and f["dim"] == figures[0]["dim"]]
    if len(figures) > 2:
        figures = sorted(figures, key=lambda figure: figure["map"])[-2:]
    if len(figures) < 2 or _judged(figures[0]) != _judged(figures[1]):
        return None
    return figures[0], figures[1]


def _judged(figure: dict[str, Any]) -> list[bool]:
    return [number(ap) is not None for ap in figure["ap"]]


def comparisons(results: Results) -> list[Comparison]:
    """The comparisons of the results whose figures are there, drawn query by query."""
    made = []
    for facts in results.comparisons:
        same = {key: facts[key] for key in _SAME}
        a = next(results.select(**same, model=facts["model_a"]), None)
        b = next(results.select(**same, model=facts["model_b"]), None)
        if a is not None and b is not None and _judged(a) == _judged(b):
            made.append(_drawn(facts, a["ap"], b["ap"]))
    return made


def _drawn(facts: dict[str, Any], a: list[float | None], b: list[float | None]) -> Comparison:
    values = [
        (one, other)
        for one, other in zip(a, b, strict=True)
        if one is not None and other is not None
    ]
    better_a = sum(one - other > _LEVEL for one, other in values)
    better_b = sum(other - one > _LEVEL for one, other in values)
    title = ", ".join(str(facts[key]) for key in ("dataset", "protocol", "ranking"))
    plot = plots.versus(title, (facts["model_a"], facts["model_b"]), values)
    return Comparison(facts, plot, better_a, better_b, len(values) - better_a - better_b)
