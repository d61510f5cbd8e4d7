"""What each evaluation costs: tables, columns of the sheet, plots, and names that tell apart."""

import csv
import io

import pytest

from jaxret.report.figures.charts import trade_offs
from jaxret.report.tables.costs import COST_KEYS, cost_tables
from jaxret.report.tables.plain import costs_to_markdown, terminal_report, to_csv
from jaxret.report.variants import told_apart

SWEPT = [
    (pooling, pixels, rate, width)
    for pooling, width in (("rmac", 128), ("cls+gem", 4096))
    for pixels, rate in ((224, 40.0), (448, 9.5))
]


@pytest.fixture
def swept(make_results):
    """One model under two poolings at two sizes."""
    results = make_results(("m",))
    plain, results.figures = results.figures, []
    for place, (pooling, pixels, rate, width) in enumerate(SWEPT):
        costs = {"pooling": pooling, "layer": None, "pixels": pixels, "scales": [1.0, 0.5]}
        costs |= {"parameters": 23508032, "bytes": width, "device": "cpu, 2 cores"}
        costs |= {"photographs_per_second": rate}
        results.figures += [{**f, **costs, "map": f["map"] - 0.01 * place} for f in plain]
    return results


def test_every_evaluation_has_a_name_of_its_own(swept, make_results):
    names = list(dict.fromkeys(f["model"] for f in told_apart(swept).figures))
    assert names == [f"m, {pooling}, {pixels} px" for pooling, pixels, _, _ in SWEPT]
    assert "m, cls+gem, 448 px" in terminal_report(swept)
    plain = make_results(("one", "two"))
    assert told_apart(plain) is plain


def test_the_table_has_a_row_an_evaluation(swept):
    [table] = cost_tables(told_apart(swept))
    assert len(table.rows) == len(SWEPT) and len(table.rows[0]) == len(table.columns)
    first = dict(zip(table.columns, table.rows[0], strict=True))
    assert first["parameters"] == "23 508 032" and first["photographs/s"] == "40.0"
    assert (first["scales"], first["bytes"], first["device"]) == ("1/0.5", "128", "cpu, 2 cores")
    assert first["mAP, medium"] == "G 80.00"
    assert costs_to_markdown(table).count("\n|") == len(SWEPT) + 2


def test_the_sheet_states_them_beside_the_plain_name(swept):
    lines = list(csv.DictReader(io.StringIO(to_csv(swept))))
    assert set(COST_KEYS) <= set(lines[0]) and {line["model"] for line in lines} == {"m"}
    assert lines[-1]["pooling"] == "cls+gem" and lines[-1]["photographs_per_second"] == "9.50"


def test_map_over_photographs_a_second_and_over_bytes(swept, make_results):
    plots = trade_offs(told_apart(swept))
    assert ["a second" in one.svg for one in plots] == [True, False]
    assert "bytes a descriptor" in plots[1].svg and ">1000<" in plots[1].svg  # logarithmic, plain
    assert all("cls+gem" in one.svg and "mathdefault" not in one.svg for one in plots)
    assert trade_offs(make_results(("one", "two"))) == []  # made elsewhere: no cost is known


def test_unmeasured_speeds_leave_one_plot(swept):
    swept.figures = [{**f, "photographs_per_second": None} for f in swept.figures]
    assert len(trade_offs(swept)) == 1
    assert cost_tables(swept)[0].rows[0][-3] == "\N{EN DASH}"
