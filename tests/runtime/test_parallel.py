"""Several devices and several processes give the statistics and descriptors of one."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from ports import free_port
from skimage import data as photographs

from jaxret.runtime.artifacts import read_arrays

COMMON = (
    "--image_size=160",
    "--pca_dim=true",
    "--ranking=G,G+AQE,G+DBA",
    "--bn_batch_size=6",
    "--batch_size=3",
    "--dba_n=2",
)

SMALL_SHARDS = """
from jaxret.cli import command
from jaxret.descriptors import extraction
from jaxret.main import define_flags, main
extraction.SHARD = 4
command.launch(main, define_flags)
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Nineteen photographs: three blocks of six and one left over, one of them unreadable."""
    folder = tmp_path_factory.mktemp("photographs")
    shots = (photographs.astronaut(), photographs.chelsea(), photographs.coffee())
    wholes = [Image.fromarray(shot) for shot in shots]
    names = [f"{number:02d}.jpg" for number in range(19)]
    for number, name in enumerate(names):
        left, top = 10 * number, 6 * number
        view = wholes[number % 3].crop((left, top, left + 220, top + 180))
        view.save(folder / name)
    (folder / names[7]).write_bytes(b"no photograph")
    wholes[0].save(folder / "query.jpg")
    gnd = [{"bbx": [0, 0, 200, 150], "easy": [0, 3, 6], "hard": [9], "junk": []}]
    truth = {"imlist": names, "qimlist": ["query.jpg"], "gnd": gnd}
    (folder / "gnd.json").write_text(json.dumps(truth))
    return folder


def run(
    folder: Path, workdir: Path, processes: int, devices: int, place: str = "auto", *more: str
) -> None:
    """The command line in `processes` processes of `devices` CPU devices each."""
    environment = {
        **os.environ,
        "JAX_PLATFORMS": "cpu",
        "XLA_FLAGS": f"--xla_force_host_platform_device_count={devices}",
    }
    command = [sys.executable, "-c", SMALL_SHARDS, f"--dataset={folder}", *COMMON]
    command += [f"--workdir={workdir}", f"--rank_on={place}", "--debug", *more]
    together = ["--multihost", f"--coordinator=localhost:{free_port()}", f"--processes={processes}"]
    started = [
        subprocess.Popen(
            [*command, *([*together, f"--process={number}"] if processes > 1 else [])],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for number in range(processes)
    ]
    for process in started:
        said, _ = process.communicate(timeout=150)
        assert process.returncode == 0, said


def outcome(workdir: Path) -> tuple[dict, list[np.ndarray], dict]:
    """Statistics (a network without batch norm: none), descriptors by shard, mAP by its key."""
    statistics = {}
    for file in workdir.glob("statistics/*/batch_stats.npz"):
        statistics |= read_arrays(file)
    shards = sorted(workdir.glob("features/*/shard-*.npz"))
    figures = json.loads((workdir / "results.json").read_text())["figures"]
    return (
        statistics,
        [read_arrays(shard)["vectors"] for shard in shards],
        {(f["ranking"], f["protocol"]): f["map"] for f in figures},
    )


@pytest.fixture(scope="module")
def alone(folder, tmp_path_factory):
    workdir = tmp_path_factory.mktemp("alone")
    run(folder, workdir, processes=1, devices=1)
    return outcome(workdir)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("processes", "devices", "place"),
    # On CPUs the first process ranks for all, or the devices of all rank together.
    [(1, 4, "device"), (2, 2, "device"), (4, 1, "auto")],
)
def test_any_number_of_processes_and_devices_gives_the_same(
    alone, folder, tmp_path, processes, devices, place
):
    run(folder, tmp_path, processes, devices, place)
    statistics, descriptors, figures = outcome(tmp_path)
    for name, expected in alone[0].items():
        # beside the layer's largest variance, or for a mean its root: what batch norm divides by
        unit = alone[0][name.replace("/mean", "/var")].max()
        unit = np.sqrt(unit) if "/mean" in name else unit
        assert np.abs(statistics[name] - expected).max() < 1e-6 * unit, name
    for found, expected in zip(descriptors, alone[1], strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-5 * np.abs(expected).max())
    assert figures == pytest.approx(alone[2], abs=1e-9)


@pytest.mark.slow
def test_a_vision_transformer_on_two_processes_of_two_devices(folder, tmp_path):
    vit = ("--model=dinov2-small", "--weights=random", "--image_size=70")
    run(folder, tmp_path / "alone", 1, 1, "auto", *vit)
    run(folder, tmp_path / "both", 2, 2, "device", *vit)
    expected, found = outcome(tmp_path / "alone"), outcome(tmp_path / "both")
    assert not expected[0] and not found[0]
    for one, other in zip(found[1], expected[1], strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5 * np.abs(other).max())
    assert found[2] == pytest.approx(expected[2], abs=1e-9)
