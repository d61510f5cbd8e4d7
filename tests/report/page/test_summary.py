"""The numbers a page opens with, and the best and worst queries."""

import pytest

from jaxret.report.page.queries import query_profiles, query_tables
from jaxret.report.page.summary import duration, key_numbers, timings
from jaxret.report.results import Results
from jaxret.report.tables.layouts import tables


def test_a_run_opens_with_plain_search_and_the_best_ranking(results):
    numbers = key_numbers(results, tables(results))
    assert [n.value for n in numbers] == ["80.0", "87.0", "167", "12", "64"]
    assert numbers[0].label == "mAP of plain search, medium"


def test_a_suite_opens_with_its_distance_from_the_paper(paper_results):
    numbers = key_numbers(paper_results, tables(paper_results))
    assert [n.value for n in numbers] == ["712", "1.0", "1.0"]
    assert numbers[0].unit == "of 714"


def test_nothing_run_is_no_error():
    assert key_numbers(Results(), []) == []
    suite = Results(suite="table1")
    assert [n.value for n in key_numbers(suite, tables(suite))] == ["0"]


def test_the_whole_time_is_not_counted_twice(results):
    results.timings = {"features": 30.0, "ranking": 10.0, "all": 50.0}
    assert key_numbers(results, [])[-1].value == "50"
    assert [share for *_, share in timings(results)] == [0.6, 0.2, 1.0]


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0.04, "0.0 s"), (9.94, "9.9 s"), (61, "61 s"), (600, "10 min"), (9000, "2.5 h")],
)
def test_durations(seconds, shown):
    assert " ".join(duration(seconds)) == shown


def test_best_and_worst_queries_by_name(results):
    (table,) = query_tables(results, each=2)
    medium = next(results.select(protocol="medium", ranking="G"))["ap"]
    assert table.protocols == ("easy", "medium", "hard")
    best, worst = table.best[0], table.worst[0]
    assert best.aps[1] == max(medium) and worst.aps[1] == min(medium)
    assert best.name == f"demo/{medium.index(max(medium))}.jpg"
    assert len(table.best) == len(table.worst) == 2


def test_queries_without_positives_or_names_are_left_out(results):
    for figure in results.figures:
        figure["ap"][0] = None
    (table,) = query_tables(results, each=6)
    assert "demo/0.jpg" not in {line.name for line in (*table.best, *table.worst)}
    del results.datasets[0]["query_names"]
    assert query_tables(results) == []
    assert len(query_profiles(results)) == 3
