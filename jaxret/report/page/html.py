"""One self-contained page: no script, no outside resource, everything escaped by the template."""

from collections.abc import Sequence
from typing import Any

import jinja2
from markupsafe import Markup

from jaxret.ranking_names import step_names
from jaxret.report.figures.charts import dimension_curves, ranking_bars, trade_offs
from jaxret.report.figures.pictures import Sheet
from jaxret.report.page.comparison import comparisons
from jaxret.report.page.glossary import GLOSSARY, METRIC_WORDS, PROTOCOL_WORDS, RANKING_WORDS
from jaxret.report.page.queries import query_profiles, query_tables
from jaxret.report.page.summary import key_numbers, timings
from jaxret.report.results import Results
from jaxret.report.stores import store_curves
from jaxret.report.tables.cells import DASH, Cell, signed
from jaxret.report.tables.costs import cost_tables
from jaxret.report.tables.layouts import headlines, precisions, tables
from jaxret.report.tables.plain import footnotes, one_line, slug
from jaxret.report.variants import told_apart

PAGE_LIMIT = 5_000_000  # bytes: what mail and chat still carry
_PICTURES_LIMIT = 3_800_000  # the rest is tables and plots


def page(results: Results, sheets: Sequence[Sheet] = ()) -> str:
    """The whole report.html."""
    shown, made = _within_limit(sheets), tables(results)
    return (
        environment()
        .get_template("report.html.j2")
        .render(
            results=results,
            title=one_line(results.name()),
            key=key_numbers(results, made),
            tables=made,
            precisions=[] if results.suite else precisions(results),
            bars=ranking_bars(results),
            curves=dimension_curves(results),
            stores=[curve.plot for curve in store_curves(results)],
            costs=cost_tables(results),
            trades=trade_offs(results),
            profiles=query_profiles(results),
            queries=query_tables(results),
            comparisons=comparisons(results),
            timings=timings(results),
            sheets=shown,
            sheets_left_out=len(sheets) - len(shown),
            used=_used_words(results),
        )
    )


def fragment(results: Results) -> str:
    """The tables with their own style, for a notebook's cell."""
    template, named = environment().get_template("fragment.html.j2"), told_apart(results)
    return template.render(title=one_line(results.name()), tables=tables(named) or headlines(named))


def _metric_words(results: Results) -> list[tuple[str, str]]:
    """What the metrics of the datasets' own mean."""
    keys = [key for name in results.values("dataset") for key in results.metrics(name)]
    stems = [key.split("@")[0] + ("@" if key.startswith("map@") else "") for key in keys]
    words = (
        METRIC_WORDS[stem].split(": ", 1) for stem in dict.fromkeys(stems) if stem in METRIC_WORDS
    )
    return [(word, text[:1].upper() + text[1:]) for word, text in words]


def difference_class(cell: Cell) -> str:
    """How far from the paper, in steps of points: within 0.5, 2, 5, and beyond."""
    if cell.difference is None:
        return ""
    step = sum(abs(cell.difference) > bound for bound in (0.5, 2, 5))
    return f"{'above' if cell.difference > 0 else 'below'}-{step}" if step else "level"


def environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("jaxret.report"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters |= {
        "difference_class": difference_class,
        "footnotes": footnotes,
        "one_line": one_line,
        "percent": lambda fraction: f"{100 * fraction:.1f}",
        "points": lambda fraction: signed(100 * fraction),
        "plain": plain_value,
        "slug": slug,
        "svg": lambda plot: Markup(plot.svg),  # matplotlib escapes text
    }
    return environment


def plain_value(value: Any) -> str:
    """A setting or a fact as one would write it."""
    if value is None or value == "":
        return DASH
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}".replace(",", " ") if abs(value) >= 10_000 else str(value)
    if isinstance(value, list | tuple):
        return ", ".join(plain_value(one) for one in value) or "none"
    if isinstance(value, dict):
        return ", ".join(f"{key}: {plain_value(one)}" for key, one in value.items()) or "none"
    return one_line(value)


def _within_limit(sheets: Sequence[Sheet]) -> list[Sheet]:
    """The sheets whose pictures fit the page, in order."""
    shown: list[Sheet] = []
    for sheet in sheets:
        if sum(one.size() for one in shown) + sheet.size() <= _PICTURES_LIMIT:
            shown.append(sheet)
    return shown


def _used_words(results: Results) -> dict[str, list[tuple[str, str]]]:
    """The explanations that this page needs."""
    rankings = {step for one in results.values("ranking") for step in step_names(one)}
    protocols = results.values("protocol")
    return {
        "rankings": [(word, text) for word, text in RANKING_WORDS.items() if word in rankings],
        "protocols": [(word, text) for word, text in PROTOCOL_WORDS.items() if word in protocols],
        "metrics": _metric_words(results),
        "glossary": list(GLOSSARY.items()),
    }
