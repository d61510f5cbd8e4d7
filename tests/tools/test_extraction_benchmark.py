"""The benchmark of the extraction runs and says what it should; its times are not looked at."""

import copy
import json

import numpy as np
import pytest
import torch
import twins
from benchmarks import _torch_side, extraction
from benchmarks._rounds import ratios, time_in_rounds

from jaxret.models import get


@pytest.mark.parametrize("model", ["resnet18", "efficientnet-lite0"])
def test_folding_the_twin_changes_no_result(model):
    spec = get(model)
    twin = twins.randomize(twins.build(spec), seed=3)
    folded = _torch_side.fold(copy.deepcopy(twin))
    assert not any(isinstance(module, torch.nn.BatchNorm2d) for module in folded.modules())
    pixels = torch.randn(1, 3, 70, 61)
    with torch.no_grad():
        ours, theirs = folded(pixels)[spec.tap], twin(pixels)[spec.tap]
    assert (ours - theirs).abs().max() <= 1e-5 * theirs.abs().max()


def test_rounds_time_every_contender_in_turn():
    calls = []
    contenders = {name: lambda name=name: calls.append(name) for name in "ab"}
    seconds = time_in_rounds(contenders, repeats=3)
    assert calls == list("aabb" + "ab" + "ba" + "ab")
    assert {name: len(times) for name, times in seconds.items()} == {"a": 3, "b": 3}
    assert ratios({"a": [1.0, 3.0, 8.0], "b": [2.0, 2.0, 2.0]}, "a", "b") == {
        "min": 0.5,
        "median": 1.5,
        "max": 4.0,
    }


@pytest.mark.slow
def test_it_compares_and_writes_json(tmp_path, monkeypatch, capsys):
    # torch.compile calls a C++ compiler for minutes; here it is left out.
    monkeypatch.setattr(_torch_side, "compiled", lambda describe: describe)
    monkeypatch.setattr(extraction, "PEAK_SIDE", {"cpu": 256, "cuda": 256})
    file = tmp_path / "out.json"
    sizes = ["--model=resnet18", "--size=64", "--batch=2", "--repeats=2", f"--json={file}"]
    assert extraction.main(sizes) == 0
    assert "| resnet18 64 x2 float32 | jaxret folded |" in capsys.readouterr().out
    (result,) = json.loads(file.read_text())["results"]
    assert result["failed"] == {}
    assert max(result["difference"].values()) < 1e-5
    row = result["contenders"]["jaxret folded"]
    assert len(row["seconds"]) == 2
    assert row["ratio"]["min"] <= row["ratio"]["median"] <= row["ratio"]["max"]
    assert np.isclose(result["gflop_per_photograph"], 0.31, atol=0.05)


@pytest.mark.slow
def test_a_vision_transformer_is_compared_with_its_package(tmp_path, monkeypatch):
    monkeypatch.setattr(_torch_side, "compiled", lambda describe: describe)
    monkeypatch.setattr(extraction, "PEAK_SIDE", {"cpu": 256, "cuda": 256})
    file = tmp_path / "out.json"
    sizes = ["--model=dinov2-small", "--size=70", "--batch=2", "--repeats=1", f"--json={file}"]
    assert extraction.main(sizes) == 0
    (result,) = json.loads(file.read_text())["results"]
    assert set(result["contenders"]) == {extraction.BASELINE_VIT, extraction.COMPILED, "jaxret"}
    assert max(result["difference"].values()) < 1e-5
