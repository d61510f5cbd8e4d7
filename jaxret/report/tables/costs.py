"""What each evaluation found beside what it costs: network, photographs a second, bytes."""

from dataclasses import dataclass
from typing import Any

from jaxret.report.paper import CLASSIC
from jaxret.report.results import Results, number
from jaxret.report.tables.cells import DASH, figure_text
from jaxret.report.variants import SAID, scales_text

# The keys of a figure that say what made it and what it costs, in the order of files.
COST_KEYS = (
    *("pooling", "layer", "pixels", "scales"),
    *("parameters", "bytes", "photographs_per_second", "device"),
)
_COLUMNS = (
    *("model", "pooling", "layer", "pixels a side", "scales", "parameters", "dimensions"),
    *("bytes", "photographs/s", "device"),
)


@dataclass(frozen=True)
class CostTable:
    """Plain text in rows and columns, one row an evaluation of a dataset."""

    dataset: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def cost_tables(results: Results) -> list[CostTable]:
    """One table a dataset; the figure is that of its main metric under the main protocol."""
    made = [_table(results, dataset) for dataset in results.values("dataset")]
    return [one for one in made if one.rows]


def evaluations(results: Results, dataset: str) -> list[dict[str, Any]]:
    """One figure an evaluation that states its cost: of global search, or of its first ranking."""
    figures = list(results.select(dataset=dataset, protocol=results.main_protocol(dataset)))
    found: dict[tuple[str, ...], dict[str, Any]] = {}
    for figure in figures:
        keys = ("model", "dim", *SAID)
        place = tuple(str(figure.get(key)) for key in keys)
        if "photographs_per_second" in figure and (place not in found or figure["ranking"] == "G"):
            found[place] = figure
    return list(found.values())


def _table(results: Results, dataset: str) -> CostTable:
    metric, protocol = results.main_metric(dataset), results.main_protocol(dataset)
    kind = "" if protocol == CLASSIC else f", {protocol}"
    name = "mAP" if metric == "map" else metric
    rows = tuple(_row(figure, metric) for figure in evaluations(results, dataset))
    return CostTable(dataset, (*_COLUMNS, f"{name}{kind}"), rows)


def _row(figure: dict[str, Any], metric: str) -> tuple[str, ...]:
    rate, found = number(figure["photographs_per_second"]), number(figure.get(metric))
    return (
        figure["model"],
        figure["pooling"],
        figure["layer"] or DASH,
        str(figure["pixels"]),
        scales_text(figure["scales"]),
        f"{figure['parameters']:,}".replace(",", " "),
        str(figure["dim"]),
        str(figure["bytes"]),
        DASH if rate is None else f"{rate:.1f}",
        figure["device"] or DASH,
        DASH if found is None else f"{figure['ranking']} {figure_text(found, metric)}",
    )
