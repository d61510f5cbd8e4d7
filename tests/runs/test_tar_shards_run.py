"""Tar files to feature shards to a ranking beside a database, without a network."""

import dataclasses
import json

import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image
from rows import unit
from skimage import data as photographs
from tars import jpeg, pack, samples

import jaxret
from jaxret import models
from jaxret.data.images.loader import batches
from jaxret.descriptors import extraction
from jaxret.descriptors.feature_shards import names_of
from jaxret.errors import UserError
from jaxret.models import rows
from jaxret.models.encoder import Encoder
from jaxret.runs.streamed import tar_shards
from jaxret.runs.streamed.distractors import run_beside
from jaxret.runs.streamed.tar_shards import describe_tars

CHANNELS = 12


@pytest.fixture
def seen(monkeypatch):
    """The encoder is a random projection of the pixels; which photographs it has seen."""
    names = []

    class Projection:
        channels = (CHANNELS,)

        def __init__(self, encoder, several):
            [how] = several
            self.how = how
            draw = np.random.default_rng(0)
            self.matrix = draw.standard_normal((how.image_size**2 * 3, CHANNELS))

        def all(self, split, positions, skipped, clock):
            on_bad = self.how.on_bad_image
            size = self.how.image_size
            for batch in batches(split, size, 4, positions, on_bad=on_bad, bad=skipped):
                names.extend(split.names[int(i)] for i in batch.indices)
                pixels = batch.images[: batch.count].reshape(batch.count, -1) / 255.0
                yield batch, (pixels @ self.matrix).astype(np.float32)

    weights = {"params": {"w": jnp.zeros(3, jnp.float32)}, "batch_stats": {}}
    spec = dataclasses.replace(models.get("simclr1x"), channels=CHANNELS)
    monkeypatch.setattr(rows, "ROWS", (spec,))
    monkeypatch.setattr(
        "jaxret.stages.encoders.models.random", lambda name, seed: Encoder(spec, weights)
    )
    for module in (extraction, tar_shards):
        monkeypatch.setattr(module, "Describer", Projection)
    return names


@pytest.fixture
def folder(tmp_path):
    """Three things, three views of each, one folder an instance."""
    for name in ("astronaut", "chelsea", "coffee"):
        whole = Image.fromarray(getattr(photographs, name)())
        (tmp_path / "things" / name).mkdir(parents=True)
        for view in range(3):
            side = (3 * view, 2 * view, whole.width, whole.height)
            place = tmp_path / "things" / name / f"{view}.png"
            whole.crop(side).resize((64, 48)).save(place)
    return tmp_path / "things"


@pytest.fixture
def tars(tmp_path):
    """Two tars of 7 and 4 photographs; one of the second is none."""
    (tmp_path / "tars").mkdir()
    pack(tmp_path / "tars" / "a.tar", samples(0, 7))
    members = [*samples(7, 2), ("00009.jpg", b"no photograph"), *samples(10, 1)]
    pack(tmp_path / "tars" / "b.tar", members)
    return f"{tmp_path}/tars/*.tar"


@pytest.fixture
def settings(folder, tmp_path):
    return jaxret.Settings(
        model="simclr1x",
        weights="random",
        dataset=str(folder),
        image_size=32,
        bn_recalibration="none",
        pca_dim=3,
        labels="folders",
        ranking=("G", "G+AQE"),
        workdir=str(tmp_path / "workdir"),
        save_descriptors=str(tmp_path / "shards"),
    )


def test_every_tar_is_a_shard_with_its_names(seen, tars, settings, tmp_path):
    found = describe_tars([tars], settings)
    assert (found.shards, found.rows, found.made) == (2, 10, 2)
    assert [name for name, _ in found.skipped] == ["b.tar: 00009"]
    rows_b = np.load(tmp_path / "shards" / "b.npy", mmap_mode="r")
    assert rows_b.dtype == np.float16 and rows_b.shape == (3, 3)
    np.testing.assert_allclose(np.linalg.norm(rows_b.astype(np.float64), axis=1), 1, atol=1e-3)
    assert names_of(tmp_path / "shards" / "b.npy") == ["00007", "00008", "00010"]
    # the same photograph alone in a tar of its own has the same descriptor
    alone = pack(tmp_path / "c.tar", [("x/8.jpg", jpeg(8))])
    describe_tars([str(alone)], settings)
    again = np.load(tmp_path / "shards" / "c.npy")
    np.testing.assert_allclose(again[0], rows_b[1], atol=1e-3)


def test_a_tar_in_which_nothing_can_be_read(seen, tars, settings, tmp_path):
    pack(tmp_path / "tars" / "c.tar", [("1.jpg", b"none"), ("2.jpg", b"none")])
    found = describe_tars([tars], settings)
    assert (found.shards, found.rows, len(found.skipped)) == (3, 10, 3)
    assert len(jaxret.Shards.of(tmp_path / "shards")) == 10


def test_goes_on_where_it_was_killed(seen, tars, settings, tmp_path):
    describe_tars([tars], settings)
    shards = tmp_path / "shards"
    before = {path.name: path.read_bytes() for path in shards.iterdir()}
    (shards / "b.npy.json").unlink()  # the last that is written
    (shards / ".b.npy.part").write_bytes(b"half")
    seen.clear()
    found = describe_tars([tars], settings)
    assert found.made == 1 and set(seen) == {"00007", "00008", "00010"}
    (shards / ".b.npy.part").unlink()
    assert before == {path.name: path.read_bytes() for path in shards.iterdir()}
    seen.clear()
    assert describe_tars([tars], settings).made == 0 and not seen
    pack(tmp_path / "tars" / "a.tar", samples(0, 9))  # another file under the name
    assert describe_tars([tars], settings).rows == 12


def test_a_bad_photograph_ends_it_where_it_is_to(seen, tars, settings, tmp_path):
    strict = dataclasses.replace(settings, on_bad_image="fail")
    with pytest.raises(UserError, match="'00009' cannot be used"):
        describe_tars([tars], strict)
    assert (tmp_path / "shards" / "a.npy").exists()
    assert not list((tmp_path / "shards").glob("b.*"))


def test_a_cut_tar_leaves_nothing(seen, tars, settings, tmp_path):
    tar = tmp_path / "tars" / "a.tar"
    tar.write_bytes(tar.read_bytes()[:5000])
    with pytest.raises(UserError, match=r"a\.tar cannot be read beyond"):
        describe_tars([tars], settings)
    assert not list((tmp_path / "shards").glob("*.npy*"))


def test_descriptors_made_otherwise_are_not_mixed(seen, tars, settings):
    describe_tars([tars], settings)
    other = dataclasses.replace(settings, pca_dim=2)
    with pytest.raises(UserError, match="made otherwise"):
        describe_tars([tars], other)


def test_ranked_beside_the_dataset(seen, tars, settings, tmp_path):
    own = str(tmp_path / "own")
    jaxret.run(dataclasses.replace(settings, save_descriptors=own), report=False)
    describe_tars([tars], settings)
    given = jaxret.Settings(
        workdir=str(tmp_path / "given"), ranking=("G", "G+AQE"), aqe_n=2, save_ranks="15"
    )
    shards = str(tmp_path / "shards")
    results = run_beside(own, None, None, shards, given)
    # as if all of them were the database
    database = np.load(tmp_path / "own" / "database.npy").astype(np.float32)
    behind = [np.load(tmp_path / "shards" / f"{name}.npy") for name in ("a", "b")]
    queries = np.load(tmp_path / "own" / "queries.npy")
    whole = np.concatenate([database, *behind])
    whole = whole / np.linalg.norm(whole.astype(np.float64), axis=1, keepdims=True)
    ids = np.argsort(-(queries.astype(np.float64) @ whole.T), axis=1, kind="stable")
    truth = json.loads((tmp_path / "own" / "gnd.json").read_text())["gnd"]
    expected = jaxret.evaluate(ids, truth, "classic")["map"]
    [first] = [f for f in results.figures if f["ranking"] == "G"]
    assert first["map"] == pytest.approx(expected, abs=1e-12)
    assert first["oracle@1000"] == 1.0 and 0 < first["map@1000"] <= 1
    assert results.datasets[0]["database"] == len(whole)
    lists = next((tmp_path / "given" / "rankings").glob("*-G.csv")).read_text().splitlines()
    names = [line.split(",")[2] for line in lists[1:16]]
    every = [*json.loads((tmp_path / "own" / "gnd.json").read_text())["imlist"]]
    every += [f"{number:05d}" for number in (*range(9), 10)]
    assert names == [every[place] for place in ids[0][:15]]


def test_what_cannot_be_streamed_is_said(tmp_path):
    np.save(tmp_path / "database.npy", unit(6))
    np.save(tmp_path / "queries.npy", unit(2, seed=1))
    np.save(tmp_path / "more.npy", unit(30, seed=2).astype(np.float16))
    np.save(tmp_path / "other.npy", unit(30, dim=8).astype(np.float16))
    truth = {
        "imlist": [f"{i}" for i in range(6)],
        "qimlist": ["q", "r"],
        "gnd": [{"ok": [0], "junk": []}, {"ok": [1], "junk": []}],
    }
    (tmp_path / "gnd_mine.json").write_text(json.dumps(truth))
    files = [tmp_path / name for name in ("database.npy", "queries.npy", "gnd_mine.json")]

    def run(behind="more.npy", **changes):
        own = jaxret.Settings(workdir=str(tmp_path / "workdir"), **changes)
        return run_beside(*files, str(tmp_path / behind), own, report=False)

    results = run()
    assert [f["ranking"] for f in results.figures] == ["G", "G+AQE"]
    assert "not run: G+DBA" in results.datasets[0]["notes"][0]
    with pytest.raises(UserError, match=r"ask for --ranking=G,G\+AQE"):
        run(ranking=("G+DFS",))
    with pytest.raises(UserError, match=r"other\.npy has 8 numbers a row"):
        run("other.npy")
    with pytest.raises(UserError, match="leave out --pca_dim"):
        run(pca_dim=2)
    with pytest.raises(UserError, match="--save_ranks=NUMBER"):
        run(save_ranks="all")
    (tmp_path / "half").mkdir()
    (tmp_path / "half" / "0123.shards").write_text('["a", "b"]')
    (tmp_path / "half" / "a.npy.json").write_text("{}")
    with pytest.raises(UserError, match=r"1 of the 2 shards of .* are still to be made, b for one"):
        run("half")
