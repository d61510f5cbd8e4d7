"""The device's script, on the CPU at small sizes."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from benchmarks import device
from benchmarks._device import encoders, photographs, rankings
from benchmarks._device.report import Report, checked, row
from benchmarks._device.sizes import SMALL
from benchmarks._programs import describe

from jaxret import models

TOOLS = Path(__file__).parents[2] / "tools"
FACTS = {
    "date": "2026-01-01",
    "processor": "some",
    "cores": 2,
    "devices": ["cpu"],
    "versions": {"jax": "0"},
}
# What a borrowed machine often lacks.
MISSING = ["tensorflow_datasets", "array_record", "importlib_resources", "faiss", "platformdirs"]
MISSING += ["threadpoolctl", "tqdm", "skimage", "sklearn", "matplotlib", "requests", "joblib"]


@pytest.mark.slow
def test_it_imports_where_only_jax_and_pytorch_are_installed():
    code = (
        f"import sys; sys.modules.update(dict.fromkeys({MISSING}))\n"
        "import benchmarks.device, benchmarks._torch_side, twins, jaxret.convert\n"
        "from benchmarks._device import host_rankings"
    )
    path = [str(TOOLS), str(TOOLS.parent)]
    code = f"import sys; sys.path[:0] = {path}\n{code}"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr


def test_search_and_decoding_write_both_files(tmp_path, capsys):
    assert device.main(["--small", "--only=df", f"--output={tmp_path}"]) == 0
    stored = json.loads((tmp_path / "device.json").read_text())
    ours, theirs = stored["parts"]["Search"]
    assert ours["figures"]["seconds"] > 0
    assert theirs["figures"]["equal ids"] == 1
    assert stored["parts"]["Decoding"][0]["figures"]["photographs/s"] > 0
    page = (tmp_path / "device.md").read_text()
    assert "### Search" in page
    assert page in capsys.readouterr().out


def parts_of(monkeypatch, *parts: device.Part) -> None:
    monkeypatch.setattr(device, "parts", lambda sizes, left: list(parts))


def test_a_part_without_time_is_left_out_with_a_sentence(tmp_path, monkeypatch):
    def never():
        raise AssertionError("it was run")

    parts_of(
        monkeypatch,
        device.Part("a", "Quick", 1, lambda: iter([row("one", seconds=0.5)])),
        device.Part("b", "Slow", 1000, never),
    )
    report = Report(FACTS, tmp_path, budget=100)
    device.measure(report, SMALL, "ab")
    assert report.holds
    assert "left out: 100 s were left, about 1000 needed." in (tmp_path / "device.md").read_text()


def test_what_breaks_or_is_too_far_is_said_and_the_rest_goes_on(tmp_path, monkeypatch):
    def breaks():
        yield row("first", seconds=1.0)
        assert (tmp_path / "device.json").exists()  # written before the next is measured
        raise RuntimeError("out of memory")

    parts_of(
        monkeypatch,
        device.Part("a", "Breaks", 1, breaks),
        device.Part("b", "Far", 1, lambda: iter([checked("map", 1e-3, 1e-5)])),
        device.Part("c", "Near", 1, lambda: iter([checked("map", 1e-6, 1e-5)])),
    )
    report = Report(FACTS, tmp_path, budget=100)
    device.measure(report, SMALL, "abc")
    assert not report.holds
    page = (tmp_path / "device.md").read_text()
    assert "| first | seconds 1 |" in page
    assert "FAILED: RuntimeError: out of memory" in page
    assert page.count("TOO FAR") == 1
    assert not checked("NaN", float("nan"), 1.0)["holds"]


def test_pytorch_in_blocks_finds_the_nearest(monkeypatch):
    torch = pytest.importorskip("torch")
    monkeypatch.setattr(rankings, "TORCH_BLOCK", 7)
    random = np.random.default_rng(0)
    queries, database = random.standard_normal((3, 5)), random.standard_normal((23, 5))
    found = rankings.blocks_of_topk(torch.from_numpy(queries), torch.from_numpy(database), 9)
    expected = np.argsort(-(queries @ database.T), axis=1)[:, :9]
    np.testing.assert_array_equal(found.numpy(), expected)


def test_ids_that_are_missed_are_counted_query_by_query():
    expected = np.array([[0, 1], [2, 3]])
    assert rankings.missed(np.array([[1, 0], [2, 3]]), expected) == 0
    assert rankings.missed(np.array([[2, 3], [2, 1]]), expected) == 0.75


def test_pictures_are_as_smooth_as_photographs():
    first, second = photographs.pictures(64, 2).astype(float)
    assert not np.array_equal(first, second)
    assert 20 < first.std() < 90
    neighbours = np.corrcoef(first[:, 1:].ravel(), first[:, :-1].ravel())[0, 1]
    assert neighbours > 0.8
    np.testing.assert_array_equal(photographs.pictures(64, 1)[0], first)


def test_operations_are_those_of_the_convolutions():
    # PyTorch's counter finds 87.2 GFLOP a photograph; XLA leaves out what meets padding.
    program = describe(models.get("resnet50"), "bfloat16", batch=2)
    assert encoders.operations(program) == pytest.approx(2 * 87.2e9, rel=0.01)


@pytest.mark.slow
def test_every_part_runs_on_a_cpu_and_holds(tmp_path):
    assert device.main(["--small", f"--output={tmp_path}"]) == 0
    parts = json.loads((tmp_path / "device.json").read_text())["parts"]
    assert len(parts) == 7
    rows = [found for part in parts.values() for found in part]
    assert not [found for found in rows if "failed" in found]
    assert sum("holds" in found for found in rows) >= 3 + 16
