"""Plots as SVG that takes the page's fonts and colours, in light and dark.

Each plot is one small panel, as wide as a phone's screen, so that its labels stay readable
wherever it stands; the page sets panels side by side where there is room. Matplotlib is imported
when a plot is drawn.
"""

import contextlib
import io
import re
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

WIDTH = 4.0  # inches: 288 units of the SVG, shown at 330 CSS pixels on a small phone
INK, MUTED, LINE, PAGE = "#1b1f24", "#5d6671", "#d5d9de", "#fefefe"
# Okabe and Ito's colour-blind-safe palette without its yellow, strongest contrast first.
SERIES = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#7a7a7a")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
_THEME = {INK: "ink", MUTED: "muted", LINE: "line", PAGE: "page"} | {
    colour: f"series-{place}" for place, colour in enumerate(SERIES, 1)
}
_RC: dict[str, Any] = {
    "svg.fonttype": "none",  # text stays text: it takes the page's font and can be searched
    "text.parse_math": False,  # a name with dollar signs is a name
    "font.family": "DejaVu Sans",
    "font.size": 9.5,
    "axes.edgecolor": LINE,
    "axes.labelcolor": MUTED,
    "axes.titlesize": 10,
    "axes.titlecolor": INK,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "grid.color": LINE,
    "text.color": INK,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "legend.frameon": False,
    "legend.fontsize": 9,
}


@dataclass(frozen=True)
class Plot:
    """One panel: an <svg> element and the words for who cannot see it."""

    svg: str
    description: str
    png: bytes = b""


@dataclass(frozen=True)
class Bars:
    """A series of bars, one a label; `paper` marks the paper's figures, None where it has none."""

    name: str
    values: Sequence[float | None]  # percent
    paper: Sequence[float | None] = ()


@dataclass(frozen=True)
class Curve:
    """A line over the labels of the x axis; None leaves a gap; `intervals` are of its values."""

    name: str
    values: Sequence[float | None]  # percent
    paper: Sequence[float | None] = ()
    intervals: Sequence[tuple[float, float]] = ()


@dataclass(frozen=True)
class Trade:
    """Evaluations of one kind: what each costs, and what it finds."""

    name: str
    costs: Sequence[float]
    values: Sequence[float]  # percent


def bars(title: str, labels: Sequence[str], series: Sequence[Bars]) -> Plot:
    """Horizontal bars from 0 to 100 %, the value beside each, diamonds for the paper's."""
    thick = 0.8 / len(series)
    height = 0.9 + 0.26 * len(labels) * max(1, len(series) * 0.66) + 0.2 * (len(series) > 1)
    with _panel(title, height) as (axes, plot):
        offsets = [(place - (len(series) - 1) / 2) * thick for place in range(len(series))]
        rows = [[row + offset for row in range(len(labels))] for offset in offsets]
        for place, (one, where) in enumerate(zip(series, rows, strict=True)):
            name = _short(one.name) if len(series) > 1 else "ours"
            lengths = [value or 0.0 for value in one.values]
            axes.barh(where, lengths, 0.9 * thick, color=_colour(place), label=name)
            _write_values(axes, where, one, size=9 if len(series) == 1 else 7.5)
        marked = _mark_paper(axes, rows, series)
        axes.set_yticks(range(len(labels)), [_short(label) for label in labels])
        axes.tick_params(axis="y", length=0, labelcolor=INK)
        axes.invert_yaxis()
        axes.set_xlim(0, 100)
        axes.grid(axis="x", linewidth=0.6)
        axes.set_axisbelow(True)
        axes.set_xlabel("mAP, percent")
        if len(series) > 1 or marked:
            _legend(axes)
    return plot(f"Bars of mAP by ranking: {title}.")


def curves(title: str, labels: Sequence[str], series: Sequence[Curve], xlabel: str) -> Plot:
    """Lines over equally spaced labels; the paper's dashed with hollow marks, same colour."""
    with _panel(title, 3.1) as (axes, plot):
        places = range(len(labels))
        for place, one in enumerate(series):
            style: dict[str, Any] = {"color": _colour(place), "marker": MARKERS[place % 7]}
            style |= {"markersize": 4.5, "linewidth": 1.7}
            if any(value is not None for value in one.values):
                axes.plot(places, _gaps(one.values), label=_short(one.name), **style)
            if one.intervals:
                low, high = zip(*one.intervals, strict=True)
                axes.vlines(places, low, high, color=_colour(place), linewidth=1.1)
            if any(value is not None for value in one.paper):
                style |= {"linestyle": (0, (4, 2)), "markerfacecolor": PAGE, "linewidth": 1.1}
                axes.plot(places, _gaps(one.paper), label=f"{_short(one.name)}, paper", **style)
        axes.set_xticks(places, [str(label) for label in labels])
        axes.set_xlabel(xlabel)
        axes.set_ylabel("mAP, percent")
        axes.set_ylim(0, 100)
        axes.grid(axis="y", linewidth=0.6)
        _legend(axes)
    return plot(f"mAP over {xlabel}: {title}.")


def query_profile(title: str, profiles: Sequence[tuple[str, Sequence[float]]]) -> Plot:
    """AP of every query, worst to best: the first profile as an area, others as lines."""
    with _panel(title, 2.5) as (axes, plot):
        for place, (name, values) in enumerate(profiles):
            ordered = sorted(100 * value for value in values)
            edges = list(range(len(ordered) + 1))
            if place == 0:
                axes.stairs(
                    ordered, edges, fill=True, alpha=0.35, color=_colour(0), label=_short(name)
                )
            else:
                style: dict[str, Any] = {"linewidth": 1.8, "baseline": None, "clip_on": False}
                axes.stairs(ordered, edges, color=_colour(place), label=_short(name), **style)
            axes.set_xlim(0, max(1, len(ordered)))
        axes.set_ylim(0, 100)
        axes.locator_params(axis="x", integer=True)
        axes.set_xlabel("queries, worst to best")
        axes.set_ylabel("AP, percent")
        axes.grid(axis="y", linewidth=0.6)
        _legend(axes)
    return plot(f"Average precision of every query, from worst to best: {title}.")


def versus(title: str, names: tuple[str, str], values: Sequence[tuple[float, float]]) -> Plot:
    """One dot a query: AP with one model across, with the other up; level on the diagonal."""
    with _panel(title, 4.0) as (axes, plot):
        axes.plot([0, 100], [0, 100], color=MUTED, linewidth=0.9, linestyle=(0, (3, 3)))
        axes.scatter(
            [100 * a for a, _ in values],
            [100 * b for _, b in values],
            s=26 if len(values) < 300 else 9,
            color=_colour(0),
            alpha=0.55,
            linewidth=0,
            clip_on=False,
        )
        axes.set_xlim(0, 100)
        axes.set_ylim(0, 100)
        axes.set_aspect("equal")
        axes.set_xlabel(f"AP with {_short(names[0])}, percent")
        axes.set_ylabel(f"AP with {_short(names[1])}, percent")
        axes.grid(linewidth=0.6)
    return plot(f"Average precision of each query with {names[0]} and with {names[1]}.")


def trade_off(title: str, series: Sequence[Trade], xlabel: str) -> Plot:
    """Over a cost the mAP: one mark an evaluation, those of a kind joined.

    Costs that differ by more than a factor of ten have a logarithmic axis.
    """
    from matplotlib.ticker import LogLocator, NullFormatter

    costs = [cost for one in series for cost in one.costs]
    with _panel(title, 3.1 + 0.12 * len(series)) as (axes, plot):
        for place, one in enumerate(series):
            points = sorted(zip(one.costs, one.values, strict=True))
            style: dict[str, Any] = {"color": _colour(place), "marker": MARKERS[place % 7]}
            style |= {"markersize": 4.5, "linewidth": 1.0, "clip_on": False}
            axes.plot(*zip(*points, strict=True), label=_short(one.name), **style)
        if max(costs) > 10 * min(costs):
            axes.set_xscale("log")
            axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axes.xaxis.set_major_formatter(lambda x, _: f"{x:g}")  # powers are mathtext otherwise
            axes.xaxis.set_minor_formatter(NullFormatter())
        axes.set_xlabel(xlabel)
        axes.set_ylabel("mAP, percent")
        axes.grid(linewidth=0.6)
        _legend(axes)
    return plot(f"mAP over {xlabel}: {title}.")


def training_curve(
    title: str, steps: Sequence[float], series: Sequence[tuple[str, Sequence[float]]], ylabel: str
) -> Plot:
    """Lines over training steps, axes as the values ask for; as a picture file, too."""
    with _panel(title, 2.8, png=True) as (axes, plot):
        for place, (name, values) in enumerate(series):
            axes.plot(steps, values, color=_colour(place), linewidth=1.5, label=_short(name))
        axes.set_xlabel("step")
        axes.set_ylabel(ylabel)
        axes.grid(axis="y", linewidth=0.6)
        if len(series) > 1:
            _legend(axes)
    return plot(f"{ylabel} over training steps: {title}.")


def _write_values(axes: Any, where: list[float], bars: Bars, size: float) -> None:
    """The number at the foot of its bar, clear of the marks at its end; beside a short bar."""
    paper = bars.paper or [None] * len(where)
    for y, value, theirs in zip(where, bars.values, paper, strict=True):
        style = {"va": "center_baseline", "fontsize": size}
        if value is None:
            axes.text(1.5, y, "not run", color=MUTED, **style)
        elif value > 18:
            axes.text(1.5, y, f"{value:.1f}", color=PAGE, **style)
        else:
            beside = max(value, 0 if theirs is None else theirs + 2.5)
            axes.text(beside + 1.5, y, f"{value:.1f}", color=INK, **style)


def _mark_paper(axes: Any, rows: list[list[float]], series: Sequence[Bars]) -> bool:
    """A diamond at each figure of the paper; whether there was any."""
    marks = [
        (value, y)
        for one, where in zip(series, rows, strict=True)
        for value, y in zip(one.paper, where, strict=False)
        if value is not None
    ]
    if marks:
        style: dict[str, Any] = {"marker": "D", "s": 28, "linewidth": 1.2, "zorder": 3}
        style |= {"facecolor": PAGE, "edgecolor": INK, "clip_on": False}
        axes.scatter(*zip(*marks, strict=True), label="the paper's", **style)
    return bool(marks)


def _legend(axes: Any) -> None:
    """Below the axes, where it hides nothing."""
    lines = list(zip(*axes.get_legend_handles_labels(), strict=True))
    if lines:
        lines.sort(key=lambda line: line[1].endswith("paper"))  # ours left, the paper's right
        style: dict[str, Any] = {"ncols": 2, "handlelength": 1.8, "borderaxespad": 0.1}
        axes.figure.legend(*zip(*lines, strict=True), loc="outside lower left", **style)


def _gaps(values: Sequence[float | None]) -> list[float]:
    return [float("nan") if value is None else value for value in values]


def _colour(place: int) -> str:
    return SERIES[place % len(SERIES)]


def _short(name: str, longest: int = 30) -> str:
    """A label that leaves room for the plot, without control characters."""
    line = "".join(c if c.isprintable() else "�" for c in " ".join(str(name).split()))
    return line if len(line) <= longest else line[: longest - 1] + "…"


@contextlib.contextmanager
def _panel(title: str, height: float, png: bool = False) -> Iterator[tuple[Any, Any]]:
    """Axes to draw in, and a function that gives the finished Plot once they are drawn."""
    import matplotlib

    rc: Any = {**_RC, "svg.hashsalt": title}
    with matplotlib.rc_context(rc):
        from matplotlib.backends.backend_svg import FigureCanvasSVG
        from matplotlib.figure import Figure

        figure = Figure(figsize=(WIDTH, height), layout="constrained")
        FigureCanvasSVG(figure)
        axes = figure.add_subplot()
        axes.set_title(_short(title, 48), pad=9)
        written, picture = io.StringIO(), io.BytesIO()

        yield (
            axes,
            lambda words: Plot(_themed(written.getvalue(), words), words, picture.getvalue()),
        )
        metadata = {"Date": None, "Creator": None, "Format": None, "Type": None}
        with warnings.catch_warnings():  # the page's font may well have the glyph
            warnings.filterwarnings("ignore", r"Glyph .* missing from", UserWarning)
            figure.savefig(written, format="svg", transparent=True, metadata=metadata)
            if png:
                figure.savefig(picture, format="png", dpi=200, facecolor=PAGE)


def _themed(svg: str, description: str) -> str:
    """The <svg> element alone, in the page's colours and font, as wide as its place allows."""
    from markupsafe import escape

    opening, body = svg[svg.index("<svg") :].split(">", 1)
    view = opening.split('viewBox="', 1)[1].split('"', 1)[0]
    body = re.sub(r"<metadata>.*?</metadata>", "", body, flags=re.DOTALL)
    body = re.sub(r"<style.*?</style>", "", body, flags=re.DOTALL)  # it would style the whole page
    body = re.sub(r'<g id="[^"]*">', "<g>", body)  # ids that every plot of a page would share
    for colour, name in _THEME.items():
        body = re.sub(rf"(?<=: ){colour}", f"var(--{name}, {colour})", body)
    body = body.replace("'DejaVu Sans'", "var(--font, sans-serif)")
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
        f'role="img" aria-label="{escape(description)}" viewBox="{view}" '
        f'stroke-linejoin="round" stroke-linecap="butt">{body}'
    )
