"""The paper's numbers as data."""

from pathlib import Path

import pytest

from jaxret.report import paper

SHARED = Path(__file__).resolve().parents[3] / "shared" / "paper"


def test_every_number_is_there_once(paper_cells):
    assert [len(paper.rows(table)) for table in (1, 2, 3)] == [310, 234, 168]
    assert len(paper_cells) == 712


@pytest.mark.parametrize("table", [1, 2, 3])
def test_files_are_those_that_were_read_from_the_print(table):
    original = SHARED / f"table{table}.csv"
    if not original.is_file():
        pytest.skip(f"no {original}")
    ours = Path(paper.__file__).parent / original.name
    assert ours.read_text().splitlines() == original.read_text().splitlines()


def test_lookup_of_each_table():
    assert paper.paper_figure(1, "oxford5k", "resnet50", ranking="G+AQE") == 67.85
    figure = paper.paper_figure(2, "roxford5k", "resnet50", protocol="hard", metric="mp@10")
    assert figure == 19.43
    assert paper.paper_figure(3, "paris6k", "simclr1x", dim="true") == 66.60
    assert paper.paper_figure(3, "paris6k", "simclr1x", dim=1024) == 30.7
    assert paper.paper_figure(1, "oxford5k", "unknown", ranking="G") is None


def test_a_table_has_no_cell_for_what_it_does_not_vary():
    assert paper.paper_figure(1, "oxford5k", "resnet50", ranking="G", dim=64) is None
    assert paper.paper_figure(2, "roxford5k", "resnet50", ranking="G+DFS", protocol="hard") is None
    assert paper.paper_figure(3, "oxford5k", "resnet50", ranking="G+DFS", dim=64) is None
    assert paper.paper_value("demo", "resnet50", 512, "G", "medium", "map") is None


def test_unreadable_cells_are_known_and_hold_no_number():
    assert len(paper.UNREADABLE) == 2
    for dataset, model, ranking in paper.UNREADABLE:
        assert paper.paper_figure(1, dataset, model, ranking=ranking) is None
        assert paper.is_unreadable(dataset, model, 512, ranking, "classic", "map")
        assert not paper.is_unreadable(dataset, model, 64, ranking, "classic", "map")


def test_all_cells_but_the_unreadable_are_filled():
    for number, columns in ((1, ("ranking",)), (2, ("protocol", "metric")), (3, ("dim",))):
        full = len(paper.axis(number, "dataset")) * len(paper.axis(number, "model"))
        for column in columns:
            full *= len(paper.axis(number, column))
        missing = len(paper.UNREADABLE) if number == 1 else 0
        assert len(paper.rows(number)) == full - missing


def test_tables_1_and_3_agree_where_they_meet():
    for row in paper.rows(3):
        if row["dim"] == "512":
            assert paper.paper_figure(1, row["dataset"], row["model"]) == float(row["map"])
