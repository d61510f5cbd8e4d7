"""The benchmark of a streamed search, at a size of seconds."""

import json

import pytest
from benchmarks import stream


@pytest.mark.slow
def test_every_part_has_its_figures(tmp_path, capsys):
    sizes = ["--rows=6000", "--dim=16", "--queries=5", "--k=20", "--shard=2500"]
    report = tmp_path / "out.json"
    places = [f"--folder={tmp_path / 'shards'}", f"--json={report}"]
    assert stream.main([*sizes, *places, "--memory=3000", "--check=4000"]) == 0
    found = json.loads(report.read_text())
    assert found["check"]["equal_ids"] and found["written"]["rows"] == 6000
    assert found["reading"]["bytes"] == 6000 * 16 * 2
    for one in (found["disk"]["G"], found["disk"]["G+AQE"], found["memory"], found["reading"]):
        assert one["projected_seconds_100m"] == pytest.approx(1e8 * one["seconds"] / one["rows"])
        assert one["peak_bytes"] > 0
    shown = capsys.readouterr().out
    assert "| read alone | 6,000 |" in shown and "100 M rows, projected" in shown
    assert stream.main([*sizes, *places]) == 0
    assert json.loads(report.read_text())["written"]["rows"] == 0  # they lay there
