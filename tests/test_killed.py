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
EXTRACT = """
import sys
import jaxret
from jaxret.descriptors import extract
extract.SHARD = 4
folder, workdir = sys.argv[1:]
jaxret.run(jaxret.Settings(dataset=folder, workdir=workdir, image_size=64, pca_dim=2,
                           bn_batch_size=4, batch_size=2, ranking=("G",)))
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Fifty small photographs: thirteen shards of four."""
    folder = tmp_path_factory.mktemp("photographs")
    whole = Image.fromarray(photographs.coffee())
    names = [f"{number:02d}.jpg" for number in range(50)]
    for number, name in enumerate(names):
        whole.crop((4 * number, 2 * number, 4 * number + 300, 2 * number + 250)).save(folder / name)
    whole.save(folder / "query.jpg")
    gnd = [{"bbx": [0, 0, 300, 250], "easy": [0, 1], "hard": [2], "junk": []}]
    truth = {"imlist": names, "qimlist": ["query.jpg"], "gnd": gnd}
    (folder / "gnd.json").write_text(json.dumps(truth))
    return folder


def start(folder: Path, workdir: Path) -> subprocess.Popen[str]:
    environment = {**os.environ, "XLA_FLAGS": "", "JAX_PLATFORMS": "cpu"}
    return subprocess.Popen(
        [sys.executable, "-c", EXTRACT, str(folder), str(workdir)],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process: subprocess.Popen[str]) -> None:
    _, said = process.communicate(timeout=300)
    assert process.returncode == 0, said


def whole_files(workdir: Path) -> dict[str, bytes]:
    found = [*workdir.glob("features/*/shard-*.npz"), *workdir.glob("statistics/*/*.npz")]
    return {str(path.relative_to(workdir)): path.read_bytes() for path in found}


@pytest.mark.slow
def test_killed_at_random_moments_it_ends_with_the_same_bytes(folder, tmp_path):
    """One workdir, killed again and again; whatever lies there is whole at every moment."""
    began = time.monotonic()
    finish(start(folder, tmp_path / "undisturbed"))
    duration = time.monotonic() - began
    expected = whole_files(tmp_path / "undisturbed")
    assert len(expected) == 15  # thirteen shards of the database, one of the query, statistics

    moments = random.Random(0)
    for number in range(KILLS):
        workdir = tmp_path / f"killed{number // 4}"  # four kills a workdir
        process = start(folder, workdir)
        time.sleep(moments.uniform(0.3, 1.0) * duration)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        for name, content in whole_files(workdir).items():
            assert content == expected[name], (number, name)
        if number % 4 == 3:
            finish(start(folder, workdir))
            assert whole_files(workdir) == expected, number


@pytest.mark.slow
def test_two_runs_on_one_workdir_do_not_disturb_each_other(folder, tmp_path):
    together = [start(folder, tmp_path / "shared") for _ in range(2)]
    for process in together:
        finish(process)
    finish(start(folder, tmp_path / "alone"))
    assert whole_files(tmp_path / "shared") == whole_files(tmp_path / "alone")
