"""SIGTERM, as schedulers send it: the run ends in seconds, and the next one goes on from there."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from PIL import Image
from ports import free_port
from skimage import data as photographs

SECONDS = 10  # what schedulers give at the least is thirty
SENTENCE = "told to end (SIGTERM); what was finished is kept, the same command goes on from there"

RUN = """
from absl import app
from jaxret.descriptors import extract
from jaxret.main import main
extract.SHARD = 2
app.run(main)
"""

BUSY = """
import jax
from jaxret.runtime import preemption
preemption.end_on_sigterm(grace=1.0)
endless = jax.jit(lambda x: jax.lax.fori_loop(0, 10**9, lambda _, x: x + x @ x, x))
print("busy", flush=True)
endless(jax.numpy.zeros((300, 300))).block_until_ready()
"""


def start(code: str, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        env={**os.environ, "JAX_PLATFORMS": "cpu", "XLA_FLAGS": ""},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def start_busy(code: str) -> subprocess.Popen[str]:
    """Returns once the process has printed that it is at work."""
    process = start(code)
    assert process.stdout is not None
    assert process.stdout.readline() == "busy\n"
    return process


def end(process: subprocess.Popen[str]) -> str:
    """Sends SIGTERM; the run says so and ends in time with status 143. What it printed."""
    assert process.poll() is None, process.communicate()
    process.send_signal(signal.SIGTERM)
    sent = time.monotonic()
    printed, said = process.communicate(timeout=60)
    assert time.monotonic() - sent < SECONDS
    assert process.returncode == 143, said
    assert SENTENCE in said
    assert "Traceback" not in said
    return printed


def test_a_run_inside_a_compiled_function_ends_all_the_same():
    """Python's own handler would wait until the function returns."""
    process = start_busy(BUSY)
    time.sleep(1.0)  # compiled, and running
    end(process)


SAVING = """
import signal, time
from jaxret.runtime import preemption
preemption.end_on_sigterm(grace=0.2)
ours = signal.signal(signal.SIGTERM, lambda *_: print("saving", flush=True))
print("busy", flush=True)
time.sleep(1.5)
signal.signal(signal.SIGTERM, ours)
print("saved", flush=True)
time.sleep(60)
"""


def test_a_stage_that_saves_first_is_left_to_it():
    process = start_busy(SAVING)
    process.send_signal(signal.SIGTERM)
    assert process.stdout.readline() == "saving\n"
    assert process.stdout.readline() == "saved\n"
    end(process)


DESTROYED = """
import os, signal, time
from jaxret.runtime import preemption

class Bar:
    def __del__(self):
        print("busy", flush=True)
        for _ in range(1000):
            time.sleep(0.001)

preemption.end_on_sigterm(grace=60.0)
try:
    bar = Bar()
    del bar
    time.sleep(60)
finally:
    os.kill(os.getpid(), signal.SIGTERM)
    print("cleared away", flush=True)
"""


def test_a_signal_while_an_object_is_destroyed_is_raised_after_it_and_once():
    """Python prints what `__del__` raises, with its traceback, and goes on."""
    process = start_busy(DESTROYED)
    assert end(process) == "cleared away\n"


UNRAISABLE = """
from jaxret.runtime import preemption

class Bar:
    def __del__(self):
        raise SystemExit(3)

preemption.end_on_sigterm()
bar = Bar()
del bar
"""


def test_what_others_raise_there_is_still_printed():
    process = start(UNRAISABLE)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 0
    assert "SystemExit: 3" in said


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Forty photographs: twenty shards of two, ten blocks of recalibration."""
    folder = tmp_path_factory.mktemp("photographs")
    whole = Image.fromarray(photographs.coffee())
    names = [f"{number:02d}.jpg" for number in range(40)]
    for number, name in enumerate(names):
        whole.crop((4 * number, 2 * number, 4 * number + 300, 2 * number + 250)).save(folder / name)
    whole.save(folder / "query.jpg")
    gnd = [{"bbx": [0, 0, 300, 250], "easy": [0, 1], "hard": [2], "junk": []}]
    truth = {"imlist": names, "qimlist": ["query.jpg"], "gnd": gnd}
    (folder / "gnd.json").write_text(json.dumps(truth))
    return folder


def flags(folder: Path, workdir: Path) -> list[str]:
    """Enough work in every stage that a signal arrives inside it."""
    sizes = ["--image_size=128", "--bn_batch_size=4", "--batch_size=1", "--pca_dim=2"]
    return [f"--dataset={folder}", f"--workdir={workdir}", *sizes]


def shards(workdir: Path) -> dict[str, bytes]:
    found = workdir.glob("features/*/shard-*.npz")
    return {str(path.relative_to(workdir)): path.read_bytes() for path in found}


def wait_until(process: subprocess.Popen[str], holds) -> None:
    while not holds():
        assert process.poll() is None, process.communicate()
        time.sleep(0.002)


STAGES = {
    "recalibration": lambda workdir: any(workdir.glob("statistics/*/key.json")),
    "extraction": lambda workdir: len(shards(workdir)) >= 6,
    "ranking": lambda workdir: len(shards(workdir)) == 21,
}


@pytest.fixture(scope="module")
def undisturbed(folder, tmp_path_factory):
    workdir = tmp_path_factory.mktemp("undisturbed")
    process = start(RUN, *flags(folder, workdir))
    _, said = process.communicate(timeout=300)
    assert process.returncode == 0, said
    return shards(workdir)


@pytest.mark.slow
def test_ended_in_every_stage_the_next_run_goes_on(undisturbed, folder, tmp_path):
    """One workdir, whose run is ended in one stage after the other."""
    assert len(undisturbed) == 21
    for stage, reached in STAGES.items():
        before = shards(tmp_path)
        process = start(RUN, *flags(folder, tmp_path))
        wait_until(process, lambda reached=reached: reached(tmp_path))
        end(process)
        assert before.items() <= shards(tmp_path).items() <= undisturbed.items(), stage
        assert not (tmp_path / "results.json").exists()
        assert not list(tmp_path.rglob(".*.part")), stage  # what was half written is cleared away
    assert shards(tmp_path) == undisturbed
    process = start(RUN, *flags(folder, tmp_path))
    said, progress = process.communicate(timeout=300)
    assert process.returncode == 0, progress
    assert "reused" in said
    assert (tmp_path / "results.json").exists()


@pytest.mark.slow
def test_one_of_several_processes_ends_too(folder, tmp_path):
    """JAX takes SIGTERM for itself when processes join."""
    once = [*flags(folder, tmp_path), "--bn_recalibration=none"]
    together = ["--multihost", f"--coordinator=localhost:{free_port()}", "--processes=2"]
    two = [start(RUN, *once, *together, f"--process={number}") for number in (0, 1)]
    wait_until(two[0], lambda: len(shards(tmp_path)) >= 2)
    for process in reversed(two):
        end(process)
