"""The tables in every form: the right number in the right cell, best marked, names harmless."""

import csv
import io
import re

import pytest
from written_tables import read_csv, read_latex, read_markdown, read_page, read_text

from jaxret.report.page import html
from jaxret.report.paper import UNREADABLE
from jaxret.report.results import Results
from jaxret.report.tables import latex
from jaxret.report.tables.layouts import headlines, precisions, table1, tables
from jaxret.report.tables.plain import CSV_COLUMNS, terminal_report, to_csv, to_markdown, to_text

FORMS = {
    "text": (terminal_report, read_text),
    "markdown": (lambda r: "\n".join(map(to_markdown, tables(r))), read_markdown),
    "csv": (to_csv, read_csv),
    "latex": (lambda r: latex.document(tables(r)), read_latex),
    "html": (html.fragment, read_page),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("ran", [True, False], ids=["run", "not-run"])
def test_each_of_the_papers_712_numbers_is_in_its_cell(form, ran, paper_cells, paper_results):
    write, read = FORMS[form]
    results = paper_results if ran else Results(suite="paper")
    cells = read(write(results))
    wrong = {
        key: (value, cells.get(key))
        for key, value in paper_cells.items()
        if key not in cells or cells[key][1] != f"{float(value):.2f}"
    }
    assert not wrong
    for dataset, model, ranking in UNREADABLE:
        assert cells[1, dataset, model, ranking][1] == "?"


@pytest.mark.parametrize("form", ["text", "markdown", "csv", "html"])
def test_ours_and_the_difference_stand_beside_the_papers(form, paper_cells, paper_results):
    write, read = FORMS[form]
    cells = read(write(paper_results))
    for key, value in paper_cells.items():
        ours, _, difference = cells[key]
        assert ours.strip("* ") == f"{float(value) + 1:.2f}", key
        assert difference in ("+1.00", "1.00"), key


def test_a_gap_says_why_and_names_the_command(make_results):
    gaps = [{"model": "simclr4x", "reason": "weights missing: python tools/convert.py"}]
    results = make_results(("resnet50",), ("oxford5k",), ("classic",), suite="table1", gaps=gaps)
    for written in (terminal_report(results), to_markdown(table1(results)), html.page(results)):
        assert "weights missing: python tools/convert.py" in written.replace("\\", "")


def test_figures_at_another_dimension_stand_in_and_are_said_to(make_results):
    results = make_results(("resnet50",), ("oxford5k",), ("classic",), suite="table1")
    text = to_text(table1(results))
    assert "90.00" in text and "oxford5k at 32" in text


def test_best_of_each_column_is_marked(results):
    (table,) = headlines(results)
    assert [row.label for row in table.rows if row.cells[0].best] == ["G+DBA+AQE+DFS"]
    assert "97.00*" in to_text(table)
    assert "**97.00**" in to_markdown(table)
    assert r"\textbf{97.00}" in latex.to_latex(table)


def test_equal_figures_are_both_best(results):
    results.figures[0]["map"] = 0.97
    (table,) = headlines(results)
    assert sum(row.cells[0].best for row in table.rows) == 2


def test_best_is_sought_in_all_models_of_a_dataset(make_results):
    (table,) = headlines(make_results(("one", "two")))
    assert [row.section for row in table.rows if row.cells[0].best] == ["one"]


@pytest.mark.parametrize(
    ("counted", "expected"),
    [
        ({"easy": 12, "medium": 12, "hard": 12}, "(12 queries, 167 photographs)"),
        ({"easy": 11, "medium": 11, "hard": 11}, "(12 queries (11 with positives), 167"),
        (
            {"easy": 10, "medium": 12, "hard": 11},
            "(12 queries (with positives: easy 10, medium 12, hard 11), 167 photographs)",
        ),
    ],
)
def test_a_title_says_over_how_many_queries_the_mean_is(results, counted, expected):
    results.figures = [
        figure | {"queries": counted[figure["protocol"]]}
        for figure in results.figures
        if figure["protocol"] in counted
    ]
    assert expected in terminal_report(results)


def test_isolated_queries_are_counted_and_explained(results):
    text = terminal_report(results)
    assert "96.00°" in text
    assert "2 with G+DBA+DFS" in text and "G+AQE+DFS)" not in text
    results.figures = [f | {"isolated_queries": None} for f in results.figures]
    assert "°" not in terminal_report(results)


def test_a_protocol_without_positives_is_a_gap_and_no_number(results):
    for figure in results.select(protocol="hard"):
        figure.update({"map": float("nan"), "mp@1": None})
    text = terminal_report(results)
    assert "nan" not in text and "no query has anything to be found" in text


def test_precisions_are_grouped_by_protocol(results):
    (table,) = precisions(results)
    assert table.groups() == [("easy", 3), ("medium", 3), ("hard", 3)]
    assert table.rows[0].cells[2].ours_text == "81.00"


def test_text_columns_are_aligned(results):
    lines = to_text(headlines(results)[0]).splitlines()
    ends = {line.index(".") for line in lines if re.match(r"G.*\d\.\d", line)}
    assert len(ends) == 1


@pytest.mark.parametrize("where", ["model", "dataset", "ranking", "protocol"])
def test_hostile_names_break_no_form(where, make_results, hostile):
    results = make_results(("one", "two"))
    results.figures = [f | ({where: hostile} if f[where] else {}) for f in results.figures]
    results.figures = [f for f in results.figures if where != "model" or f["ranking"] == "G"]
    results.notes.append(hostile)
    (table,) = headlines(results)
    markdown = to_markdown(table)
    rows = [line for line in markdown.splitlines() if line.startswith("|")]
    assert {len(re.findall(r"(?<!\\)\|", row)) for row in rows} == {len(table.columns) + 2}
    assert "<script" not in markdown
    rows = list(csv.reader(io.StringIO(to_csv(results))))
    assert {len(row) for row in rows} == {len(CSV_COLUMNS)}
    assert "<script" not in html.page(results)
    lines = to_text(table).splitlines()
    assert all(line.isprintable() for line in lines)


def test_latex_specials_are_escaped(hostile):
    escaped = latex.escape_latex(hostile)
    assert "\n" not in escaped and "--" not in escaped
    bare = re.sub(r"\\text\w+\{\}|\\[{}$&#%_]|-\{\}-", "", escaped)
    assert not set(bare) & set('\\{}$&#%_~^<>|"')
