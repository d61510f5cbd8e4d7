"""Suites beyond the paper's, presets over several models, and one setting varied at a time."""

import dataclasses

import numpy as np
import pytest

import jaxret
from jaxret import models, presets
from jaxret.defaults import OTHER_SUITES, POOLINGS
from jaxret.errors import UserError
from jaxret.evaluation.bootstrap import difference_interval
from jaxret.runs import own_suites, variations
from jaxret.runs import run as runs


def test_models_are_of_the_registry_each_once():
    names = (*own_suites.STUDY_MODELS, *own_suites.BASE_MODELS)
    assert set(names) <= set(models.names()) and len(set(names)) == len(names)
    families = {models.get(name).layout for name in models.names()} - {"dinov3-gated"}  # a size
    assert {models.get(name).layout for name in names} == families
    assert set(own_suites.TITLES) == set(OTHER_SUITES)


def test_encoders_on_all_datasets_that_are_there(base, monkeypatch):
    def load(name, **options):
        if name not in ("roxford5k", "demo"):
            raise UserError("not there")

    monkeypatch.setattr(own_suites.data, "load", load)
    expanded = own_suites.expand("encoders", base)
    models_ = (*own_suites.STUDY_MODELS, *own_suites.BASE_MODELS)
    assert [(one.model, one.dataset) for one in expanded.evaluations] == [
        (model, dataset) for model in models_ for dataset in ("demo", "roxford5k")
    ]
    [gap] = expanded.gaps
    assert "instre" in gap["dataset"] and "demo" not in gap["dataset"]
    chosen = {"model": ["dino-vitb16"], "dataset": ["rparis6k"], "ranking": ["G"]}
    [one] = own_suites.expand("encoders", base, chosen).evaluations
    assert (one.model, one.dataset, one.ranking) == ("dino-vitb16", "rparis6k", ("G",))


def test_a_preset_of_a_suite_is_that_of_each_model_and_dataset(base):
    start = dataclasses.replace(base, preset="dino", image_size=None)
    chosen = {"model": ["dino", "dino-vitb16"], "dataset": ["roxford5k", "rparis6k"]}
    every = own_suites.expand("encoders", start, chosen, said=["workdir"]).evaluations
    found = {(s.model, s.dataset): (s.image_size, s.pooling) for s in every}
    assert found == {
        ("dino", "roxford5k"): (224, "spoc"),
        ("dino", "rparis6k"): (512, "spoc"),
        ("dino-vitb16", "roxford5k"): (224, "cls"),
        ("dino-vitb16", "rparis6k"): (512, "cls"),
    }
    said = dataclasses.replace(start, image_size=96)
    every = own_suites.expand("encoders", said, chosen, said=["image_size"]).evaluations
    assert {s.image_size for s in every} == {96}


def test_poolings_are_all_or_those_that_are_said(base):
    every = own_suites.expand("poolings", base).evaluations
    assert tuple(one.pooling for one in every) == POOLINGS
    said = dataclasses.replace(base, pooling="mac")
    [one] = own_suites.expand("poolings", said, said=["pooling"]).evaluations
    assert one.pooling == "mac"


def test_the_paper_s_suites_are_as_they_were(base):
    with pytest.raises(UserError, match="table1, table2, table3, paper, encoders, poolings"):
        runs.evaluations(base, "tables")


def test_encoders_run_under_a_preset(base, passes):
    """Two models: which figures are the preset's, and what is said of it."""
    settings = dataclasses.replace(base, preset="study", whitening_floor=0.01)
    chosen = {"model": ["resnet50", "mocov2"], "dataset": ["roxford5k"], "ranking": ["G"]}
    said = ("image_size", "bn_recalibration", "whitening_floor")
    results = runs.run(settings, suite="encoders", chosen=chosen, said=said, report=False)
    assert results.suite is None and results.title.startswith("Encoders")
    assert {figure["model"] for figure in results.figures} == {
        "resnet50 (random)",
        "mocov2 (random)",
    }
    assert results.preset["deviations"] == [
        "image_size=32 (preset: 724)",
        "bn_recalibration=none (preset: ema)",
        "whitening_floor=0.01 (preset: 0)",
    ]
    assert not any("preset" in figure for figure in results.figures)
    [note] = [note for note in results.notes if note.startswith("Preset study")]
    assert "image_size=32 (preset: 724)" in note and "Assumed" in note


def test_figures_of_a_preset_carry_its_name(base, passes, monkeypatch):
    row = presets.get("study")
    small = {**row.values, "image_size": 32, "bn_recalibration": "none"}
    monkeypatch.setitem(presets.PRESETS, "study", dataclasses.replace(row, values=small))
    settings = dataclasses.replace(base, preset="study", model="resnet50", dataset="roxford5k")
    settings = presets.applied(dataclasses.replace(settings, ranking=("G",)), ())
    results = runs.run(settings, report=False)
    assert {figure["preset"] for figure in results.figures} == {"study"}
    assert results.preset["deviations"] == []


# One setting at a time


def test_each_row_is_an_evaluation_and_its_paired_difference(base, passes):
    settings = dataclasses.replace(
        base, model="resnet50", dataset="roxford5k", ranking=("G",), pca_dim=8
    )
    what = variations.wanted(["image_size=48", "pca_dim=4:true:8"])
    rows, reasons = variations.vary([settings], what)
    assert reasons == []
    assert [(row.setting, row.value) for row in rows[::3]] == [
        (variations.BASE, ""),
        ("image_size", "48"),
        ("pca_dim", "4"),  # 8 is what it is
        ("pca_dim", "true"),
    ]
    own = runs.run(settings, report=False)
    for changes, place in (({"image_size": 48}, 1), ({"pca_dim": 4}, 2), ({"pca_dim": "true"}, 3)):
        other = runs.run(dataclasses.replace(settings, **changes), report=False)
        for number, protocol in enumerate(("easy", "medium", "hard")):
            [a], [b] = (list(one.select(protocol=protocol)) for one in (own, other))
            row = rows[3 * place + number]
            interval = difference_interval(b["ap"], a["ap"])
            assert (row.protocol, row.map) == (protocol, b["map"])
            assert (row.difference, row.low, row.high) == (
                interval.value,
                interval.low,
                interval.high,
            )
            np.testing.assert_allclose(row.difference, b["map"] - a["map"], atol=1e-12)
    assert len({row.map for row in rows}) > 3


def test_what_a_network_has_not_is_not_run(base, passes):
    settings = dataclasses.replace(base, model="resnet50", dataset="roxford5k", ranking=("G",))
    rows, [reason] = variations.vary([settings], {"pooling": ("cls",)})
    assert "has no cls" in reason
    assert [row.map is None for row in rows] == [False] * 3 + [True] * 3
    assert "| pooling=cls | not run |  | not run |" in variations.as_markdown(rows)


def test_the_table_and_the_files(tmp_path):
    place = ("m", "d", "query_crop", "none", "G", "hard")
    rows = [
        variations.Row("m", "d", variations.BASE, "", "G", "hard", 0.5, queries=9),
        variations.Row(*place, 0.625, 0.125, 0.02, 0.2, 9),
        variations.Row(*place[:3], "bbox", *place[4:], 0.49, -0.01, -0.03, 0.02, 9),
    ]
    text = variations.as_markdown(rows)
    assert "| nothing | 50.00 |  |" in text
    assert "| query_crop=none | 62.50 | **+12.50** [+2.00, +20.00] |" in text
    assert "| query_crop=bbox | 49.00 | \N{MINUS SIGN}1.00 [\N{MINUS SIGN}3.00, +2.00] |" in text
    csv, markdown = variations.write(rows, tmp_path)
    assert markdown.read_text() == text and csv.read_text().count("\n") == 4


def test_values_to_vary():
    found = variations.wanted(
        ["query_crop", "image_size=224:448", "scales=1:1+0.5", "pca_dim=true:8", "dba_normalize"]
    )
    assert found == {
        "query_crop": ("bbox", "none"),
        "image_size": (224, 448),
        "scales": ((1.0,), (1.0, 0.5)),
        "pca_dim": ("true", 8),
        "dba_normalize": (False, True),
    }
    assert variations.wanted(["pooling"]) == {"pooling": POOLINGS}
    everything = variations.wanted(list(variations.VALUES))
    for name, values in everything.items():
        for value in values:
            assert getattr(jaxret.Settings(**{name: value}), name) == value


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("crop", "--vary=crop is no setting to vary"),
        ("model", "--vary=model is no setting to vary"),
        ("bn_momentum", "say --vary=bn_momentum=VALUE:VALUE"),
        ("image_size=large", "--vary=image_size=large is no value of --image_size"),
    ],
)
def test_what_cannot_be_varied_is_refused(text, sentence):
    with pytest.raises(UserError, match=sentence):
        variations.wanted([text])
