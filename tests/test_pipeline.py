"""The whole way from photographs to figures, on a folder of twelve small photographs."""

import errno
import json
import os

import numpy as np
import pytest
from PIL import Image
from skimage import data as photographs

import jaxret
from jaxret.descriptors import extraction as extraction
from jaxret.errors import UserError

SIDE = 96  # pixels: three cells of the map
INSTANCES = ("astronaut", "chelsea", "coffee")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Three things, four views of each in the database and one as a query."""
    folder = tmp_path_factory.mktemp("folder with spaces")
    imlist, qimlist, gnd = [], [], []
    for number, name in enumerate(INSTANCES):
        whole = Image.fromarray(getattr(photographs, name)())
        for view in range(5):
            file = f"{name}_{view}.jpg"
            whole.crop((10 * view, 5 * view, whole.width, whole.height)).save(folder / file)
            (qimlist if view == 4 else imlist).append(file)
        first = 4 * number
        lists = {"easy": [first, first + 1], "hard": [first + 2], "junk": [first + 3]}
        gnd.append({"bbx": [0, 0, whole.width - 40, whole.height - 20], **lists})
    truth = {"imlist": imlist, "qimlist": qimlist, "gnd": gnd}
    (folder / "gnd.json").write_text(json.dumps(truth))
    return folder


def settings(folder, workdir, **changes):
    return jaxret.Settings(
        dataset=str(folder), workdir=str(workdir), image_size=SIDE, pca_dim=2, dba_n=2, **changes
    )


@pytest.fixture(scope="module")
def first(folder, tmp_path_factory):
    workdir = tmp_path_factory.mktemp("workdir")
    return workdir, jaxret.run(settings(folder, workdir))


@pytest.fixture
def forward_passes(monkeypatch):
    """How many photographs the encoder has seen."""
    seen = []
    plain = extraction.Describer.all

    def counted(self, *arguments):
        for batch, vectors in plain(self, *arguments):
            seen.extend(batch.indices.tolist())
            yield batch, vectors

    monkeypatch.setattr(extraction.Describer, "all", counted)
    return seen


def figures(results):
    return {(f["ranking"], f["protocol"]): f["map"] for f in results.figures}


def test_eight_rankings_under_three_protocols_find_the_objects(first):
    _, results = first
    assert len(results.figures) == 24
    assert figures(results)["G", "medium"] > 0.9
    assert results.models[0]["digest"] == jaxret.models.load("efficientnet-lite0").digest()


def test_random_weights_are_labelled(folder, tmp_path):
    random = jaxret.run(settings(folder, tmp_path, weights="random", ranking=("G",)))
    assert random.figures[0]["model"] == "efficientnet-lite0 (random)"
    assert random.models[0]["source"] == ""


def test_the_report_holds_what_was_returned(first):
    workdir, results = first
    written = json.loads((workdir / "results.json").read_text())
    assert [f["map"] for f in written["figures"]] == [f["map"] for f in results.figures]
    page = (workdir / "report.html").read_text()
    assert "data:image/jpeg;base64," in page
    assert {"results.csv", "report.md"} <= {path.name for path in workdir.iterdir()}


def test_a_second_run_reuses_every_feature_and_says_so(first, folder, forward_passes):
    workdir, results = first
    again = jaxret.run(settings(folder, workdir))
    assert not forward_passes
    assert figures(again) == figures(results)
    assert any("reused" in note for note in again.notes)


def test_a_compressed_database_is_another_row_from_the_same_features(first, folder, forward_passes):
    workdir, whole = first
    kept = jaxret.run(settings(folder, workdir, ranking=("G",), store="int8", store_rescore=2))
    assert not forward_passes
    [medium] = [figure for figure in kept.figures if figure["protocol"] == "medium"]
    assert medium["model"] == "efficientnet-lite0 (int8, first 2 exact)"
    assert (medium["store"], medium["store_rescored"], medium["bytes"]) == ("int8", 2, 2)
    assert {figure["bytes"] for figure in whole.figures} == {8}
    assert any("2 bytes, 8 as float32" in note for note in kept.notes)


@pytest.mark.slow
def test_codes_are_learnt_where_the_whitening_is(folder, tmp_path):
    both = settings(folder, tmp_path, ranking=("G",), store="pq1", whiten_on="demo")
    results = jaxret.run(both)
    assert any("the codes were learnt on demo" in note for note in results.notes)
    assert results.figures[0]["bytes"] == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"bn_recalibration": "none"},
        {"query_crop": "none"},
        {"rmac_levels": 2},
        {"weights": "random"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_changed_setting_never_meets_an_old_shard(first, folder, forward_passes, changes):
    workdir, _ = first
    jaxret.run(settings(folder, workdir, ranking=("G",), **changes), report=False)
    assert sorted(set(forward_passes)) == list(range(12))


def shards(workdir):
    found = workdir.glob("features/*/shard-*.npz")
    return {str(path.relative_to(workdir)): path.read_bytes() for path in found}


def test_a_run_that_dies_goes_on_after_its_last_shard(
    first, folder, tmp_path, monkeypatch, forward_passes
):
    monkeypatch.setattr(extraction, "SHARD", 4)
    written = extraction.write_arrays

    def die_at_the_third(path, **arrays):
        if len(shards(tmp_path)) == 3:
            raise KeyboardInterrupt
        written(path, **arrays)

    monkeypatch.setattr(extraction, "write_arrays", die_at_the_third)
    with pytest.raises(KeyboardInterrupt):
        jaxret.run(settings(folder, tmp_path))
    monkeypatch.setattr(extraction, "write_arrays", written)
    del forward_passes[:]
    results = jaxret.run(settings(folder, tmp_path))
    assert forward_passes == [8, 9, 10, 11]  # the database's last shard; nothing else again
    assert figures(results) == figures(first[1])


@pytest.mark.parametrize(
    ("number", "says"), [(errno.ENOSPC, "is full"), (errno.EROFS, "cannot be written")]
)
def test_a_disk_that_takes_no_more_leaves_the_good_shards(
    first, folder, tmp_path, monkeypatch, forward_passes, number, says
):
    monkeypatch.setattr(extraction, "SHARD", 4)
    flush = os.fsync

    def refuse(handle):
        if len(shards(tmp_path)) == 3:  # that of the queries, two of the database
            raise OSError(number, os.strerror(number))
        flush(handle)

    with monkeypatch.context() as disk:
        disk.setattr(os, "fsync", refuse)
        with pytest.raises(UserError, match=says):
            jaxret.run(settings(folder, tmp_path))
    assert len(shards(tmp_path)) == 3
    assert not list(tmp_path.rglob(".*.part"))
    del forward_passes[:]
    assert figures(jaxret.run(settings(folder, tmp_path))) == figures(first[1])
    assert forward_passes == [8, 9, 10, 11]


def test_an_unreadable_photograph_is_named_and_left_out_or_ends_the_run(folder, tmp_path):
    broken = tmp_path / "broken"
    broken.mkdir()
    for path in folder.iterdir():
        (broken / path.name).write_bytes(path.read_bytes())
    (broken / "chelsea_1.jpg").write_bytes(b"\xff\xd8\xff")
    results = jaxret.run(settings(broken, tmp_path / "w", ranking=("G",)))
    assert results.datasets[0]["skipped"] == ["chelsea_1.jpg"]
    assert results.datasets[0]["database"] == 11
    assert any("chelsea_1.jpg" in note for note in results.notes)
    assert figures(results)["G", "medium"] > 0.9  # the ids behind the gap moved up
    with pytest.raises(UserError, match=r"chelsea_1\.jpg"):
        jaxret.run(settings(broken, tmp_path / "w2", on_bad_image="fail"))


def test_a_query_without_the_readable_is_left_out(folder, tmp_path):
    broken = tmp_path / "broken"
    broken.mkdir()
    for path in folder.iterdir():
        (broken / path.name).write_bytes(path.read_bytes())
    (broken / "coffee_4.jpg").write_bytes(b"")
    results = jaxret.run(settings(broken, tmp_path / "w", ranking=("G", "G+DFS")))
    assert {len(f["ap"]) for f in results.figures} == {2}


def test_infinite_features_stop_the_run_with_photograph_and_layer(folder, tmp_path, monkeypatch):
    from jaxret.stages.encoders import models

    encoder = models.random("efficientnet-lite0")
    stem = encoder.variables["params"]["conv_stem"]
    stem["kernel"] = stem["kernel"].at[0].set(np.inf)
    monkeypatch.setattr(models, "random", lambda name, seed: encoder)
    with pytest.raises(UserError, match=r"astronaut_4\.jpg is not finite.*conv_stem|stem"):
        jaxret.run(settings(folder, tmp_path, weights="random", bn_recalibration="none"))


def test_a_pca_dimension_that_the_database_cannot_bear_is_refused(folder, tmp_path):
    too_many = settings(folder, tmp_path)
    with pytest.raises(UserError, match="12"):
        jaxret.run(jaxret.Settings(**{**too_many.__dict__, "pca_dim": 12}))
    assert not (tmp_path / "results.json").exists()


@pytest.mark.slow
def test_learnt_weights_clearly_beat_random_ones_on_the_demo(tmp_path):
    """Whoever mixes up weights, preprocessing or ids does not get past this."""
    wanted = {"workdir": str(tmp_path), "image_size": 224, "ranking": ("G", "G+AQE", "G+DFS")}
    learnt, random = (
        figures(jaxret.run(jaxret.Settings(weights=weights, **wanted), report=False))
        for weights in ("converted", "random")
    )
    for cell, value in learnt.items():
        assert value > random[cell] + 0.4, cell
    assert learnt["G+DFS", "medium"] > learnt["G", "medium"]
