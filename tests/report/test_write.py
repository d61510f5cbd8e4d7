"""The files of a report."""

import csv
import io
import json
import os

import pytest

from jaxret.errors import UserError
from jaxret.report import Results, write_report

NAMES = {"results.json", "results.csv", "report.md", "report.tex", "report.html"}


def test_every_file_is_written_and_readable(results, tmp_path):
    paths = write_report(results, workdir=tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == set(paths) == NAMES
    content = json.loads(paths["results.json"].read_text())
    assert content["figures"][0]["map"] == results.figures[0]["map"]
    lines = list(csv.DictReader(io.StringIO(paths["results.csv"].read_text())))
    assert float(lines[0]["ours"]) == 90.0
    assert "97.00" in paths["report.html"].read_text()
    assert "**97.00**" in paths["report.md"].read_text()


def test_a_report_can_be_made_again_from_its_json(make_results, tmp_path):
    first = write_report(make_results(("one", "two")), workdir=tmp_path / "first")
    again = Results.from_json(first["results.json"].read_text())
    assert len(again.comparisons) == 1
    second = write_report(again, workdir=tmp_path / "second")
    for name in NAMES:
        assert first[name].read_bytes() == second[name].read_bytes(), name


def test_nothing_is_written_when_a_part_fails(results, tmp_path, monkeypatch):
    monkeypatch.setattr("jaxret.report.page.html.page", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        write_report(results, workdir=tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_an_interrupted_write_leaves_the_old_file(results, tmp_path, monkeypatch):
    before = {n: p.read_bytes() for n, p in write_report(results, workdir=tmp_path).items()}
    results.figures[0]["map"] = 0.123

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(UserError, match="full"):
        write_report(results, workdir=tmp_path)
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == before


def test_a_workdir_that_cannot_be_written_is_a_sentence(results, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="workdir"):
        write_report(results, workdir=tmp_path / "file")
