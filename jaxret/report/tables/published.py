"""Ours beside what others published, where model, dataset, protocol and preset are the same."""

from typing import Any

from jaxret.evaluation.measures import measure
from jaxret.report import published
from jaxret.report.published import RANKING
from jaxret.report.results import Results, number
from jaxret.report.tables.cells import NOT_RUN, Address, Cell, Column, Row, Table
from jaxret.report.variants import model_row


def published_tables(results: Results) -> list[Table]:
    """One table a dataset that has published figures under the preset of the run.

    A run that is not wholly its preset's has none: `Results.preset` names the deviations.
    """
    name = results.preset.get("name", "")
    ours = [figure for figure in results.figures if figure.get("preset") == name]
    datasets = dict.fromkeys(figure["dataset"] for figure in ours)
    made = [_table(results, name, dataset) for dataset in datasets if name]
    return [table for table in made if table.rows]


def published_figure(figure: dict[str, Any], metric: str) -> published.Figure | None:
    """What was published for one figure of ours; None where the settings are not the same."""
    if not figure.get("preset") or figure["ranking"] != RANKING:
        return None
    place = {key: figure[key] for key in ("preset", "dataset", "protocol")}
    return published.find(**place, model=model_row(figure), metric=metric)


def _table(results: Results, preset: str, dataset: str) -> Table:
    known = published.of(preset, dataset)
    columns = list(dict.fromkeys((one.protocol, one.metric) for one in known))
    ours = list(results.select(dataset=dataset, preset=preset, ranking=RANKING))
    own = {f["model"]: model_row(f) for f in ours}
    rows = [
        Row(model, tuple(_cell([f for f in ours if f["model"] == model], *c) for c in columns))
        for model, row in own.items()
        if row in {one.model for one in known}
    ]
    return Table(
        name=f"published-{dataset}",
        title=f"{dataset}: published under the preset {preset}",
        caption=f"Global search ({RANKING}), in percent, higher is better.",
        corner="model",
        columns=tuple(Column(measure(metric).name, protocol) for protocol, metric in columns),
        rows=tuple(rows),
        footnotes=_footnotes(results, [one for one in known if one.model in own.values()]),
        theirs="published",
    )


def _cell(figures: list[dict[str, Any]], protocol: str, metric: str) -> Cell:
    """Of one model's figures the one of a column."""
    figure = next((one for one in figures if one["protocol"] == protocol), figures[0])
    theirs = published_figure({**figure, "protocol": protocol}, metric)
    ours = number(figure.get(metric)) if figure["protocol"] == protocol else None
    return Cell(
        Address(figure["model"], figure["dataset"], figure["dim"], RANKING, protocol, metric),
        ours=ours,
        paper=None if theirs is None else theirs.value,
        gap="" if ours is not None else NOT_RUN,
        dim=figure["dim"],
    )


def _footnotes(results: Results, known: list[published.Figure]) -> tuple[str, ...]:
    """Where the figures come from, and what nobody has stated of how they were made."""
    sources = "; ".join(dict.fromkeys(one.source for one in known))
    notes = [f"Published: {sources}."]
    if assumed := results.preset.get("assumed"):
        notes.append(f"Not stated by its source, and assumed: {', '.join(assumed)}.")
    notes += results.preset.get("not_covered", ())
    return tuple(notes)
