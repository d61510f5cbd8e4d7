"""What a workdir says of its evaluations."""

import dataclasses
import json

import pytest

from jaxret.errors import UserError
from jaxret.explore import catalogue
from jaxret.explore.settings import ExploreSettings
from jaxret.report.results import Results
from jaxret.runs import records
from jaxret.settings import Settings


def figure(model, dataset, dim, ranking):
    return {"model": model, "dataset": dataset, "dim": dim, "ranking": ranking, "map": 0.5} | {
        "protocol": "medium"
    }


def test_a_record_is_read_back_from_anywhere(tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    settings = Settings(
        dataset="photos", scales=(1.0, 0.5), mean=(0.1, 0.2, 0.3), data_dir="data", pca_dim=16,
        checkpoint="mine=a,other=b.pth", model="mine+other", whitening="w.npz", ranking=("G",),
    )  # fmt: skip
    workdir = tmp_path / "workdir"
    records.record(settings, workdir)
    records.record(settings, workdir)
    monkeypatch.chdir(tmp_path)
    here = str(tmp_path / "here")
    assert records.recorded(workdir) == [
        dataclasses.replace(
            settings,
            dataset=f"{here}/photos",
            data_dir=f"{here}/data",
            checkpoint=f"mine={here}/a,other={here}/b.pth",
            whitening=f"{here}/w.npz",
            workdir=str(workdir),
        )
    ]
    known = Settings(ranking=("G",))
    records.record(known, workdir)
    assert dataclasses.replace(known, workdir=str(workdir)) in records.recorded(workdir)


def test_a_record_of_another_version_is_left_out(tmp_path):
    records.record(Settings(), tmp_path)
    [file] = (tmp_path / "evaluations").glob("*.json")
    content = json.loads(file.read_text())
    content["settings"]["an_option_to_come"] = 1
    file.write_text(json.dumps(content))
    assert records.recorded(tmp_path) == []


def test_an_older_workdir_is_read_from_its_results(tmp_path):
    plain = Settings().key() | {"model": ["resnet50", "dino-vits16"], "pca_dim": [8, "true"]}
    results = Results(
        settings=plain | {"ranking": ["G", "G+AQE"], "digest": "x"},
        figures=[
            figure("resnet50", "demo", 8, "G"),
            figure("resnet50", "demo", 8, "G+AQE"),
            figure("dino-vits16", "demo", "true", "G"),
        ],
    )
    (tmp_path / "results.json").write_text(results.to_json())
    found = [(one.model, one.pca_dim, one.ranking) for one in records.recorded(tmp_path)]
    assert found == [("resnet50", 8, ("G", "G+AQE")), ("dino-vits16", "true", ("G",))]


def test_entries_are_evaluations_whatever_their_rankings(tmp_path):
    for ranking, dim in (("G", None), ("G+AQE", None), ("G", "true")):
        records.record(Settings(ranking=(ranking,), pca_dim=dim), tmp_path)
    entries = catalogue.read(ExploreSettings(workdir=str(tmp_path)))
    assert sorted((one.label, sorted(one.rankings)) for one in entries.values()) == [
        ("efficientnet-lite0, default dimensions", ["G", "G+AQE"]),
        ("efficientnet-lite0, no PCA", ["G"]),
    ]
    assert set(entries) == {one.name for one in entries.values()}


def test_flags_add_searches_and_an_empty_workdir_says_what_to_do(tmp_path):
    with pytest.raises(UserError, match=r"run python -m jaxret.main --workdir=.* --dataset=FOLDER"):
        catalogue.read(ExploreSettings(workdir=str(tmp_path)))
    asked = ExploreSettings(workdir=str(tmp_path), dataset=("a", "b"), model=("x", "y"))
    entries = catalogue.read(asked).values()
    assert sorted((one.settings.dataset, one.label) for one in entries) == [
        (dataset, model) for dataset in "ab" for model in "xy"
    ]
    assert {one.settings.bn_recalibration for one in entries} == {"none"}
    assert not any(one.rankings for one in entries)
