"""The command over tar files: two processes, or one that is killed and goes on, make one result."""

import json
import os
import subprocess
import sys
import time

import numpy as np
import pytest
from PIL import Image
from ports import free_port
from skimage import data as photographs
from tars import pack, samples

TARS = 6


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder of a few photographs, and six tars of nine."""
    place = tmp_path_factory.mktemp("tars")
    (place / "things").mkdir()
    for name in ("astronaut", "chelsea"):
        whole = Image.fromarray(getattr(photographs, name)())
        whole.save(place / "things" / f"{name}.jpg")
        whole.rotate(3).save(place / "things" / f"{name}_again.jpg")
    names = ["astronaut_again.jpg", "chelsea_again.jpg"]
    gnd = [{"ok": [0], "junk": []}, {"ok": [1], "junk": []}]
    truth = {"imlist": names, "qimlist": ["astronaut.jpg", "chelsea.jpg"], "gnd": gnd}
    (place / "things" / "gnd.json").write_text(json.dumps(truth))
    for number in range(TARS):
        pack(place / f"{number:05d}.tar", samples(9 * number, 9))
    return place


def start(place, output, *flags):
    """Describes the tars."""
    return describe(place, output, f"--tars={place}/*.tar", *flags)


def describe(place, output, *flags):
    """Describes what the flags say, or the folder itself."""
    flags += ("--image_size=64", "--bn_recalibration=none", "--pca_dim=true", "--batch_size=4")
    output_flags = f"--save_descriptors={output}", f"--workdir={output}.work"
    return command(f"--dataset={place}/things", *output_flags, *flags)


def command(*flags):
    return subprocess.Popen(
        [sys.executable, "-m", "jaxret.main", *flags],
        env={**os.environ, "JAX_PLATFORMS": "cpu", "XLA_FLAGS": ""},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def ended(process):
    said, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors
    return said


def shards(output):
    return {path.name: np.load(path).astype(np.float32) for path in output.glob("*.npy")}


@pytest.fixture(scope="module")
def whole(place):
    output = place / "whole"
    said = ended(start(place, output))
    assert f"54 descriptors in {TARS} shards" in said and "6 of them made now" in said
    return output


@pytest.mark.slow
def test_two_processes_share_the_tars(place, whole):
    output, port = place / "shared", free_port()
    both = [
        start(place, output, "--multihost", f"--coordinator=localhost:{port}",
              "--processes=2", f"--process={number}")
        for number in range(2)
    ]  # fmt: skip
    said = [ended(process) for process in both]
    assert f"54 descriptors in {TARS} shards" in said[0] and not said[1]
    expected, found = shards(whole), shards(output)
    assert found.keys() == expected.keys() and len(found) == TARS
    for name, rows in expected.items():
        np.testing.assert_allclose(found[name], rows, atol=1e-3)
        names = f"{name.removesuffix('.npy')}.names.txt"
        assert (output / names).read_text() == (whole / names).read_text()


@pytest.mark.slow
def test_killed_it_goes_on(place, whole):
    output = place / "killed"
    process = start(place, output)
    deadline = time.monotonic() + 120
    while not list(output.glob("*.npy.json")) and time.monotonic() < deadline:
        time.sleep(0.01)
    process.kill()
    process.communicate()
    done = {path.name: path.stat().st_mtime_ns for path in output.glob("*.npy.json")}
    assert 0 < len(done) < TARS
    said = ended(start(place, output))
    assert f"54 descriptors in {TARS} shards" in said
    assert f"{TARS - len(done)} of them made now" in said
    for name, changed in done.items():
        assert (output / name).stat().st_mtime_ns == changed
    for name, rows in shards(whole).items():
        np.testing.assert_array_equal(shards(output)[name], rows)


@pytest.mark.slow
def test_searched_beside_the_folder_itself(place, whole):
    ended(describe(place, place / "own", "--ranking=G"))
    flags = [f"--features={place}/own", f"--distractor_features={whole}"]
    said = ended(command(*flags, f"--workdir={place}/given", "--save_ranks=60"))
    assert f"54 distractors in {TARS} shards" in said and "not run: G+DBA" in said
    results = json.loads((place / "given" / "results.json").read_text())
    assert {figure["ranking"] for figure in results["figures"]} == {"G", "G+AQE"}
    assert results["figures"][0]["map@1000"] == 1.0
    [lists] = (place / "given" / "rankings").glob("*-G.csv")
    names = {line.split(",")[2] for line in lists.read_text().splitlines()[1:]}
    assert names == {"astronaut_again.jpg", "chelsea_again.jpg", *(f"{n:05d}" for n in range(54))}
