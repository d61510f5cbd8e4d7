"""The benchmark of the loader runs and says what it should; its times are not looked at."""

import importlib.util
import json

import numpy as np
import pytest
from benchmarks import decode


@pytest.fixture(autouse=True)
def without_grain(monkeypatch):
    """Grain starts processes that import JAX again: too slow for a test."""
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "grain" else find(name)
    )


def test_runs_and_reports(tmp_path, capsys):
    arguments = ["--photographs=3", "--size=40", "--workers=0", "--repeats=2"]
    assert decode.main([*arguments, f"--json={tmp_path / 'out.json'}"]) == 0
    printed = capsys.readouterr().out
    report = json.loads((tmp_path / "out.json").read_text())
    assert {decode.BASELINE, "jaxret", "jaxret one thread"} <= report["contenders"].keys()
    for name, row in report["contenders"].items():
        assert name in printed and len(row["seconds"]) == 2
        assert row["photographs_per_s"] > 0
    assert report["contenders"][decode.BASELINE]["time_ratio"]["median"] == 1


def test_other_pixels_are_not_timed(tmp_path):
    split = decode.write_photographs(tmp_path, 2)
    running = {
        decode.BASELINE: decode.torch_contender(split, 40, 0),
        "jaxret": decode.jaxret_contender(split, 40, 0, "pil"),
    }
    decode.check_agreement(running)
    running["jaxret"] = lambda: iter([np.ones((2, 40, 40, 3), np.uint8)])
    with pytest.raises(SystemExit, match="jaxret does not deliver"):
        decode.check_agreement(running)
