"""The builders at full size: stand-ins under all the real names, through the real ground truths."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from jaxret.data.benchmarks import loading, registry, stand_ins
from jaxret.data.ground_truth import files

SLOW = pytest.mark.slow


@pytest.mark.parametrize(
    "name",
    [
        "roxford5k",
        *(pytest.param(name, marks=SLOW) for name in ("oxford5k", "paris6k", "rparis6k", "instre")),
    ],
)
def test_all_real_names(shared_data: Path, tmp_path: Path, name: str) -> None:
    row = registry.get(name)
    file = shared_data / "gnd" / row.ground_truth.file
    truth = files.read(file, name)
    manual = tmp_path / "manual"
    archives = name in ("paris6k", "oxford5k")
    assert stand_ins.make(truth, row.builder, manual, archives=archives) == row.photographs
    (manual / file.name).symlink_to(file)
    dataset = loading.load(name, tmp_path)
    assert (len(dataset.database), len(dataset.queries)) == (row.database, row.queries)
    assert list(dataset.database.names) == truth.imlist
    assert list(dataset.queries.names) == truth.qimlist
    assert dataset.ground_truth == truth.gnd
    assert dataset.notes[1] == f"Ground truth {row.ground_truth.file}: the known file."
    encoded = {
        path.rsplit("/", 1)[-1] if row.builder != "instre" else path: content
        for path, content in stand_ins.contents(truth, row.builder)
    }
    for split in (dataset.database, dataset.queries):
        for place in range(0, len(split), 97):
            photograph = split.names[place].removesuffix(".jpg")
            assert split.read(place) == encoded[f"{photograph}.jpg"]
    _second_run_reuses(name, tmp_path)


def _second_run_reuses(name: str, data_dir: Path) -> None:
    records = list(data_dir.rglob("*.array_record*"))
    written = {path: path.stat().st_mtime_ns for path in records}
    started = time.monotonic()
    loading.load(name, data_dir, manual_dir=data_dir / "nowhere")
    assert time.monotonic() - started < 5
    assert {path: path.stat().st_mtime_ns for path in records} == written


@SLOW
def test_memory_stays_flat(shared_data: Path, tmp_path: Path) -> None:
    """28,543 photographs padded to 20 kB are 570 MB; preparing them takes a fraction of that."""
    row = registry.get("instre")
    file = shared_data / "gnd" / row.ground_truth.file
    manual = tmp_path / "manual"
    stand_ins.make(files.read(file), "instre", manual)
    for path in manual.rglob("*.jpg"):
        content = path.read_bytes()
        path.write_bytes(content[:-2] + b"\0" * (20_000 - len(content)) + content[-2:])
    (manual / file.name).symlink_to(file)
    code = f"""
import resource
from jaxret.data.benchmarks import loading
import tensorflow_datasets.core.dataset_builder, scipy.io, PIL.Image
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
loading.load("instre", {str(tmp_path)!r})
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert int(done.stdout) < 150  # MB, the names, lists and one shard
