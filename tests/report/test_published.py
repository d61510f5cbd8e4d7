"""Published figures: data with sources, and beside ours only where everything is the same."""

import csv
import io
from pathlib import Path

import pytest

import jaxret.report.published as published
from jaxret import models, presets
from jaxret.data.benchmarks.registry import BENCHMARKS
from jaxret.evaluation.measures import measure
from jaxret.report.page.html import page
from jaxret.report.tables.layouts import tables
from jaxret.report.tables.plain import terminal_report, to_csv
from jaxret.report.variants import told_apart
from jaxret.report.write import markdown

REVISITED = ("easy", "medium", "hard")


def test_every_figure_names_what_jaxret_knows_and_where_it_comes_from():
    found = published.figures()
    assert len(found) == 59
    for one in found:
        assert one.model in models.names() and one.dataset in BENCHMARKS
        assert one.preset in presets.names() and one.preset != presets.STUDY.name
        known = REVISITED if BENCHMARKS[one.dataset].kind == "revisited" else ("classic",)
        assert one.protocol in known
        assert one.metric == "map" or one.metric in BENCHMARKS[one.dataset].metrics
        assert measure(one.metric) and 0 < one.value < 100 and len(one.source) > 15
    addresses = [(f.model, f.dataset, f.protocol, f.metric, f.preset) for f in found]
    assert len(set(addresses)) == len(found)


def test_every_file_is_read():
    folder = Path(published.__file__).parent
    assert {path.stem for path in folder.glob("*.csv")} == set(published.FILES)
    lines = sum(len(path.read_text().splitlines()) - 1 for path in folder.glob("*.csv"))
    assert lines == len(published.figures())


@pytest.mark.parametrize(
    ("place", "value"),
    [  # read once more from the sources
        (("dinov2", "roxford5k", "dinov2-giant-reg", "hard", "map"), 58.2),
        (("dinov3", "roxford5k", "dinov3-large", "hard", "map"), 63.1),
        (("revisited", "rparis6k", "gem-gl18-101", "hard", "map"), 61.5),
        (("revisited", "roxford5k", "gem-sfm120k-50", "medium", "map"), 64.7),
        (("ap-gem", "rparis6k", "gem-ap-101", "medium", "map"), 80.3),
        (("ilias", "ilias-mini", "resnet50", "classic", "map@1000"), 2.5),
    ],
)
def test_some_of_them(place, value):
    assert published.find(*place).value == value


def test_what_nobody_published_is_none():
    assert published.find("dinov2", "roxford5k", "dinov2-large", "medium", "map") is None
    assert published.find("dinov3", "roxford5k", "dinov3-7b", "hard", "map") is None


@pytest.fixture
def of_dinov2(make_results):
    """Two models on rOxford under a preset; medium 0.8 and 0.77, hard 0.7 and 0.67 with G."""

    def make(preset="dinov2", **more):
        results = make_results(("dinov2-base", "mae-base"), ("roxford5k",), **more)
        row = presets.get("dinov2")
        results.preset = {"name": "dinov2", "assumed": list(row.assumed), "deviations": []}
        results.preset["not_covered"] = list(row.not_covered)
        results.figures = [one for one in results.figures if one["ranking"] in ("G", "G+AQE")]
        for figure in results.figures:
            figure["dim"] = "true"
            figure |= {"preset": preset} if preset else {}
        return results

    return make


def test_ours_theirs_and_the_difference(of_dinov2):
    table = tables(of_dinov2())[-1]
    assert table.name == "published-roxford5k"
    assert [row.label for row in table.rows] == ["dinov2-base"]  # nobody published MAE's
    assert [column.group for column in table.columns] == ["hard", "medium"]
    hard, medium = table.rows[0].cells
    assert (hard.ours_text, hard.paper_text, hard.difference_text) == ("70.00", "49.50", "+20.50")
    assert (medium.ours_text, medium.paper_text) == ("80.00", "72.90")
    text = terminal_report(of_dinov2())
    assert "  published" in text and "Not stated by its source" in text and "MODEL_CARD" in text
    assert "the published" in markdown(of_dinov2())


def test_a_deviation_leaves_ours_alone(of_dinov2):
    results = of_dinov2(preset=None)
    assert [table.name for table in tables(results)] == ["map-roxford5k"]
    assert "49.5" not in to_csv(results)


def test_only_global_search_is_compared(of_dinov2):
    lines = list(csv.DictReader(io.StringIO(to_csv(of_dinov2()))))
    beside = [line for line in lines if line["paper"]]
    assert {(line["ranking"], line["protocol"], line["metric"]) for line in beside} == {
        ("G", "hard", "map"),
        ("G", "medium", "map"),
    }
    assert all(line["note"].startswith("published: ") for line in beside)


def test_the_papers_figures_stand_beside_none_of_another_preset(make_results):
    """Whatever the settings say, resnet50 at 512 dimensions has a figure in Table 2."""
    results = make_results(("resnet50",), ("roxford5k",))
    for figure in results.figures:
        figure["dim"] = 512
    assert tables(results)[0].has_paper
    for name, beside in (("study", True), ("dino", False)):
        results.preset = {"name": name}
        assert tables(results)[0].has_paper == beside


@pytest.mark.slow
def test_the_page_states_the_preset(of_dinov2):
    results = of_dinov2()
    results.preset["deviations"] = ["query_crop=bbox (preset: none)"]
    shown = page(results)
    assert "the published figure" in shown
    for text in (shown, markdown(results)):
        assert "Preset" in text and "bbox (preset: none)" in text.replace("\\_", "_")


def test_a_sweep_compares_what_is_the_presets(of_dinov2):
    """Names that say the pooling hide no model: cls is DINOv2's preset, gem is a deviation."""
    results = of_dinov2()
    results.figures = [
        {**figure, "pooling": pooling} | ({} if pooling == "cls" else {"preset": None})
        for figure in results.figures
        for pooling in ("cls", "gem")
    ]
    table = tables(told_apart(results))[-1]
    assert [row.label for row in table.rows] == ["dinov2-base, cls"]
    assert [cell.difference_text for cell in table.rows[0].cells] == ["+20.50", "+7.10"]
