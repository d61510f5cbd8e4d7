"""From results to what the page shows beside its tables: key numbers, plots, best and worst."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from jaxret.report import paper, plots
from jaxret.report.layouts import PROTOCOLS
from jaxret.report.results import Results

_MANY_MODELS = 3  # more than these do not share one panel of bars


@dataclass(frozen=True)
class KeyNumber:
    value: str
    unit: str
    label: str


@dataclass(frozen=True)
class QueryLine:
    """One query by name, with its AP under each protocol."""

    name: str
    aps: tuple[float | None, ...]


@dataclass(frozen=True)
class QueryTable:
    """Best and worst queries of one model on one dataset under one ranking."""

    heading: str
    protocols: tuple[str, ...]
    best: tuple[QueryLine, ...]
    worst: tuple[QueryLine, ...]


@dataclass(frozen=True)
class Comparison:
    """Two models query by query; `facts` is the dict of the results."""

    facts: dict[str, Any]
    plot: plots.Plot
    better_a: int
    better_b: int
    level: int


def main_protocol(results: Results, dataset: str) -> str:
    """The protocol that one number is quoted for: medium, or the one there is."""
    found = [figure["protocol"] for figure in results.select(dataset=dataset)]
    return next((one for one in ("medium", paper.CLASSIC) if one in found), found[0])


def key_numbers(results: Results) -> list[KeyNumber]:
    """What the page opens with: plain search and the best of the first dataset, sizes, time."""
    numbers = []
    best = _best_figure(results)
    if best is not None:
        same = {key: best[key] for key in ("model", "dataset", "dim", "protocol")}
        plain = next(results.select(**same, ranking="G"), None)
        kind = "" if best["protocol"] == paper.CLASSIC else f", {best['protocol']}"
        if plain is not None and plain is not best:
            numbers.append(
                KeyNumber(f"{100 * plain['map']:.1f}", "%", f"mAP of plain search{kind}")
            )
        label = f"mAP with {best['ranking']}{kind}"
        numbers.append(KeyNumber(f"{100 * best['map']:.1f}", "%", label))
    for key, label in (("database", "photographs to search in"), ("queries", "queries")):
        counts = [entry[key] for entry in results.datasets if entry.get(key)]
        if len(counts) == 1:
            numbers.append(KeyNumber(f"{counts[0]:,}".replace(",", " "), "", label))
    if results.timings:
        value, unit = _duration(sum(results.timings.values()))
        numbers.append(KeyNumber(value, unit, "computing time"))
    return numbers


def _best_figure(results: Results) -> dict[str, Any] | None:
    """The best mAP under the main protocol of the first dataset."""
    if not results.figures:
        return None
    dataset = results.figures[0]["dataset"]
    figures = results.select(dataset=dataset, protocol=main_protocol(results, dataset))
    counted = [figure for figure in figures if _number(figure["map"]) is not None]
    return max(counted, key=lambda figure: figure["map"], default=None)


def ranking_bars(results: Results) -> list[plots.Plot]:
    """Bars of the rankings by dataset and protocol, and by model where these are many."""
    made = []
    for dataset, variants in _variants(results).items():
        many = len(variants) > _MANY_MODELS
        found = {figure["protocol"] for figure in results.select(dataset=dataset)}
        protocols = [main_protocol(results, dataset)] if many else _sorted(found)
        for protocol in protocols:
            for group in [[one] for one in variants] if many else [variants]:
                made.append(_bars(results, dataset, protocol, group))
    return [plot for plot in made if plot is not None]


def _bars(
    results: Results, dataset: str, protocol: str, variants: list[tuple[str, paper.Dim]]
) -> plots.Plot | None:
    figures = [
        figure
        for figure in results.select(dataset=dataset, protocol=protocol)
        if (figure["model"], figure["dim"]) in variants
    ]
    rankings = list(dict.fromkeys(figure["ranking"] for figure in figures))
    if len(rankings) < 2:
        return None
    series = []
    for model, dim in variants:
        maps = {f["ranking"]: f["map"] for f in figures if (f["model"], f["dim"]) == (model, dim)}
        theirs = [paper.paper_value(dataset, model, dim, r, protocol, "map") for r in rankings]
        ours = [_percent(maps.get(ranking)) for ranking in rankings]
        series.append(plots.Bars(_name(variants, model, dim), ours, theirs))
    parts = [dataset] if len(_variants(results)) > 1 else []
    parts += [protocol] if protocol != paper.CLASSIC else []
    parts += [variants[0][0]] if len(variants) == 1 and len(results.values("model")) > 1 else []
    return plots.bars(", ".join(parts) or dataset, rankings, series)


def dimension_curves(results: Results) -> list[plots.Plot]:
    """The mAP of global search over the dimension, one panel a model, one line a dataset."""
    made = []
    for model in results.values("model"):
        figures = [
            figure
            for figure in results.select(model=model, ranking="G")
            if figure["protocol"] == main_protocol(results, figure["dataset"])
        ]
        dims = sorted({figure["dim"] for figure in figures}, key=_dim_order)
        if len(dims) < 2:
            continue
        curves = []
        for dataset in dict.fromkeys(figure["dataset"] for figure in figures):
            maps = {f["dim"]: f["map"] for f in figures if f["dataset"] == dataset}
            theirs = [paper.paper_figure(3, dataset, model, dim=dim) for dim in dims]
            curves.append(plots.Curve(dataset, [_percent(maps.get(dim)) for dim in dims], theirs))
        made.append(plots.curves(model, [str(dim) for dim in dims], curves, "dimensions"))
    return made


def query_profiles(results: Results) -> list[plots.Plot]:
    """AP of every query under global search and the best ranking, for the run's best model."""
    made = []
    for dataset, variants in _variants(results).items():
        if len(variants) > _MANY_MODELS:
            continue
        for model, dim in variants:
            for protocol in _sorted({f["protocol"] for f in results.select(dataset=dataset)}):
                figures = list(
                    results.select(model=model, dim=dim, dataset=dataset, protocol=protocol)
                )
                figures = [figure for figure in figures if _aps(figure)]
                if figures:
                    made.append(_profile(results, figures))
    return made


def _profile(results: Results, figures: list[dict[str, Any]]) -> plots.Plot:
    best = max(figures, key=lambda figure: figure["map"])
    plain = next((figure for figure in figures if figure["ranking"] == "G"), best)
    shown = [plain] if plain is best else [plain, best]
    parts = [best[key] for key in ("model", "dataset") if len(results.values(key)) > 1]
    parts += [best["protocol"]] if best["protocol"] != paper.CLASSIC else []
    title = ", ".join(parts) or best["dataset"]
    return plots.query_profile(title, [(figure["ranking"], _aps(figure)) for figure in shown])


def query_table(results: Results, each: int = 5) -> list[QueryTable]:
    """The best and the worst queries by name, for every model and dataset that has names."""
    made = []
    for dataset, variants in _variants(results).items():
        names = _query_names(results, dataset)
        if not names or len(variants) > _MANY_MODELS:
            continue
        for model, dim in variants:
            figures = list(results.select(model=model, dim=dim, dataset=dataset, ranking="G"))
            if figures and len(figures[0].get("ap") or ()) == len(names):
                made.append(_best_and_worst(results, figures, names, each))
    return made


def _best_and_worst(
    results: Results, figures: list[dict[str, Any]], names: Sequence[str], each: int
) -> QueryTable:
    main = next(
        f for f in figures if f["protocol"] == main_protocol(results, figures[0]["dataset"])
    )
    judged = [q for q, ap in enumerate(main["ap"]) if _number(ap) is not None]
    order = sorted(judged, key=lambda query: (-main["ap"][query], query))
    each = min(each, len(order) // 2)
    figures = sorted(figures, key=lambda figure: _rank(PROTOCOLS, figure["protocol"]))

    def line(query: int) -> QueryLine:
        return QueryLine(names[query], tuple(_number(figure["ap"][query]) for figure in figures))

    heading = f"{main['model']} on {main['dataset']}, ranking {main['ranking']}"
    return QueryTable(
        heading,
        tuple("AP" if f["protocol"] == paper.CLASSIC else f["protocol"] for f in figures),
        tuple(line(query) for query in order[:each]),
        tuple(line(query) for query in order[::-1][:each]),
    )


def comparisons(results: Results) -> list[Comparison]:
    """The compared pairs of the results whose figures are there, query by query."""
    made = []
    for facts in results.comparisons:
        same = {k: facts[k] for k in ("dataset", "dim", "ranking", "protocol") if k in facts}
        pair = [next(results.select(**same, model=facts[k]), None) for k in ("model_a", "model_b")]
        if pair[0] is None or pair[1] is None:
            continue
        values = [
            (float(a), float(b))
            for a, b in zip(pair[0]["ap"], pair[1]["ap"], strict=True)
            if _number(a) is not None and _number(b) is not None
        ]
        title = ", ".join(str(same[key]) for key in ("dataset", "protocol", "ranking"))
        plot = plots.versus(title, (facts["model_a"], facts["model_b"]), values)
        better_a = sum(a - b > 0.005 for a, b in values)
        better_b = sum(b - a > 0.005 for a, b in values)
        level = len(values) - better_a - better_b
        made.append(Comparison(facts, plot, better_a, better_b, level))
    return made


def timings(results: Results) -> list[tuple[str, str, float]]:
    """Stage, time in words, share of the whole."""
    whole = sum(results.timings.values()) or 1.0
    return [
        (stage, " ".join(_duration(seconds)), seconds / whole)
        for stage, seconds in results.timings.items()
    ]


def _duration(seconds: float) -> tuple[str, str]:
    if seconds < 100:
        return (f"{seconds:.1f}" if seconds < 10 else f"{seconds:.0f}"), "s"
    if seconds < 6000:
        return f"{seconds / 60:.0f}", "min"
    return f"{seconds / 3600:.1f}", "h"


def _variants(results: Results) -> dict[str, list[tuple[str, paper.Dim]]]:
    """Models with their dimensions, by dataset, as they came."""
    found: dict[str, dict[tuple[str, paper.Dim], None]] = {}
    for figure in results.figures:
        found.setdefault(figure["dataset"], {})[figure["model"], figure["dim"]] = None
    return {dataset: list(variants) for dataset, variants in found.items()}


def _name(variants: list[tuple[str, paper.Dim]], model: str, dim: paper.Dim) -> str:
    dims = {other for name, other in variants if name == model}
    return model if len(dims) == 1 else f"{model}, {dim}"


def _query_names(results: Results, dataset: str) -> Sequence[str]:
    for entry in results.datasets:
        if entry.get("name") == dataset:
            return entry.get("query_names") or ()
    return ()


def _aps(figure: dict[str, Any]) -> list[float]:
    return [ap for ap in figure.get("ap") or () if _number(ap) is not None]


def _number(value: Any) -> float | None:
    return None if value is None or value != value else float(value)


def _percent(value: Any) -> float | None:
    return None if _number(value) is None else 100 * value


def _sorted(protocols: set[str]) -> list[str]:
    return sorted(protocols, key=lambda one: _rank(PROTOCOLS, one))


def _rank(order: Sequence[str], value: str) -> int:
    return order.index(value) if value in order else len(order)


def _dim_order(dim: paper.Dim) -> tuple[bool, int]:
    return (isinstance(dim, str), 0 if isinstance(dim, str) else dim)
