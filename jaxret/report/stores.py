"""What descriptors cost and bring: mAP over bytes a photograph, with intervals over the queries."""

from dataclasses import dataclass
from typing import Any

from jaxret.errors import UserError
from jaxret.evaluation.bootstrap import CONFIDENCE, Interval, difference_interval, map_interval
from jaxret.report.figures import plots
from jaxret.report.paper import CLASSIC
from jaxret.report.results import Results
from jaxret.report.tables.cells import signed
from jaxret.report.tables.plain import escape_markdown
from jaxret.store_flag import WHOLE, mark

RANKING = "G"  # what is searched in codes


@dataclass(frozen=True)
class Kept:
    """One way to keep a database.

    Attributes:
      name: as --store has it, with the dimension where the curve has several.
      size: bytes a photograph.
      loss: what the mAP is beside that of the same descriptors kept whole, query by query; None for
        themselves, and where they were not ranked.
    """

    name: str
    size: int
    map: Interval
    loss: Interval | None = None


@dataclass(frozen=True)
class StoreCurve:
    """All ways in which the descriptors of one encoder on one dataset were kept, smallest first."""

    encoder: str
    dataset: str
    protocol: str
    points: tuple[Kept, ...]

    @property
    def title(self) -> str:
        protocol = "" if self.protocol == CLASSIC else f", {self.protocol}"
        return f"{self.encoder} on {self.dataset}{protocol}"

    @property
    def plot(self) -> plots.Plot:
        values = [100 * one.map.value for one in self.points]
        intervals = [(100 * one.map.low, 100 * one.map.high) for one in self.points]
        curve = plots.Curve(RANKING, values, intervals=intervals)
        labels = [f"{one.size}\n{one.name}".replace(", ", "\n") for one in self.points]
        return plots.curves(self.title, labels, [curve], "bytes a photograph")


def store_curves(results: Results) -> list[StoreCurve]:
    """One for each encoder on each dataset whose database was kept in several ways."""
    groups: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for figure in results.select(ranking=RANKING):
        dataset = figure["dataset"]
        if "bytes" in figure and figure["protocol"] == results.main_protocol(dataset):
            groups.setdefault((_encoder(figure), dataset), []).append(figure)
    made = [
        StoreCurve(encoder, dataset, figures[0]["protocol"], _points(figures))
        for (encoder, dataset), figures in groups.items()
        if len({figure["store"] for figure in figures}) > 1
    ]
    return [curve for curve in made if len(curve.points) > 1]


def markdown(results: Results) -> str:
    """The same as tables; an empty text where nothing was compressed."""
    parts = []
    for curve in store_curves(results):
        percent = f"{100 * CONFIDENCE:.0f} %"
        lines = [
            f"### {escape_markdown(curve.title)}: bytes a photograph\n",
            f"| kept as | bytes | mAP of {RANKING} | {percent} interval | beside {WHOLE} |",
            "|:---|---:|---:|:---|:---|",
        ]
        lines += [
            f"| {one.name} | {one.size} | {100 * one.map.value:.2f} "
            f"| {100 * one.map.low:.2f} to {100 * one.map.high:.2f} | {_loss(one)} |"
            for one in curve.points
        ]
        parts.append("\n".join(lines) + "\n")
    return "\n".join(parts)


def _loss(one: Kept) -> str:
    if one.loss is None:
        return ""
    value, low, high = (signed(100 * x) for x in (one.loss.value, one.loss.low, one.loss.high))
    return f"{value} ({low} to {high})"


def _encoder(figure: dict[str, Any]) -> str:
    return str(figure["model"]).removesuffix(mark(figure["store"], figure["store_rescored"]))


def _points(figures: list[dict[str, Any]]) -> tuple[Kept, ...]:
    several = len({figure["dim"] for figure in figures}) > 1
    whole = {figure["dim"]: figure["ap"] for figure in figures if figure["store"] == WHOLE}
    points = []
    for figure in figures:
        try:
            interval = map_interval(figure["ap"])
        except UserError:  # no query has anything to be found
            continue
        loss = None
        if figure["store"] != WHOLE and figure["dim"] in whole:
            loss = difference_interval(figure["ap"], whole[figure["dim"]])
        name = figure["store"]
        if figure["store_rescored"] and name != WHOLE:
            name += f", first {figure['store_rescored']} exact"
        if several:
            name += f", {figure['dim']}"
        points.append(Kept(name, figure["bytes"], interval, loss))
    return tuple(sorted(points, key=lambda one: (one.size, one.name)))
