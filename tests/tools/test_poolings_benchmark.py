"""The benchmark of several poolings in one pass runs and says what it should."""

import json

import pytest
from benchmarks import poolings


@pytest.mark.slow
def test_it_compares_and_writes_json(tmp_path, capsys):
    file = tmp_path / "out.json"
    sizes = ["--model=resnet18", "--size=64", "--batch=2", "--repeats=2", f"--json={file}"]
    assert poolings.main(sizes) == 0
    assert "| resnet18 64 x2 float32 | 7 |" in capsys.readouterr().out
    (result,) = json.loads(file.read_text())["results"]
    assert result["poolings"][:2] == ["rmac", "gem"] and result["poolings"][-1] == "gem shift"
    assert result["difference"] < 1e-5
    assert result["ratio"]["min"] <= result["ratio"]["median"] <= result["ratio"]["max"]
