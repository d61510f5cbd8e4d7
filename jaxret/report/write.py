"""The files of a report, each written whole or not at all."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from jaxret.report import stores
from jaxret.report.figures.pictures import Sheet
from jaxret.report.page import html
from jaxret.report.page.comparison import compare_models
from jaxret.report.results import Results
from jaxret.report.tables import latex
from jaxret.report.tables.costs import cost_tables
from jaxret.report.tables.layouts import precisions, tables
from jaxret.report.tables.plain import costs_to_markdown, escape_markdown, to_csv, to_markdown
from jaxret.report.variants import told_apart
from jaxret.runtime.artifacts import write_text

SHOWN_FOUND = 100  # results of a search in report.md; results.csv has all


def write_report(
    results: Results, sheets: Sequence[Sheet] = (), workdir: str | Path = "."
) -> dict[str, Path]:
    """Writes results.json, results.csv, report.md, report.tex and report.html into the workdir.

    Everything is made before anything is written, and results.json, which the others can be made
    from again, comes first.

    Returns:
      The paths by file name.

    Raises:
      UserError: the workdir cannot be written or its disk is full.
    """
    named = told_apart(results)
    if not results.comparisons:
        found = compare_models(named)
        results, named = (replace(one, comparisons=found) for one in (results, named))
    texts = {
        "results.json": results.to_json(),
        "results.csv": to_csv(results),
        "report.md": markdown(named),
        "report.tex": latex.document(tables(named)),
        "report.html": html.page(named, sheets),
    }
    paths = {name: Path(workdir) / name for name in texts}
    for name, path in paths.items():
        write_text(path, texts[name])
    return paths


def markdown(results: Results) -> str:
    """All tables, notes, settings and origins for a README or a pull request."""
    parts = [f"# {escape_markdown(results.name())}\n"]
    if results.notes:
        parts.append("".join(f"- {escape_markdown(note)}\n" for note in results.notes))
    parts += [
        f"{one['rank']}. {escape_markdown(one['photograph'])} ({one['similarity']:.3f})\n"
        for one in results.found[:SHOWN_FOUND]
    ]
    parts += [to_markdown(table) for table in tables(results)]
    if not results.suite:
        parts += [to_markdown(table) for table in precisions(results)]
    parts += filter(None, [stores.markdown(results)])
    parts += [costs_to_markdown(table) for table in cost_tables(results)]
    for heading, entries in (
        *((f"Model {model.get('name', '')}", model) for model in results.models),
        *((f"Dataset {dataset.get('name', '')}", dataset) for dataset in results.datasets),
        ("Preset", results.preset),
        ("Settings", results.settings),
        ("Time in seconds", {k: f"{seconds:.1f}" for k, seconds in results.timings.items()}),
        ("Versions and devices", results.environment),
    ):
        lines = [
            f"- {escape_markdown(key)}: {escape_markdown(html.plain_value(value))}\n"
            for key, value in entries.items()
            if key != "query_names"
        ]
        if lines:
            parts.append(f"## {escape_markdown(heading)}\n\n" + "".join(lines))
    return "\n".join(parts)
