"""Several poolings of one network: one pass makes them all, and a later run takes what is there."""

import csv
import io
import json
from pathlib import Path

import jax
import numpy as np
import pytest
from PIL import Image
from tiny import TINY

import jaxret
from jaxret import functional, models
from jaxret.data.images.loader import batches
from jaxret.descriptors import extraction
from jaxret.descriptors.rmac import region_vectors
from jaxret.descriptors.whitening import PCAWhitening
from jaxret.models import rows
from jaxret.report.variants import told_apart

SIDE, COUNT = 40, 10


@pytest.fixture(autouse=True)
def tiny_row(monkeypatch):
    monkeypatch.setattr(rows, "ROWS", (*rows.ROWS, TINY))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photographs")
    draw = np.random.default_rng(0)
    names = [f"{number}.png" for number in range(COUNT)]
    for name in names:
        Image.fromarray(draw.integers(0, 256, (SIDE, SIDE, 3), np.uint8)).save(folder / name)
    gnd = [{"easy": [0, 1], "hard": [2], "junk": []}, {"easy": [3], "hard": [4], "junk": []}]
    truth = {"imlist": names[:-2], "qimlist": names[-2:], "gnd": gnd}
    (folder / "gnd.json").write_text(json.dumps(truth))
    return folder


@pytest.fixture(scope="module")
def workdir(tmp_path_factory):
    return tmp_path_factory.mktemp("workdir")


def settings(folder, workdir, pooling, **changes):
    usual = {"image_size": SIDE, "pca_dim": "true", "ranking": ("G",)}
    usual |= {"model": "tiny", "weights": "random", "bn_recalibration": "none"}
    places = {"dataset": str(folder), "workdir": str(workdir)}
    return jaxret.Settings(pooling=pooling, **{**usual, **places, **changes})


@pytest.fixture
def passed(monkeypatch):
    """The photographs that passed the network, and for how many poolings each."""
    seen = []
    plain = extraction.Describer.all

    def counted(self, *arguments):
        for batch, vectors in plain(self, *arguments):
            seen.extend((int(place), len(self._poolings)) for place in batch.indices)
            yield batch, vectors

    monkeypatch.setattr(extraction.Describer, "all", counted)
    return seen


def stored(workdir):
    found = workdir.glob("features/*/shard-*.npz")
    return {str(path): path.stat().st_mtime_ns for path in found}


def outputs_of(folder):
    dataset = jaxret.data.load(str(folder))
    encoder = models.random("tiny", 0)
    [batch] = batches(dataset.database, SIDE, len(dataset.database))
    return encoder.outputs(batch.images)


def test_one_pass_makes_all_and_a_later_run_only_what_is_missing(folder, workdir, passed):
    first = [settings(folder, workdir, name) for name in ("rmac", "gem")]
    results = jaxret.run(first)
    assert len(passed) == COUNT and {count for _, count in passed} == {2}
    before = stored(workdir)
    assert len(before) == 4  # a shard each of the queries and the database, of each pooling

    del passed[:]
    again = [settings(folder, workdir, name) for name in ("rmac", "gem", "crow")]
    more = jaxret.run([*again, settings(folder, workdir, "mac", layers="maxpool")])
    assert len(passed) == COUNT and {count for _, count in passed} == {2}
    assert {path: time for path, time in stored(workdir).items() if path in before} == before
    assert [f["map"] for f in more.figures[:6]] == [f["map"] for f in results.figures]

    del passed[:]
    jaxret.run(again[1], report=False)
    assert not passed

    lost = next(path for path in before if ".npz" in path)
    Path(lost).unlink()  # as a run that was killed between two files of one shard leaves it
    jaxret.run(again, report=False)
    assert {count for _, count in passed} == {1} and stored(workdir).keys() >= before.keys()

    written = json.loads((workdir / "results.json").read_text())["figures"]
    assert {f["model"] for f in written} == {"tiny (random)"}
    assert [f["pooling"] for f in written[::3]] == ["rmac", "gem", "crow", "mac"]
    assert [f["layer"] for f in written[::3]] == [None, None, None, "maxpool"]
    assert all(f["pixels"] == SIDE and f["bytes"] == 4 * TINY.channels for f in written)
    assert all(f["photographs_per_second"] > 0 and "cpu" in f["device"] for f in written)
    lines = list(csv.DictReader(io.StringIO((workdir / "results.csv").read_text())))
    assert {(line["pooling"], line["layer"]) for line in lines} >= {("gem", ""), ("mac", "maxpool")}
    assert "tiny (random), gem, last layer" in (workdir / "report.md").read_text()
    page = (workdir / "report.html").read_text()
    assert "What it costs" in page and "<td>maxpool</td>" in page
    assert len({f["model"] for f in told_apart(more).figures}) == 4


def test_what_is_stored_is_what_the_functions_give(folder, workdir, tmp_path):
    for name in ("gem", "crow"):
        folder_of = tmp_path / name
        one = settings(folder, workdir, name, save_descriptors=str(folder_of))
        jaxret.run(one, report=False)
        expected = functional.l2_normalize(functional.pool(outputs_of(folder), name))
        np.testing.assert_allclose(np.load(folder_of / "database.npy"), expected, atol=1e-5)


@pytest.mark.slow
def test_regions_are_whitened_before_their_sum(folder, workdir, tmp_path):
    one = settings(folder, workdir, None, rmac_whitening="regions", pca_dim=3)
    jaxret.run(jaxret.Settings(**{**vars(one), "save_descriptors": str(tmp_path)}), report=False)
    regions = np.asarray(region_vectors(outputs_of(folder)["map"]))
    learnt = PCAWhitening.fit(regions.reshape(-1, TINY.channels), 3)
    each = np.asarray(learnt(regions.reshape(-1, TINY.channels))).reshape(*regions.shape[:2], 3)
    total = each.sum(axis=1)
    expected = total / np.linalg.norm(total, axis=1, keepdims=True)
    np.testing.assert_allclose(np.load(tmp_path / "database.npy"), expected, atol=2e-4)


@pytest.mark.slow
def test_a_pooling_that_the_network_has_not_is_a_gap_beside_others_and_an_error_alone(
    folder, workdir
):
    both = [settings(folder, workdir, name) for name in ("cls", "gem")]
    results = jaxret.run(both, report=False)
    assert {f["pooling"] for f in results.figures} == {"gem"}
    assert any("tiny has no cls. It has rmac" in note for note in results.notes)
    with pytest.raises(jaxret.UserError, match="tiny has no cls"):
        jaxret.run(both[0], report=False)


@pytest.mark.slow
def test_the_mean_of_raw_scales_is_another_descriptor(folder, workdir, tmp_path):
    rows_of = {}
    for mean in ("normalized", "raw"):
        place = tmp_path / mean
        changes = {"scales": (1.0, 0.8), "scales_mean": mean, "save_descriptors": str(place)}
        jaxret.run(settings(folder, workdir, "rmac", **changes), report=False)
        rows_of[mean] = np.load(place / "database.npy")
    assert jax.default_backend() == "cpu" and not np.allclose(*rows_of.values(), atol=1e-4)
