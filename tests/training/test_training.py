"""Whole runs: killed, stopped, resumed, refused; and what they leave behind."""

import csv
import json
import os
import signal
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import optax
import pytest
import tiny
from PIL import Image

from jaxret import models
from jaxret.errors import UserError
from jaxret.models.weights import loading
from jaxret.training import loop
from jaxret.training.checkpoints import check_same_run, note_run
from jaxret.training.loop import train
from jaxret.training.settings import TrainSettings

TINY = Path(tiny.__file__)
COMMON = {
    "model": "tiny",
    "init": "random",
    "batch_size": 8,
    "image_size": 40,
    "validation_size": 64,
    "steps": 14,
    "warmup_steps": 2,
    "validate_every": 7,
    "checkpoint_every": 4,
    "projection_dim": 16,
    "ap_group": 2,
}


@pytest.fixture(scope="module")
def folder(folder_of):
    return folder_of(40, instances=6)


def settings(folder, workdir, **others):
    return TrainSettings(**{**COMMON, "dataset": str(folder), "workdir": str(workdir), **others})


def command(folder, workdir, *flags, **others):
    """Runs the command line in a process of its own, on one device."""
    given = {**COMMON, "dataset": folder, "workdir": workdir, **others}
    del given["projection_dim" if given.get("loss") == "ap" else "ap_group"]  # of other losses
    line = [sys.executable, str(TINY), *flags, *(f"--{k}={v}" for k, v in given.items())]
    environment = {**os.environ, "XLA_FLAGS": "", "JAX_PLATFORMS": "cpu"}
    return subprocess.run(line, capture_output=True, text=True, env=environment, timeout=240)


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("localhost", 0))
        return taken.getsockname()[1]


def rows(workdir, name="loss.csv"):
    with (Path(workdir) / name).open() as file:
        return list(csv.DictReader(file))


def losses(workdir):
    return [(row["step"], row["loss"]) for row in rows(workdir)]


@pytest.fixture(scope="module")
def undisturbed(folder, tmp_path_factory):
    workdir = tmp_path_factory.mktemp("undisturbed")
    done = command(folder, workdir, loss="mocov2")
    assert done.returncode == 0, done.stderr
    return workdir, done


@pytest.mark.slow
def test_what_a_run_leaves(undisturbed, folder):
    workdir, done = undisturbed
    assert "before and after" in done.stdout
    assert f"--checkpoint={workdir}" in done.stdout
    assert [int(row["step"]) for row in rows(workdir)] == list(range(1, 15))
    retrieval = rows(workdir, "retrieval.csv")
    assert [row["step"] for row in retrieval] == ["0", "7", "14"]
    assert all(0 <= float(row["medium"]) <= 1 for row in retrieval)
    for name in ("loss.png", "learning_rate.png", "retrieval.png", "views.jpg"):
        Image.open(workdir / name).verify()
    page = (workdir / "report.html").read_text()
    assert page.count("<svg") == 3
    assert "<script" not in page
    assert "learning_rate" in page
    assert "http://www.w3.org" in page
    assert 'src="data:image/jpeg' in page
    provenance = loading.read_provenance(workdir / "encoder")
    assert provenance.model == "tiny"
    assert "mocov2" in provenance.source
    learnt = loading.load_folder(models.get("tiny"), workdir / "encoder")
    assert learnt.digest() != models.random("tiny", 0).digest()


@pytest.mark.slow
def test_killed_and_stopped_it_ends_with_the_same_curve(undisturbed, folder, tmp_path):
    """SIGKILL at four seeded steps and once while a checkpoint is written, then SIGTERM."""
    expected, _ = undisturbed
    at = sorted(np.random.default_rng(7).choice(np.arange(2, 12), 4, replace=False).tolist())
    flags = [f"--kill_at={step}" for step in at[:2]]
    flags += ["--kill_in_save_of=8", *(f"--kill_at={step}" for step in at[2:])]
    for flag in flags:
        done = command(folder, tmp_path, flag, loss="mocov2")
        assert done.returncode == -signal.SIGKILL, (flag, done.stderr)
        assert not (tmp_path / "encoder" / "provenance.json").exists()
    stopped = command(folder, tmp_path, "--terminate_at=13", loss="mocov2")
    assert stopped.returncode == 128 + signal.SIGTERM, stopped.stderr
    assert "told to end (SIGTERM); the state after step 13 of 14 is kept" in stopped.stderr
    assert rows(tmp_path)[-1]["step"] == "13"
    done = command(folder, tmp_path, loss="mocov2")
    assert done.returncode == 0, done.stderr
    assert "Going on after step 13 of 14" in done.stderr
    assert losses(tmp_path) == losses(expected)
    assert rows(tmp_path, "retrieval.csv") == rows(expected, "retrieval.csv")
    digests = [loading.read_provenance(w / "encoder").digest for w in (tmp_path, expected)]
    assert digests[0] == digests[1]


@pytest.mark.slow
def test_two_processes_have_the_curve_of_one(folder_of, tmp_path):
    """Twice, since what the first run compiled and kept must not harm the second."""
    folder = folder_of(24)
    alone = command(folder, tmp_path / "alone")
    assert alone.returncode == 0, alone.stderr
    expected = [float(row["loss"]) for row in rows(tmp_path / "alone")]
    for attempt in ("first", "second"):
        workdir = tmp_path / attempt
        flags = ["--multihost", f"--coordinator=localhost:{free_port()}", "--processes=2"]
        with ThreadPoolExecutor(2) as pool:
            done = list(
                pool.map(lambda p, w=workdir, f=flags: command(folder, w, *f, process=p), (0, 1))
            )
        assert [one.returncode for one in done] == [0, 0], done[0].stderr + done[1].stderr
        found = [float(row["loss"]) for row in rows(workdir)]
        np.testing.assert_allclose(found, expected, rtol=1e-3)
        assert loading.read_provenance(workdir / "encoder").model == "tiny"


@pytest.mark.slow
def test_a_finished_run_is_not_run_again(undisturbed, folder):
    workdir, _ = undisturbed
    before = (workdir / "report.html").stat().st_mtime_ns
    done = command(folder, workdir, loss="mocov2")
    assert done.returncode == 0, done.stderr
    assert "has finished its 14 steps already" in done.stderr
    assert (workdir / "report.html").stat().st_mtime_ns == before


@pytest.mark.slow
def test_another_run_in_the_same_workdir_is_refused(undisturbed, folder):
    workdir, _ = undisturbed
    with pytest.raises(UserError, match=r"--learning_rate is 0.0003 there and 0.1 here"):
        train(settings(folder, workdir, loss="mocov2", learning_rate=0.1))


def test_all_that_differs_is_named_and_no_digest(tmp_path):
    key = {"steps": 3, "learning_rate": 0.1, "photographs": "ab" * 32, "initial_weights": "cd" * 32}
    assert check_same_run(tmp_path, key) is None and not list(tmp_path.iterdir())
    note_run(tmp_path, key)
    assert check_same_run(tmp_path, key) == 3
    assert check_same_run(tmp_path, {**key, "steps": 6}) == 3  # more steps: the same run goes on
    with pytest.raises(UserError, match=r"--steps is 3 there and 2 here.*or --steps=3 or more"):
        check_same_run(tmp_path, {**key, "steps": 2})
    other = {**key, "steps": 6, "learning_rate": 0.2, "photographs": "x", "initial_weights": "y"}
    with pytest.raises(UserError) as raised:
        check_same_run(tmp_path, other)
    said = str(raised.value)
    for part in (
        *("--steps is 3 there and 6 here", "--learning_rate is 0.1 there and 0.2 here"),
        *("the weights it starts from differ", "the photographs to learn from differ"),
    ):
        assert part in said
    assert "abab" not in said and "cdcd" not in said


def test_the_own_workdir_of_a_run_does_not_depend_on_its_length(folder, tmp_path):
    short, long, other = (
        replace(settings(folder, tmp_path), workdir=None, **changed)
        for changed in ({}, {"steps": 99}, {"seed": 1})
    )
    assert loop.workdir_of(short) == loop.workdir_of(long) != loop.workdir_of(other)


@pytest.mark.slow
def test_more_steps_go_on_where_the_run_ended(folder, tmp_path):
    short = settings(folder, tmp_path, steps=5, held_out=0.0)
    train(short)
    first = losses(tmp_path)
    learnt = loading.read_provenance(tmp_path / "encoder").digest
    told = []
    train(replace(short, steps=9), told.append)
    assert losses(tmp_path)[:5] == first
    assert [step for step, _ in losses(tmp_path)] == list(map(str, range(1, 10)))
    assert "The run of 5 steps goes on to 9: the learning rate follows the longer" in told[0]
    assert any("Going on after step 5 of 9" in line for line in told)
    rates = [float(row["learning_rate"]) for row in rows(tmp_path)]
    schedule = optax.warmup_cosine_decay_schedule(0.0, short.learning_rate, 2, 9)
    np.testing.assert_allclose(rates[5:], [schedule(step) for step in range(5, 9)], rtol=1e-6)
    assert f"{float(schedule(5)):.2e} at step 5" in told[0]
    assert loading.read_provenance(tmp_path / "encoder-5").digest == learnt
    assert loading.read_provenance(tmp_path / "encoder").digest != learnt
    train(replace(short, steps=9), told.append)
    assert "has finished its 9 steps already" in told[-1]


@pytest.mark.slow
def test_nan_ends_the_run_with_the_step_and_what_to_try(folder, tmp_path):
    wild = settings(folder, tmp_path, optimizer="sgd", learning_rate=1e30, loss="ap")
    sentence = r"(not finite|of step \d+ is (nan|inf)).*lower --learning_rate"
    with pytest.raises(UserError, match=sentence):
        train(wild)
    assert not (tmp_path / "encoder").exists()


def test_two_runs_at_once_are_refused(folder, tmp_path):
    from jaxret.training.checkpoints import alone_in

    with alone_in(tmp_path), pytest.raises(UserError, match="Another training run is at work"):
        train(settings(folder, tmp_path))


@pytest.mark.slow
def test_without_ground_truth_the_held_out_part_is_still_measured(folder_of, tmp_path):
    done = train(settings(folder_of(20), tmp_path, steps=3, held_out=0.4))
    assert [row["step"] for row in done.curves.retrieval] == [0, 3]
    assert json.loads((tmp_path / "held_out" / "gnd.json").read_text())["gnd"][0] == {
        "ok": [0],
        "junk": [],
    }


@pytest.mark.slow
def test_an_unreadable_photograph_is_left_out_and_told(folder_of, tmp_path):
    folder = folder_of(20)
    (folder / "004.png").write_bytes(b"no picture")
    told = []
    train(settings(folder, tmp_path, steps=3, held_out=0.0), told.append)
    assert sum("004.png" in line for line in told) == 1
    assert "retrieval.csv" not in os.listdir(tmp_path)


REFUSED = {
    "fewer photographs than the batch": (6, {}, r"6 photographs to learn from.*fewer than --batch"),
    "one photograph": (1, {}, r"1 photographs? to learn from"),
    "labels missing": (
        20,
        {"loss": "ap"},
        r"has no ground truth: make one with .*make_ground_truth",
    ),
    "devices": (
        20,
        {"batch_size": 6},
        r"dealt out evenly over 4 devices: give a multiple, such as 8",
    ),
    "no such init": (20, {"init": "nowhere"}, r"--init=nowhere is neither"),
    "no such model": (20, {"model": "resnet5"}, r"Unknown model 'resnet5'. Nearest: resnet50"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_bad_input_is_a_sentence_and_nothing_is_written(name, folder_of, tmp_path):
    count, others, sentence = REFUSED[name]
    with pytest.raises(UserError, match=sentence):
        train(settings(folder_of(count), tmp_path / "work", **{"held_out": 0.0, **others}))
    assert not (tmp_path / "work").exists()


@pytest.mark.slow
def test_an_init_of_another_architecture_is_refused(folder_of, tmp_path, undisturbed):
    folder, (workdir, _) = folder_of(20), undisturbed
    with pytest.raises(UserError, match="holds tiny, and --model=resnet18 is another network"):
        train(settings(folder, tmp_path / "work", model="resnet18", init=str(workdir)))
    file = tmp_path / "other.npz"
    np.savez(file, **{"conv1.weight": np.zeros((64, 3, 7, 7), np.float32)})
    with pytest.raises(UserError, match="resnet18"):
        train(settings(folder, tmp_path / "work", model="resnet18", init=str(file)))
    assert not (tmp_path / "work").exists()


def test_an_empty_folder_is_a_sentence(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="holds no photographs"):
        train(settings(tmp_path / "empty", tmp_path / "work"))


@pytest.mark.slow
def test_it_goes_on_from_what_was_learnt(undisturbed, folder, tmp_path):
    workdir, _ = undisturbed
    start = loop.starting_encoder(replace(settings(folder, tmp_path), init=str(workdir)))
    assert start.digest() == loading.read_provenance(workdir / "encoder").digest


@pytest.mark.slow
def test_a_checkpoint_that_cannot_be_read_is_named(undisturbed, folder, tmp_path):
    import shutil

    workdir, _ = undisturbed
    shutil.copytree(workdir, tmp_path / "copy")
    shutil.rmtree(tmp_path / "copy" / "encoder")
    for file in (tmp_path / "copy" / "checkpoints" / "14").rglob("*"):
        if file.is_file() and "array" not in file.name and "ocdbt" in str(file):
            file.write_bytes(b"")
    # In a process of its own: Orbax leaves threads behind that complain later.
    done = command(folder, tmp_path / "copy", loss="mocov2")
    assert done.returncode == 1
    sentences = [line for line in done.stderr.splitlines() if line.startswith("jaxret: ")]
    assert "checkpoint of step 14 in" in sentences[-1]
    assert "cannot be read" in sentences[-1]
    assert "Traceback" not in done.stderr.split(sentences[-1])[0]


def test_a_workdir_that_cannot_be_written_is_a_sentence(folder, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UserError, match=r"cannot be written .*choose another --workdir"):
        train(settings(folder, tmp_path / "file" / "work"))
