"""The benchmarks of pipeline and memory run and say what they should; figures are not looked at."""

import json
import os

import numpy as np
import pytest
from benchmark import main
from benchmarks import pipeline
from skimage import data as photographs


@pytest.mark.slow
def test_pipeline_runs_and_reports(tmp_path, capsys):
    arguments = ["--model=resnet18", "--size=64", "--batch=2", "--photographs=3", "--repeats=2"]
    assert main(["pipeline", *arguments, f"--json={tmp_path / 'out.json'}"]) == 0
    printed = capsys.readouterr().out
    report = json.loads((tmp_path / "out.json").read_text())
    assert report["contenders"].keys() == {pipeline.BASELINE, pipeline.PIPELINE}
    for name, row in report["contenders"].items():
        assert name in printed and len(row["seconds"]) == 2
        assert row["time_ratio"]["min"] <= row["time_ratio"]["median"] <= row["time_ratio"]["max"]


@pytest.mark.slow
def test_pipeline_takes_a_folder(tmp_path, capsys):
    from PIL import Image

    for name in ("coffee", "chelsea"):
        Image.fromarray(getattr(photographs, name)()).save(tmp_path / f"{name}.jpg")
    arguments = ["--model=resnet18", "--size=64", "--batch=2", "--repeats=1"]
    assert main(["pipeline", *arguments, f"--folder={tmp_path}"]) == 0
    assert "2 photographs" in capsys.readouterr().out


def test_other_descriptors_are_not_timed():
    one = {
        pipeline.BASELINE: lambda: np.ones((2, 3)),
        pipeline.PIPELINE: lambda: np.full((2, 3), 1.1),
    }
    with pytest.raises(SystemExit, match="nothing to compare"):
        pipeline.check_agreement(one)


@pytest.mark.slow
def test_memory_is_measured_in_processes_of_their_own(tmp_path, capsys, monkeypatch):
    from benchmarks import __path__ as place

    monkeypatch.setenv("PYTHONPATH", os.getcwd())
    monkeypatch.setattr("sys.argv", [f"{place[0]}/../benchmark.py"])
    arguments = ["--photographs=3,70", "--size=64", "--batch=4"]
    assert main(["memory", *arguments, f"--json={tmp_path / 'out.json'}"]) == 0
    few, many = json.loads((tmp_path / "out.json").read_text())
    assert (few["photographs"], many["photographs"]) == (3, 70)
    assert 2**28 < few["peak_bytes"] < 2**32
    assert many["descriptor_bytes"] == 70 * 1280 * 4
    assert "70 photographs" in capsys.readouterr().out
