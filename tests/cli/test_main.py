"""The command line as users meet it: help, typing errors, missing files, an unwritable place."""

import json
import os
import shutil
import subprocess
import sys
import time

import numpy as np
import pytest
from PIL import Image

from jaxret.settings import Settings


def run(*arguments, cwd=None, cache=None):
    environment = {**os.environ, "JAX_PLATFORMS": "cpu", "XLA_FLAGS": ""}
    if cache is not None:
        environment["XDG_CACHE_HOME"] = str(cache)
    return subprocess.run(
        [sys.executable, "-m", "jaxret.main", *arguments],
        capture_output=True,
        text=True,
        timeout=300,
        cwd=cwd,
        env={**environment, "PYTHONPATH": os.getcwd()},
    )


@pytest.fixture
def folder(tmp_path):
    """Six photographs with a ground truth."""
    folder = tmp_path / "photographs"
    folder.mkdir()
    draw = np.random.default_rng(0)
    for number in range(6):
        pixels = draw.integers(0, 256, (64, 64, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")
    gnd = [{"bbx": [0, 0, 60, 60], "easy": [0], "hard": [1], "junk": []}]
    names = [f"{number}.png" for number in range(5)]
    truth = {"imlist": names, "qimlist": ["5.png"], "gnd": gnd}
    (folder / "gnd.json").write_text(json.dumps(truth))
    return folder


def refused(process, *words):
    """Exit status 1 and one sentence on stderr, no traceback."""
    assert process.returncode == 1, process.stderr
    assert process.stderr.startswith("jaxret: "), process.stderr
    assert "Traceback" not in process.stderr
    assert len(process.stderr.strip().splitlines()) == 1, process.stderr
    for word in words:
        assert word in process.stderr
    assert not process.stdout


def test_help_is_fast_and_explains_every_flag():
    run("--help")  # compiled once
    began = time.perf_counter()
    process = run("--help")
    elapsed = time.perf_counter() - began
    text = process.stdout
    flags = [option.name for option, _ in Settings.options()]
    flags += ["suite", "dry_run", "download", "query", "box", "features", "query_features"]
    flags += ["ground_truth", "debug", "multihost", "coordinator", "processes", "process"]
    for flag in flags:
        place = max(text.find(f"--{flag}:"), text.find(f"--[no]{flag}:"))
        assert place >= 0, flag
        help = text[place:].split(":", 1)[1].strip()
        assert len(help.split("\n")[0]) > 10, flag
    if os.getloadavg()[0] < os.cpu_count():  # not on a machine that others keep busy
        assert elapsed < 2


def test_an_unknown_model_is_refused_with_the_nearest(tmp_path):
    process = run("--model=simclr3x", f"--workdir={tmp_path}/w")
    refused(process, "'simclr3x'", "Nearest: simclr")
    assert not (tmp_path / "w").exists()


def test_an_unknown_dataset_is_refused_with_the_nearest(tmp_path):
    process = run("--dataset=oxfrod5k", f"--workdir={tmp_path}/w")
    refused(process, "'oxfrod5k'", "nearest first: oxford5k")
    assert not (tmp_path / "w").exists()


def test_missing_weights_are_refused_with_the_two_commands(folder, tmp_path):
    process = run(
        "--model=resnet50", f"--dataset={folder}", f"--workdir={tmp_path}/w", cwd=tmp_path,
        cache=tmp_path / "cache",
    )  # fmt: skip
    source = tmp_path / "cache" / "jaxret" / "downloads" / "resnet50" / "resnet50-0676ba61.pth"
    refused(
        process,
        "python tools/download.py resnet50",
        f"python tools/convert.py --model=resnet50 --source={source} --output=weights/resnet50",
    )
    assert not (tmp_path / "w").exists()


def test_an_index_out_of_range_is_refused(folder, tmp_path):
    truth = json.loads((folder / "gnd.json").read_text())
    truth["gnd"][0]["easy"] = [99]
    (folder / "gnd.json").write_text(json.dumps(truth))
    process = run(f"--dataset={folder}", f"--workdir={tmp_path}/w")
    refused(process, "99", "gnd.json")
    assert not (tmp_path / "w").exists()


def test_a_pca_dimension_too_large_is_refused_before_anything_runs(folder, tmp_path):
    process = run(f"--dataset={folder}", "--pca_dim=5", f"--workdir={tmp_path}/w")
    refused(process, "--pca_dim may be 1 to min(N - 1, C) = 4")
    assert not (tmp_path / "w").exists()


def test_an_unwritable_workdir_is_refused(folder, tmp_path):
    (tmp_path / "file").write_text("")
    process = run(
        f"--dataset={folder}", "--image_size=64", "--pca_dim=2", f"--workdir={tmp_path}/file/w"
    )
    refused(process, f"{tmp_path}/file/w", "choose another --workdir")
    assert (tmp_path / "file").read_text() == ""


REFUSED = [
    (["--suite=table9"], ["Unknown suite 'table9'. Nearest: table"]),
    (["--model=resnet50+nothing"], ["resnet50+nothing: Unknown model 'nothing'"]),
    (["--checkpoint=x.pth", "--model=a,b"], ["--checkpoint is one encoder"]),
    (["--checkpoint=mine=x.pth", "--model=a"], ["gives mine, which --model=a does not use"]),
    (["--checkpoint=a=x", "--suite=table1"], ["say which to run, such as --model=resnet50,a"]),
    (["--pca_dim=many"], ["--pca_dim=many must be a whole number"]),
    (["--box=1,2,3,4"], ["--box belongs to --query"]),
    (["--query=a.jpg", "--ranking=G,G+AQE"], ["--query takes one ranking"]),
    (["--query=absent.jpg", "--dataset=."], ["absent.jpg"]),
    (["--features=x.npy"], ["go together"]),
    (["table1"], ["'table1' is not a flag"]),
]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [*REFUSED[:3], *(pytest.param(*one, marks=pytest.mark.slow) for one in REFUSED[3:])],
)
def test_what_cannot_be_is_refused(arguments, words, tmp_path):
    refused(run(*arguments, f"--workdir={tmp_path}/w"), *words)
    assert not (tmp_path / "w").exists()


def test_a_run_prints_its_table_and_leaves_nothing_half_written(folder, tmp_path):
    arguments = [f"--dataset={folder}", "--image_size=64", "--ranking=G,G+AQE", "--pca_dim=2,true"]
    arguments += ["--bn_recalibration=none"]
    process = run(*arguments, f"--workdir={tmp_path}/w")
    assert process.returncode == 0, process.stderr
    assert "G+AQE" in process.stdout
    assert process.stdout.rstrip().endswith("report.html")
    assert not list((tmp_path / "w").rglob("*.part"))


@pytest.mark.slow
def test_a_search_prints_names_with_their_likeness(folder, tmp_path):
    process = run(
        f"--dataset={folder}", f"--query={folder}/3.png", "--box=0,0,64,64", "--image_size=64",
        "--pca_dim=true", f"--workdir={tmp_path}/w",
    )  # fmt: skip
    assert process.returncode == 0, process.stderr
    assert "   1   1.000  3.png" in process.stdout


@pytest.mark.slow
def test_checkpoints_of_ones_own_are_named_and_what_was_dropped_is_said(folder, tmp_path):
    import torch
    import twins

    from jaxret.convert.generic import resnet_spec

    twin = twins.randomize(twins.build(resnet_spec("resnet18")), seed=0)
    state = {f"module.encoder_q.{name}": value for name, value in twin.state_dict().items()}
    state["module.queue"] = torch.zeros(128, 16)
    torch.save({"state_dict": state}, tmp_path / "mine.pth.tar")
    shutil.copytree("weights/efficientnet-lite0", tmp_path / "run" / "encoder")  # a training's
    own = f"mine={tmp_path / 'mine.pth.tar'},learnt={tmp_path / 'run'}"
    arguments = [f"--dataset={folder}", f"--workdir={tmp_path / 'work'}", "--image_size=64"]
    arguments += ["--ranking=G", "--pca_dim=true", "--arch=resnet18"]
    done = run(f"--checkpoint={own}", *arguments)
    assert done.returncode == 0, done.stderr
    assert "arrays used" in done.stderr and "module.queue" in done.stderr
    written = json.loads((tmp_path / "work" / "results.json").read_text())
    assert {figure["model"] for figure in written["figures"]} == {"mine", "learnt"}
    assert f"learnt: efficientnet-lite0, efficientnet-lite0-57934424.pth, from {tmp_path}" in (
        done.stdout
    )
