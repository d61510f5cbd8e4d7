"""Results as plain data."""

import json

import numpy as np
import pytest

from jaxret.report.notebook import NotebookResults
from jaxret.report.results import Results


def test_json_gives_the_same_results_back(results):
    assert Results.from_json(results.to_json()) == results


def test_json_is_strict_and_plain_whatever_is_put_in():
    figure = {"map": np.float32(0.5), "ap": np.array([0.25, np.nan]), "dim": np.int64(8)}
    results = Results(figures=[figure], settings={"ranking": ("G", "G+DFS")}, timings={"x": 1.0})
    content = json.loads(results.to_json(), parse_constant=pytest.fail)
    assert content["figures"][0] == {"map": 0.5, "ap": [0.25, None], "dim": 8}
    assert content["settings"]["ranking"] == ["G", "G+DFS"]


def test_ap_takes_one_line_a_figure(results):
    lines = results.to_json().splitlines()
    assert sum('"ap"' in line for line in lines) == len(results.figures)
    assert len(lines) < 20 * len(results.figures)


def test_another_format_is_refused(results):
    with pytest.raises(ValueError, match="format"):
        Results.from_json("[]")
    with pytest.raises(ValueError, match="format"):
        Results.from_json(results.to_json().replace('"format": 1', '"format": 99'))


def test_gap_covers_what_agrees_with_it():
    results = Results(
        gaps=[
            {"model": "simclr4x", "reason": "weights missing"},
            {"dataset": "demo", "dim": 2048, "reason": "too many dimensions"},
        ]
    )
    assert results.gap(model="simclr4x", dataset="demo", dim=32) == "weights missing"
    assert results.gap(model="simclr2x+simclr4x", dataset="demo", dim=32) == "weights missing"
    assert results.gap(model="amdim", dataset="demo", dim=2048) == "too many dimensions"
    assert results.gap(model="amdim", dataset="demo", dim=32) == ""


def test_name_says_what_was_run(make_results):
    assert make_results().name() == "efficientnet-lite0 on demo"
    assert make_results(models=tuple("abcd")).name() == "4 models on demo"
    assert Results().name() == "No figures"
    assert Results(title="Mine").name() == "Mine"


def test_main_protocol_is_medium_where_there_is_one(make_results):
    results = make_results(protocols=("hard", "medium", "easy"))
    assert results.protocols("demo") == ["easy", "medium", "hard"]
    assert results.main_protocol("demo") == "medium"
    assert make_results(protocols=("classic",)).main_protocol("demo") == "classic"


def test_notebook_shows_the_tables(results, hostile):
    results = NotebookResults(**vars(results))
    results.title = hostile
    shown = results._repr_html_()
    assert "97.00" in shown and "<table" in shown
    assert "<script" not in shown
