"""Tables as terminal text, Markdown and CSV; names from outside cannot break their form."""

import csv
import io
import re
import unicodedata
from typing import Any

from jaxret.report.paper import paper_value
from jaxret.report.results import METRICS, Results
from jaxret.report.tables.cells import DASH, UNREADABLE_NOTE, Cell, Row, Table, figure_text
from jaxret.report.tables.costs import COST_KEYS, CostTable
from jaxret.report.tables.layouts import tables
from jaxret.report.tables.published import published_figure
from jaxret.report.variants import scales_text, told_apart

FOUND_COLUMNS = ("rank", "photograph", "similarity")  # of a search
CSV_COLUMNS = (
    *("dataset", "model", "dim", "ranking", "protocol", "metric"),
    *("ours", "paper", "difference", "queries", "isolated_queries", "note"),
    *COST_KEYS,
)


def one_line(text: object) -> str:
    """A name in one line without control characters, whatever it was."""
    line = " ".join(str(text).split())
    return "".join(c if unicodedata.category(c)[0] != "C" else "�" for c in line)


def slug(text: str) -> str:
    """A name for anchors, labels and files: a-z, 0-9 and hyphens."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-") or "table"


def footnotes(table: Table) -> list[str]:
    """What the marks in a table mean, those that occur only."""
    notes = list(table.footnotes)
    notes += [f"[{place}] {one_line(reason)}" for place, reason in enumerate(table.gaps(), 1)]
    if any(cell.unreadable for cell in table.cells()):
        notes.append(f"? {UNREADABLE_NOTE}")
    if any(cell.isolated for cell in table.cells()):
        notes.append(f"° {isolated_note(table)}")
    return notes


def isolated_note(table: Table) -> str:
    """How many queries diffusion could not start from, by ranking, and what that means."""
    worst: dict[str, int] = {}
    for cell in table.cells():
        ranking = cell.address.ranking
        worst[ranking] = max(cell.isolated or 0, worst.get(ranking, 0))
    listed = ", ".join(f"{count} with {ranking}" for ranking, count in worst.items() if count)
    return (
        f"Isolated queries ({listed}): no photograph has them among its nearest neighbours, so "
        "diffusion reaches nothing from them."
    )


# Terminal


def terminal_report(results: Results) -> str:
    """Every table of the results for the terminal."""
    return "\n".join(to_text(table) for table in tables(told_apart(results)))


def to_text(table: Table) -> str:
    """Aligned columns; where the paper has figures, its line and the difference under ours."""
    pad = " " * (1 + any(cell.isolated for cell in table.cells()))  # room for ° and *
    body: list[list[str]] = []
    for section, rows in table.sections():
        if section:
            body.append([one_line(section)])
        for row in rows:
            body += _text_lines(table, row, pad)
    head = [[table.corner, *(one_line(column.name) + pad for column in table.columns)]]
    if any(group for group, _ in table.groups()):
        head.insert(0, ["", *(one_line(column.group) + pad for column in table.columns)])
    parts = [one_line(table.heading), table.caption + " * best of its column.", ""]
    parts += _align(head, body)
    notes = footnotes(table)
    return "\n".join([*parts, *([""] if notes else []), *notes]) + "\n"


def _text_lines(table: Table, row: Row, pad: str) -> list[list[str]]:
    label = one_line(row.label)
    lines = [[label, *(_text_cell(table, cell, pad) for cell in row.cells)]]
    if any(cell.has_paper for cell in row.cells):
        lines.append(
            [f"  {table.theirs}", *((cell.paper_text or DASH) + pad for cell in row.cells)]
        )
        lines.append(["  difference", *(cell.difference_text + pad for cell in row.cells)])
    return lines


def _text_cell(table: Table, cell: Cell, pad: str) -> str:
    if cell.ours is None:
        return table.mark(cell) + pad
    marks = ("°" if cell.isolated else "") + ("*" if cell.best else "")
    return cell.ours_text + marks.ljust(len(pad))


def _align(head: list[list[str]], body: list[list[str]]) -> list[str]:
    lines = head + [line for line in body if len(line) > 1]
    widths = [max(len(line[place]) for line in lines) for place in range(len(head[-1]))]

    def aligned(line: list[str]) -> str:
        cells = [line[0].ljust(widths[0])]
        cells += [cell.rjust(width) for cell, width in zip(line[1:], widths[1:], strict=False)]
        return "  ".join(cells).rstrip()

    rule = "-" * (sum(widths) + 2 * (len(widths) - 1))
    return [*map(aligned, head), rule, *map(aligned, body)]


# Markdown


def escape_markdown(text: object) -> str:
    """Characters that Markdown or HTML would act on, made plain."""
    escaped = re.sub(r"([\\`*_{}\[\]#|~$])", r"\\\1", one_line(text))
    return escaped.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def to_markdown(table: Table) -> str:
    """A pipe table; a cell with a figure of the paper reads ours / paper / difference."""
    head = [table.corner, *(_column_name(column.group, column.name) for column in table.columns)]
    lines = [f"| {' | '.join(head)} |", "|:---|" + "---:|" * len(table.columns)]
    for section, rows in table.sections():
        if section:
            lines.append(f"| **{escape_markdown(section)}** |" + " |" * len(table.columns))
        for row in rows:
            cells = (_markdown_cell(table, cell) for cell in row.cells)
            lines.append(f"| {escape_markdown(row.label)} | {' | '.join(cells)} |")
    reading = f" A cell reads: ours / {table.whose} / difference." if table.has_paper else ""
    intro = f"### {escape_markdown(table.heading)}\n\n{table.caption}{reading}"
    intro += " Bold: best of its column."
    notes = "".join(f"\n- {escape_markdown(note)}" for note in footnotes(table))
    return f"{intro}\n\n" + "\n".join(lines) + "\n" + (notes + "\n" if notes else "")


def costs_to_markdown(table: CostTable) -> str:
    """What each evaluation costs, as a pipe table."""
    lines = [f"| {' | '.join(table.columns)} |", "|:---|" + "---:|" * (len(table.columns) - 1)]
    lines += [f"| {' | '.join(map(escape_markdown, row))} |" for row in table.rows]
    return f"### {escape_markdown(table.dataset)}: what it costs\n\n" + "\n".join(lines) + "\n"


def _column_name(group: str, name: str) -> str:
    return escape_markdown(f"{group} {name}".strip())


def _markdown_cell(table: Table, cell: Cell) -> str:
    ours = table.mark(cell).replace("[", r"\[").replace("]", r"\]")
    if cell.ours is not None:
        ours = f"**{cell.ours_text}**" if cell.best else cell.ours_text
        ours += "°" if cell.isolated else ""
    if not cell.has_paper:
        return ours
    return f"{ours} / {cell.paper_text} / {cell.difference_text or DASH}"


# CSV


def to_csv(results: Results) -> str:
    """One line a figure and metric, in percent, then the cells of the tables that were not run.

    Of a search one line a result.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    if results.found:
        writer.writerow(FOUND_COLUMNS)
        writer.writerows(_csv_found(one) for one in results.found)
        return text.getvalue()
    writer.writerow(CSV_COLUMNS)
    for figure in results.figures:
        for metric in dict.fromkeys((*METRICS, *results.metrics(figure["dataset"]))):
            if figure.get(metric) is not None:
                writer.writerow(_csv_figure(results, figure, metric))
    for table in tables(told_apart(results)):
        writer.writerows(_csv_gap(cell) for cell in table.cells() if cell.ours is None)
    return text.getvalue()


def _csv_found(one: dict) -> list[object]:
    return [one["rank"], one_line(one["photograph"]), f"{one['similarity']:.6g}"]


def _csv_figure(results: Results, figure: dict, metric: str) -> list[object]:
    keys = ("dataset", "model", "dim", "ranking", "protocol")
    where = {key: figure[key] for key in keys}
    ours, published = figure_text(figure[metric], metric), published_figure(figure, metric)
    theirs = paper_value(**where, metric=metric) if results.compares_with_the_study else None
    note = "" if published is None else f"published: {published.source}"
    theirs = theirs if published is None else published.value
    difference = "" if theirs is None else f"{float(ours) - theirs:.2f}"
    shown = "" if theirs is None else f"{theirs:.2f}"
    counts = (figure.get("queries"), figure.get("isolated_queries"))
    whole = [*map(one_line, where.values()), metric, ours, shown, difference, *counts, note]
    return [*whole, *(_csv_cost(key, figure.get(key)) for key in COST_KEYS)]


def _csv_cost(key: str, value: Any) -> object:
    if value is None:
        return ""
    if key == "photographs_per_second":
        return f"{value:.2f}"
    return scales_text(value) if key == "scales" else one_line(value)


def _csv_gap(cell: Cell) -> list[object]:
    where = cell.address
    place = (where.dataset, where.model, where.dim, where.ranking, where.protocol, where.metric)
    whole = [*map(one_line, place), "", cell.paper_text, "", "", "", one_line(cell.gap)]
    return [*whole, *("" for _ in COST_KEYS)]
