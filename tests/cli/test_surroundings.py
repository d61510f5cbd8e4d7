"""No home, a terminal that is not UTF-8, JAX without the device that it is told to use."""

import json
import os
import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
NOBODY = """
import pwd
def unknown(uid):
    raise KeyError(f"getpwuid(): uid not found: {uid}")
pwd.getpwuid = unknown
"""
MAIN = """
import runpy, sys
sys.argv[0] = "jaxret.main"
runpy.run_module("jaxret.main", run_name="__main__")
"""


def run(code, *arguments, **environment):
    """A Python of its own; None takes a variable away."""
    given = {**os.environ, "JAX_PLATFORMS": "cpu", "XLA_FLAGS": "", **environment}
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        env={name: value for name, value in given.items() if value is not None},
        cwd=ROOT,
        capture_output=True,
        timeout=300,
    )


@pytest.fixture
def folder(tmp_path):
    """Photographs whose names few encodings have, one of them no text at all."""
    folder = tmp_path / "写真"
    folder.mkdir()
    draw = np.random.default_rng(0)
    names = ["写真.png", "Café.png", "a.png", os.fsdecode(b"\xff\xfe.png"), "🦆.png", "b.png"]
    for name in names:
        Image.fromarray(draw.integers(0, 256, (64, 64, 3), np.uint8)).save(folder / name)
    truth = {
        "imlist": names[:5],
        "qimlist": ["b.png"],
        "gnd": [{"bbx": [0, 0, 60, 60], "easy": [0], "hard": [1], "junk": []}],
    }
    (folder / "gnd.json").write_text(json.dumps(truth), "utf-8")
    return folder


SLOW_PLATFORMS = [pytest.param(p, marks=pytest.mark.slow) for p in ("tpu", "rocm", "nonsense")]
SMALL = ["--image_size=32", "--pca_dim=true", "--bn_recalibration=none", "--ranking=G"]
HOMELESS = {"HOME": None, "XDG_CACHE_HOME": None}


def one_sentence(process, *words):
    said = process.stderr.decode()
    assert process.returncode == 1, said
    assert len(said.strip().splitlines()) == 1, said
    for word in words:
        assert word in said
    assert not process.stdout


@pytest.mark.slow
def test_no_home_is_needed_where_every_place_is_named(folder, tmp_path):
    places = [f"--dataset={folder}", f"--workdir={tmp_path}/w", "--weights_dir=weights"]
    process = run(NOBODY + MAIN, *places, *SMALL, **HOMELESS)
    assert process.returncode == 0, process.stderr.decode()
    assert (tmp_path / "w" / "report.html").exists()
    assert not (ROOT / "~").exists()


@pytest.mark.parametrize("flags", [
    [],
    pytest.param(["--workdir=w"], marks=pytest.mark.slow),
    ["--workdir=~/w", "--dataset=x"],
    pytest.param(["--dataset=~/x", "--workdir=w"], marks=pytest.mark.slow),
    pytest.param(["--dataset=roxford5k", "--workdir=w"], marks=pytest.mark.slow),
])  # fmt: skip
def test_where_a_home_is_needed_one_sentence_says_what_to_name(flags):
    one_sentence(run(NOBODY + MAIN, *flags, **HOMELESS), "--workdir", "--data_dir", "HOME")


@pytest.mark.slow
@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "utf-8", "latin-1:strict"])
@pytest.mark.parametrize("ask", ["search", "evaluation"])
def test_a_name_that_the_terminal_does_not_have_is_escaped(folder, tmp_path, encoding, ask):
    query = [f"--query={folder}/写真.png"] if ask == "search" else []
    flags = [f"--dataset={folder}", f"--workdir={tmp_path}/w", *query, *SMALL]
    process = run(MAIN, *flags, PYTHONIOENCODING=encoding)
    assert process.returncode == 0, process.stderr.decode(encoding.partition(":")[0])
    shown = process.stdout.decode(encoding.partition(":")[0])
    assert "Report: " in shown
    if ask == "search":
        assert ("写真.png" if encoding == "utf-8" else "\\u5199\\u771f.png") in shown
    for file in (tmp_path / "w").glob("re*.*"):
        if file.suffix != ".jpg":
            file.read_text("utf-8")


def test_the_commands_are_imported_side_by_side():
    code = "import jaxret.main, jaxret.train; print('both')"
    process = run(code)
    assert process.stdout == b"both\n", process.stderr.decode()


def test_so_are_the_tools(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "tools"))
    tools = sorted((ROOT / "tools").glob("*.py"))
    assert len(tools) > 8
    for tool in tools:
        runpy.run_path(str(tool), run_name="imported")


@pytest.mark.parametrize("platform", ["cuda", *SLOW_PLATFORMS])
def test_a_platform_that_is_not_there_is_one_sentence(platform, tmp_path):
    process = run(MAIN, f"--workdir={tmp_path}", JAX_PLATFORMS=platform)
    if platform == "tpu":  # libtpu, where it is installed, has told of its own search before
        process.stderr = process.stderr.splitlines()[-1]
    one_sentence(process, f"JAX_PLATFORMS={platform}", "cpu")
