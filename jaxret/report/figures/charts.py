"""Which figures stand in which plot: bars of the rankings, curves over the dimension."""

from typing import Any

from jaxret.report import paper
from jaxret.report.figures import plots
from jaxret.report.results import Results, Variant, number
from jaxret.report.tables.costs import evaluations

_TOGETHER = 3  # models that share one panel of bars


def ranking_bars(results: Results) -> list[plots.Plot]:
    """Bars of the rankings by dataset and protocol, and by model where these are many."""
    made = []
    for dataset in results.values("dataset"):
        variants = results.variants(dataset)
        many = len(variants) > _TOGETHER
        protocols = [results.main_protocol(dataset)] if many else results.protocols(dataset)
        for protocol in protocols:
            for group in [[one] for one in variants] if many else [variants]:
                made.append(_bars(results, dataset, protocol, group))
    return [plot for plot in made if plot is not None]


def _bars(
    results: Results, dataset: str, protocol: str, variants: list[Variant]
) -> plots.Plot | None:
    """One panel; None where there is but one ranking, which a table shows better."""
    figures = [
        figure
        for figure in results.select(dataset=dataset, protocol=protocol)
        if (figure["model"], figure["dim"]) in variants
    ]
    rankings = list(dict.fromkeys(figure["ranking"] for figure in figures))
    if len(rankings) < 2:
        return None
    series = [_series(results, figures, rankings, variants, variant) for variant in variants]
    parts = [dataset] if len(results.values("dataset")) > 1 else []
    parts += [protocol] if protocol != paper.CLASSIC else []
    parts += [variants[0][0]] if len(variants) == 1 and len(results.values("model")) > 1 else []
    return plots.bars(", ".join(parts) or dataset, rankings, series)


def _series(
    results: Results,
    figures: list[dict[str, Any]],
    rankings: list[str],
    variants: list[Variant],
    variant: Variant,
) -> plots.Bars:
    own = {f["ranking"]: f for f in figures if (f["model"], f["dim"]) == variant}
    any_one = next(iter(own.values()))
    model, dim = variant
    place = (any_one["dataset"], model, dim)
    compares = results.compares_with_the_study
    theirs = [
        paper.paper_value(*place, one, any_one["protocol"], "map") if compares else None
        for one in rankings
    ]
    ours = [_percent(own.get(one, {}).get("map")) for one in rankings]
    alone = sum(name == model for name, _ in variants) == 1
    return plots.Bars(model if alone else f"{model}, {dim}", ours, theirs)


def dimension_curves(results: Results) -> list[plots.Plot]:
    """The mAP of global search over the dimension, one panel a model, one line a dataset."""
    made = [_curves(results, model) for model in results.values("model")]
    return [plot for plot in made if plot is not None]


def _curves(results: Results, model: str) -> plots.Plot | None:
    by_dataset: dict[str, dict[Any, float]] = {}
    for figure in results.select(model=model, ranking="G"):
        if figure["protocol"] == results.main_protocol(figure["dataset"]):
            by_dataset.setdefault(figure["dataset"], {})[figure["dim"]] = figure["map"]
    by_dataset = {dataset: maps for dataset, maps in by_dataset.items() if len(maps) > 1}
    if not by_dataset:
        return None
    dims = sorted({dim for maps in by_dataset.values() for dim in maps}, key=_dim_order)
    lines = [
        plots.Curve(
            dataset,
            [_percent(maps.get(dim)) for dim in dims],
            [paper.paper_figure(3, dataset, model, dim=dim) for dim in dims],
        )
        for dataset, maps in by_dataset.items()
    ]
    return plots.curves(model, [str(dim) for dim in dims], lines, "dimensions")


_COSTS = {"photographs_per_second": "photographs a second", "bytes": "bytes a descriptor"}


def trade_offs(results: Results) -> list[plots.Plot]:
    """The mAP over photographs a second and over bytes, where a dataset has several evaluations."""
    made = []
    for dataset in results.values("dataset"):
        figures = [f for f in evaluations(results, dataset) if number(f["map"]) is not None]
        for key, xlabel in _COSTS.items():
            known = [figure for figure in figures if number(figure[key]) is not None]
            if len({figure[key] for figure in known}) > 1:
                made.append(plots.trade_off(dataset, _kinds(known, key), xlabel))
    return made


def _kinds(figures: list[dict[str, Any]], key: str) -> list[plots.Trade]:
    """Evaluations by their network and pooling; sizes and dimensions are marks of one kind."""
    kinds: dict[str, list[dict[str, Any]]] = {}
    several = len({figure["parameters"] for figure in figures}) > 1
    for figure in figures:
        network = [figure["model"].split(",")[0]] if several else []
        layer = [figure["layer"]] if figure["layer"] else []
        kinds.setdefault(", ".join([*network, figure["pooling"], *layer]), []).append(figure)
    return [
        plots.Trade(name, [one[key] for one in of], [100 * one["map"] for one in of])
        for name, of in kinds.items()
    ]


def _percent(value: Any) -> float | None:
    return None if number(value) is None else 100 * value


def _dim_order(dim: paper.Dim) -> tuple[bool, int]:
    """Numbers first, "true" last."""
    return (isinstance(dim, str), 0 if isinstance(dim, str) else dim)
