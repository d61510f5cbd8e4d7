"""What is missing, too large or not asked for: said with its reason, and the rest runs."""

import dataclasses
import json
import re
import shutil

import pytest
from suite_cells import cells

import jaxret
from jaxret import models
from jaxret.errors import UserError
from jaxret.runs import paper_suites
from jaxret.runs import run as runs


def test_a_dimension_too_large_says_why_and_the_sweep_goes_on(base, passes):
    sweep = [
        dataclasses.replace(base, model="resnet50", dataset="oxford5k", pca_dim=dim)
        for dim in (8, 40)
    ]
    results = jaxret.run(sweep, report=False)
    assert {figure["dim"] for figure in results.figures} == {8}
    assert any("40 PCA dimensions cannot be learnt from 40" in note for note in results.notes)
    with pytest.raises(UserError, match="40 PCA dimensions cannot be learnt"):
        jaxret.run(sweep[1])


def test_missing_weights_leave_gaps_that_say_how_to_get_them(base, passes, monkeypatch):
    plain, untrained = models.load, jaxret.stages.encoders.models.random

    def load(name, weights_dir):
        return untrained(name, 0) if name == "simclr1x" else plain(name, weights_dir)

    monkeypatch.setattr("jaxret.stages.encoders.models.load", load)
    settings = dataclasses.replace(base, weights="converted", weights_dir="/nowhere")
    told: list[str] = []
    results = runs.run(settings, suite="table2", tell=told.append)
    assert {figure["model"] for figure in results.figures} == {"simclr1x"}
    missing = [line for line in told if line.startswith("Missing: ")]
    assert len(missing) == 7  # each member once, though ensembles need them too
    assert any("tools/download.py resnet50" in line for line in missing)
    for (_, address), (ours, gap) in cells(results).items():
        if address.model != "simclr1x":
            assert ours is None
            assert "tools/convert.py --model=" in gap, address


def test_a_missing_benchmark_leaves_gaps_too(base, passes, tmp_path):
    (tmp_path / "manual").mkdir()
    stand_in = tmp_path / "manual" / "readme.txt"
    stand_in.write_text("no photographs here")
    settings = dataclasses.replace(
        base, manual_dir=str(tmp_path / "manual"), data_dir=str(tmp_path / "data")
    )
    told: list[str] = []
    with pytest.raises(UserError, match=r"Nothing of this can run:\n- .*tools/download\.py"):
        runs.run(settings, suite="table2", tell=told.append)
    assert not (tmp_path / "workdir").exists()


def test_dry_run_says_what_is_there_and_writes_nothing(base, passes, tmp_path, capsys):
    from jaxret.cli import terminal

    work = terminal.Work((base,), "table2", {"model": ["resnet50", "gem-ap"]})
    terminal.run(work, download=False, dry_run=True)
    before = capsys.readouterr().out
    assert "40 of 40 photographs to describe" in before
    assert not (tmp_path / "workdir").exists()
    assert re.search(r"To do: about .* on this machine and .* of disk", before)
    terminal.run(work, download=False, dry_run=False)
    capsys.readouterr()
    terminal.run(work, download=False, dry_run=True)
    after = capsys.readouterr().out
    assert "to describe" not in after
    assert after.count("there") >= 8


def test_dry_run_counts_what_waits_for_photographs_too(base, passes, tmp_path, capsys):
    from jaxret.cli import terminal

    elsewhere = dataclasses.replace(base, manual_dir=str(tmp_path), data_dir=str(tmp_path))
    work = terminal.Work((elsewhere,), "table2", {"model": ["resnet50"]})
    terminal.run(work, download=False, dry_run=True)
    told = capsys.readouterr().out
    assert told.count("Missing: ") == 2
    assert told.count("40 photographs to describe, once they can be  about ") == 2


@pytest.mark.parametrize(
    ("suite", "chosen", "sentence"),
    [
        ("table4", {}, "Unknown suite 'table4'. Nearest: table"),
        ("table2", {"dataset": ["demo"]}, "--dataset=demo is in no table of --suite=table2"),
        (
            "table1",
            {"model": ["resnet50+simclr3x"]},
            r"\+simclr3x: Unknown model 'simclr3x'",
        ),
    ],
)
def test_what_cannot_be_is_refused_in_a_sentence(base, passes, suite, chosen, sentence):
    with pytest.raises(UserError, match=sentence):
        runs.run(base, suite=suite, chosen=chosen)


def test_a_checkpoint_is_one_encoder():
    with pytest.raises(UserError, match="is one encoder"):
        jaxret.Settings(checkpoint="mine.pth", model="a+b")
    with pytest.raises(UserError, match="is one encoder, a suite is many"):
        paper_suites.expand("table1", jaxret.Settings(checkpoint="mine.pth"))


def test_a_suite_may_be_cut_down_and_says_so(base, passes, tmp_path):
    results = runs.run(base, suite="table1", chosen={"dataset": ["instre"], "ranking": ["G"]})
    assert {figure["ranking"] for figure in results.figures} == {"G"}
    assert {figure["protocol"] for figure in results.figures} == {"classic"}
    reasons = {gap for ours, gap in cells(results).values() if ours is None}
    assert reasons == {"not asked for (--dataset)", "not asked for (--ranking)"}
    assert json.loads((tmp_path / "workdir" / "results.json").read_text())["suite"] == "table1"


def test_an_incomplete_benchmark_is_compared_with_nothing(base, passes, manual_dir, tmp_path):
    rest = tmp_path / "rest"
    shutil.copytree(manual_dir, rest)
    (rest / "new_000011.jpg").unlink()
    settings = dataclasses.replace(
        base,
        model="resnet50",
        dataset="roxford5k",
        manual_dir=str(rest),
        data_dir=str(tmp_path / "data"),
        allow_missing=True,
    )
    results = runs.run(settings, suite="table2", chosen={"dataset": ["roxford5k"]})
    assert {figure["dataset"] for figure in results.figures} == {"roxford5k (incomplete)"}
    assert all(note.startswith(("STAND-INS", "INCOMPLETE")) for note in results.notes[:2])
    for (_, address), (ours, gap) in cells(results).items():
        assert ours is None
        assert address.dataset == "rparis6k" or gap.startswith("INCOMPLETE: ")


def test_download_fetches_what_is_missing_once_and_then_runs(base, passes, monkeypatch, capsys):
    from jaxret.cli import downloads, terminal

    fetched: list[str] = []
    untrained = jaxret.stages.encoders.models.random

    def load(name, weights_dir):
        assert name in fetched
        return untrained(name, 0)

    def obtain_weights(name, folder, say):
        if name == "gem-ap":
            raise UserError("Google Drive says no.")
        fetched.append(name)

    monkeypatch.setattr(downloads, "obtain_weights", obtain_weights)
    monkeypatch.setattr(downloads, "obtain_dataset", lambda *arguments, **others: 1 / 0)
    monkeypatch.setattr("jaxret.stages.encoders.models.load", load)
    settings = dataclasses.replace(base, weights="converted", weights_dir="/nowhere")
    members = ["resnet50", "resnet50+simclr2x"]
    work = terminal.Work((settings,), "table2", {"model": members})
    terminal.run(work, download=True, dry_run=False)
    assert fetched == ["resnet50", "simclr2x"]
    assert "Report: " in capsys.readouterr().out
    one = terminal.Work((dataclasses.replace(settings, model="gem-ap", dataset="roxford5k"),))
    with pytest.raises(UserError, match="Google Drive says no"):
        terminal.run(one, download=True, dry_run=False)
