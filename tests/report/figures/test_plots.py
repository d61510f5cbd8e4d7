"""Plots are well-formed SVG elements that take the page's colours and show what they are given."""

import functools
import re
from xml.etree import ElementTree

import pytest

from jaxret.report.figures import plots
from jaxret.report.figures.charts import dimension_curves, ranking_bars
from jaxret.report.figures.plots import Bars, Curve


@functools.cache
def drawn():
    labels = ["G", "G+AQE", "G+DFS"]
    return {
        "bars": plots.bars("demo", labels, [Bars("one", [90.0, 5.0, None], [88.0, None, 70.0])]),
        "grouped": plots.bars("demo", labels, [Bars("one", [1, 2, 3]), Bars("two", [4, 5, 6])]),
        "curves": plots.curves("m", labels, [Curve("d", [1, None, 3], [2, 2, None])], "dimensions"),
        "profile": plots.query_profile("demo", [("G", [0.1, 1.0]), ("G+DFS", [0.5, 1.0])]),
        "versus": plots.versus("demo", ("a", "b"), [(0.1, 0.2), (1.0, 0.9)]),
        "training": plots.training_curve("loss", [0, 1, 2], [("train", [3.0, 2.0, 1.0])], "loss"),
    }


def texts(plot):
    return [one.text for one in ElementTree.fromstring(plot.svg).iter() if one.tag.endswith("text")]


@pytest.mark.parametrize("name", drawn())
def test_plot_is_one_well_formed_svg_without_foreign_colours_or_styles(name):
    plot = drawn()[name]
    root = ElementTree.fromstring(plot.svg)
    assert root.tag.endswith("svg") and root.get("role") == "img"
    assert root.get("aria-label") == plot.description
    used = re.findall(r"(?:fill|stroke): ([^;\"]+)", plot.svg)
    assert {colour for colour in used if not colour.startswith("var(--")} <= {"none"}
    assert "<style" not in plot.svg and "<metadata" not in plot.svg


def test_bars_write_their_values_and_what_was_not_run():
    assert {"90.0", "5.0", "not run", "the paper's"} <= set(texts(drawn()["bars"]))


def test_same_input_same_bytes():
    assert drawn()["versus"] == drawn.__wrapped__()["versus"]


def test_clip_paths_of_two_plots_of_a_page_have_names_of_their_own():
    one, other = (plots.versus(title, ("a", "b"), [(0.1, 0.2)]) for title in ("one", "other"))
    names = [set(re.findall(r'<clipPath id="(\w+)"', plot.svg)) for plot in (one, other)]
    assert names[0] and not names[0] & names[1]


def test_hostile_names_stay_text(hostile):
    plot = plots.bars(hostile, [hostile, "$x^{$"], [Bars(hostile, [50, 60]), Bars("b", [1, 2])])
    ElementTree.fromstring(plot.svg)
    assert "<script" not in plot.svg
    assert "$x^{$" in texts(plot)


def test_bars_of_a_run_are_a_panel_a_protocol_with_the_rankings(results):
    panels = ranking_bars(results)
    for panel, protocol in zip(panels, ("easy", "medium", "hard"), strict=True):
        assert {protocol, "G", "G+DBA+AQE+DFS"} <= set(texts(panel))


def test_many_models_get_a_panel_each(make_results):
    results = make_results(("a", "b", "c", "d"))
    assert len(ranking_bars(results)) == 4


def test_curves_are_drawn_for_models_with_several_dimensions(make_figure, results):
    assert dimension_curves(results) == []
    results.figures = [
        make_figure("resnet50", "oxford5k", "G", "classic", 0.5, dim) for dim in ("true", 64, 128)
    ]
    (panel,) = dimension_curves(results)
    shown = texts(panel)
    assert shown.index("64") < shown.index("128") < shown.index("true")
    assert {"oxford5k", "oxford5k, paper"} <= set(shown)
