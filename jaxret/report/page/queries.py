"""Query by query: the AP of each, and the best and worst by name."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from jaxret.report.figures import plots
from jaxret.report.paper import CLASSIC
from jaxret.report.results import Results, Variant, number

MANY_MODELS = 3  # more than these are not shown query by query


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


def query_profiles(results: Results) -> list[plots.Plot]:
    """AP of every query under global search and the best ranking: a panel a model and protocol."""
    made = []
    for dataset, (model, dim) in _shown(results):
        for protocol in results.protocols(dataset):
            figures = [
                figure
                for figure in results.select(
                    model=model, dim=dim, dataset=dataset, protocol=protocol
                )
                if _counted(figure)
            ]
            if figures:
                made.append(_profile(results, figures))
    return made


def _profile(results: Results, figures: list[dict[str, Any]]) -> plots.Plot:
    best = max(figures, key=lambda figure: figure["map"])
    plain = next((figure for figure in figures if figure["ranking"] == "G"), best)
    shown = [plain] if plain is best else [plain, best]
    parts = [best[key] for key in ("model", "dataset") if len(results.values(key)) > 1]
    parts += [best["protocol"]] if best["protocol"] != CLASSIC else []
    title = ", ".join(parts) or best["dataset"]
    return plots.query_profile(title, [(figure["ranking"], _counted(figure)) for figure in shown])


def query_tables(results: Results, each: int = 5) -> list[QueryTable]:
    """The best and the worst queries by name under global search, where the names are known."""
    made = []
    for dataset, (model, dim) in _shown(results):
        names = _query_names(results, dataset)
        figures = [
            figure
            for figure in results.select(model=model, dim=dim, dataset=dataset, ranking="G")
            if len(figure.get("ap") or ()) == len(names)
        ]
        if names and figures:
            made.append(_best_and_worst(results, figures, names, each))
    return made


def _best_and_worst(
    results: Results, figures: list[dict[str, Any]], names: Sequence[str], each: int
) -> QueryTable:
    by_protocol = {figure["protocol"]: figure for figure in figures}
    dataset = figures[0]["dataset"]
    main = by_protocol[results.main_protocol(dataset)]
    judged = [query for query, ap in enumerate(main["ap"]) if number(ap) is not None]
    order = sorted(judged, key=lambda query: (-main["ap"][query], query))
    each = min(each, len(order) // 2)
    protocols = [one for one in results.protocols(dataset) if one in by_protocol]

    def line(query: int) -> QueryLine:
        aps = (number(by_protocol[protocol]["ap"][query]) for protocol in protocols)
        return QueryLine(names[query], tuple(aps))

    return QueryTable(
        heading=f"{main['model']} on {dataset}, ranking {main['ranking']}",
        protocols=tuple("AP" if protocol == CLASSIC else protocol for protocol in protocols),
        best=tuple(line(query) for query in order[:each]),
        worst=tuple(line(query) for query in order[::-1][:each]),
    )


def _shown(results: Results) -> list[tuple[str, Variant]]:
    """Datasets with their models, where these are few enough to be shown one by one."""
    found = {dataset: results.variants(dataset) for dataset in results.values("dataset")}
    return [
        (dataset, variant)
        for dataset, variants in found.items()
        if len(variants) <= MANY_MODELS
        for variant in variants
    ]


def _query_names(results: Results, dataset: str) -> Sequence[str]:
    for entry in results.datasets:
        if entry.get("name") == dataset:
            return entry.get("query_names") or ()
    return ()


def _counted(figure: dict[str, Any]) -> list[float]:
    return [ap for ap in figure.get("ap") or () if number(ap) is not None]
