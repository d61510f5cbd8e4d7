"""Killed at any moment, an extraction goes on and ends with the bytes of an undisturbed one."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from PIL import Image
from skimage import data as photographs

KILLS = int(os.environ.get("JAXRET_KILLS", "20"))
PHOTOGRAPHS = 50
FILES = 15  # thirteen shards of four for the database, one for the query, the statistics
EXTRACT = """
import sys
import jaxret
import jaxret.runs.run
from jaxret.descriptors import extraction
extraction.SHARD = 4
folder, workdir = sys.argv[1:]
print("begins", flush=True)
jaxret.run(jaxret.Settings(dataset=folder, workdir=workdir, image_size=64, pca_dim=2,
                           bn_batch_size=4, batch_size=2, ranking=("G",)), report=False)
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Fifty small photographs: thirteen shards of four."""
    folder = tmp_path_factory.mktemp("photographs")
    whole = Image.fromarray(photographs.coffee())
    names = [f"{number:02d}.jpg" for number in range(PHOTOGRAPHS)]
    for number, name in enumerate(names):
        whole.crop((4 * number, 2 * number, 4 * number + 300, 2 * number + 250)).save(folder / name)
    whole.save(folder / "query.jpg")
    gnd = [{"bbx": [0, 0, 300, 250], "easy": [0, 1], "hard": [2], "junk": []}]
    truth = {"imlist": names, "qimlist": ["query.jpg"], "gnd": gnd}
    (folder / "gnd.json").write_text(json.dumps(truth))
    return folder


@pytest.fixture(scope="module")
def compiled(tmp_path_factory):
    """Compiled functions of all runs, as the command line keeps them in the user's cache."""
    return tmp_path_factory.mktemp("compiled")


@pytest.fixture
def start(folder, compiled):
    """Starts an extraction into a workdir."""
    environment = {**os.environ, "XLA_FLAGS": "", "JAX_PLATFORMS": "cpu"}
    environment["JAX_COMPILATION_CACHE_DIR"] = str(compiled)
    environment["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"

    def run(workdir: Path) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-c", EXTRACT, str(folder), str(workdir)],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    return run


def begun(process: subprocess.Popen[str]) -> subprocess.Popen[str]:
    """Waits until everything is imported: nothing can be lost before."""
    assert process.stdout is not None
    assert process.stdout.readline() == "begins\n", process.communicate()
    return process


def finish(process: subprocess.Popen[str]) -> None:
    _, said = process.communicate(timeout=300)
    assert process.returncode == 0, said


def files(workdir: Path) -> list[Path]:
    return [*workdir.glob("features/*/shard-*.npz"), *workdir.glob("statistics/*/*.npz")]


def whole_files(workdir: Path) -> dict[str, bytes]:
    return {str(path.relative_to(workdir)): path.read_bytes() for path in files(workdir)}


def wait_for_a_moment(workdir: Path, first: float, moments: random.Random) -> None:
    """A random moment before the first new file, or soon after one of the new files."""
    there = len(files(workdir))
    awaited = there + moments.randint(0, FILES - there)
    patience = moments.uniform(0, first) if awaited == there else 60.0
    began = time.monotonic()
    while len(files(workdir)) <= max(there, awaited - 1) and time.monotonic() - began < patience:
        time.sleep(0.001)
    if awaited > there:
        time.sleep(moments.uniform(0, 0.02))  # what a shard takes


@pytest.mark.slow
def test_killed_at_random_moments_it_ends_with_the_same_bytes(start, tmp_path):
    """Runs on a workdir are killed until all is made; what lies there is whole at any time."""
    finish(start(tmp_path / "compiles"))
    undisturbed = tmp_path / "undisturbed"
    process, began = begun(start(undisturbed)), time.monotonic()
    while not files(undisturbed):
        time.sleep(0.01)
    first = time.monotonic() - began
    finish(process)
    expected = whole_files(undisturbed)
    assert len(expected) == FILES

    moments, kills, workdirs = random.Random(0), 0, 0
    while kills < KILLS:
        workdir = tmp_path / f"killed{workdirs}"
        process = begun(start(workdir))
        wait_for_a_moment(workdir, first, moments)
        process.send_signal(signal.SIGKILL)
        _, said = process.communicate()
        assert process.returncode in (0, -signal.SIGKILL), said
        found = whole_files(workdir)
        for name, content in found.items():
            assert content == expected[name], (kills, name)
        kills += process.returncode == -signal.SIGKILL
        workdirs += len(found) == FILES
    finish(start(workdir))
    assert whole_files(workdir) == expected


@pytest.mark.slow
def test_two_runs_on_one_workdir_do_not_disturb_each_other(start, tmp_path):
    together = [start(tmp_path / "shared") for _ in range(2)]
    for process in together:
        finish(process)
    finish(start(tmp_path / "alone"))
    assert whole_files(tmp_path / "shared") == whole_files(tmp_path / "alone")
