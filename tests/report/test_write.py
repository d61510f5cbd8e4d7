"""The files of a report."""

import csv
import io
import json

from jaxret.report import write_report


def test_every_file_is_written_and_readable(results, tmp_path):
    paths = write_report(results, workdir=tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == set(paths)
    content = json.loads(paths["results.json"].read_text())
    assert content["figures"][0]["map"] == results.figures[0]["map"]
    lines = list(csv.DictReader(io.StringIO(paths["results.csv"].read_text())))
    assert float(lines[0]["ours"]) == 90.0
    assert "97.00" in paths["report.html"].read_text()
