"""The few numbers that a page opens with, and where the time went."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from jaxret.evaluation.measures import measure
from jaxret.report.paper import CLASSIC
from jaxret.report.results import Results, number
from jaxret.report.tables.cells import Table
from jaxret.report.tables.layouts import with_positives


@dataclass(frozen=True)
class KeyNumber:
    value: str
    unit: str
    label: str


def key_numbers(results: Results, tables: Sequence[Table]) -> list[KeyNumber]:
    """Agreement with the paper for a suite, else plain search and the best ranking; sizes, time."""
    numbers = _agreement(tables) if results.suite else _best_map(results)
    for key, label in (("database", "photographs to search in"), ("queries", "queries")):
        entries = [entry for entry in results.datasets if entry.get(key)]
        if len(entries) == 1:
            if key == "queries":
                label += with_positives(results, entries[0]["name"])
            numbers.append(KeyNumber(f"{entries[0][key]:,}".replace(",", " "), "", label))
    if results.timings:
        numbers.append(KeyNumber(*duration(results.seconds()), "computing time"))
    return numbers


def _agreement(tables: Sequence[Table]) -> list[KeyNumber]:
    cells = [cell for table in tables for cell in table.cells() if cell.has_paper]
    gaps = [abs(cell.difference) for cell in cells if cell.difference is not None]
    ran = KeyNumber(str(len(gaps)), f"of {len(cells)}", "of the paper's figures run again")
    if not gaps:
        return [ran]
    return [
        ran,
        KeyNumber(f"{statistics.median(gaps):.1f}", "points", "median distance from the paper's"),
        KeyNumber(f"{max(gaps):.1f}", "points", "largest distance from the paper's"),
    ]


def _best_map(results: Results) -> list[KeyNumber]:
    best = _best_figure(results)
    if best is None:
        return []
    same = {key: best[key] for key in ("model", "dataset", "dim", "protocol")}
    plain = next(results.select(**same, ranking="G"), None)
    shown = [best] if plain is None or plain is best else [plain, best]
    kind = "" if best["protocol"] == CLASSIC else f", {best['protocol']}"
    metric = measure(results.main_metric(best["dataset"]))
    return [
        KeyNumber(
            f"{metric.unit * figure[metric.key]:.1f}",
            "%" if metric.unit == 100 else "",
            f"{metric.name} of plain search{kind}"
            if figure["ranking"] == "G"
            else f"{metric.name} with {figure['ranking']}{kind}",
        )
        for figure in shown
    ]


def _best_figure(results: Results) -> dict[str, Any] | None:
    """The best by the main metric under the main protocol of the first dataset."""
    if not results.figures:
        return None
    dataset = results.figures[0]["dataset"]
    figures = results.select(dataset=dataset, protocol=results.main_protocol(dataset))
    metric = results.main_metric(dataset)
    counted = [figure for figure in figures if number(figure.get(metric)) is not None]
    return max(counted, key=lambda figure: figure[metric], default=None)


def timings(results: Results) -> list[tuple[str, str, float]]:
    """Stage, time in words, share of the whole."""
    whole = results.seconds() or 1.0
    return [
        (stage, " ".join(duration(seconds)), seconds / whole)
        for stage, seconds in results.timings.items()
    ]


def duration(seconds: float) -> tuple[str, str]:
    """A number and a unit that one can take in at a glance."""
    if seconds < 100:
        return (f"{seconds:.1f}" if seconds < 10 else f"{seconds:.0f}"), "s"
    if seconds < 6000:
        return f"{seconds / 60:.0f}", "min"
    return f"{seconds / 3600:.1f}", "h"
