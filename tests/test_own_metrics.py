"""Benchmarks with metrics of their own and folders as labels, from photographs to the report."""

import csv
import dataclasses
import json

import class_benchmarks as small
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image
from skimage import data as photographs

import jaxret
from jaxret import models
from jaxret.data.benchmarks import loading
from jaxret.data.images.loader import batches
from jaxret.descriptors import extraction, saving
from jaxret.errors import UserError
from jaxret.models import rows
from jaxret.models.encoder import Encoder
from jaxret.ranking.rankings import RankingSettings, rank_all
from jaxret.report.results import Results
from jaxret.report.tables.plain import to_csv
from jaxret.runs.feature_files import run_given
from jaxret.stages.figures import figure


@pytest.fixture
def _small(monkeypatch):
    small.use_counts(monkeypatch)


@pytest.fixture
def _small_pixels(monkeypatch):
    """The encoder is a random projection of the pixels, so that nothing is compiled."""

    class Projection:
        channels = (16,)

        def __init__(self, encoder, several):
            self.how = several[0]
            draw = np.random.default_rng(0)
            self.matrix = draw.standard_normal((self.how.image_size**2 * 3, *self.channels))

        def all(self, split, positions, skipped, clock):
            for batch in batches(split, self.how.image_size, 8, indices=positions):
                pixels = batch.images[: batch.count].reshape(batch.count, -1) / 255.0
                yield batch, (pixels @ self.matrix).astype(np.float32)

    weights = {"params": {"w": jnp.zeros(3, jnp.float32)}, "batch_stats": {}}
    spec = dataclasses.replace(models.get("simclr1x"), channels=Projection.channels[0])
    monkeypatch.setattr(rows, "ROWS", (spec,))
    monkeypatch.setattr(
        "jaxret.stages.encoders.models.random", lambda name, seed: Encoder(spec, weights)
    )
    monkeypatch.setattr(extraction, "Describer", Projection)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Three things in three folders, one photograph in none and one alone in its own."""
    folder = tmp_path_factory.mktemp("data") / "things"
    for name in ("astronaut", "chelsea", "coffee"):
        whole = Image.fromarray(getattr(photographs, name)())
        (folder / name).mkdir(parents=True)
        for view in range(3):
            side = (3 * view, 2 * view, whole.width, whole.height)
            whole.crop(side).resize((64, 48)).save(folder / name / f"{view}.png")
    (folder / "alone").mkdir()
    Image.fromarray(photographs.rocket()).save(folder / "alone" / "rocket.jpg")
    Image.fromarray(photographs.retina()[:300, :300]).save(folder / "retina.jpg")
    return folder


def settings(dataset, workdir, **changes):
    return jaxret.Settings(
        model="simclr1x",
        weights="random",
        dataset=str(dataset),
        workdir=str(workdir),
        image_size=32,
        bn_recalibration="none",
        **{"pca_dim": "true", **changes},
    )


def test_folders_are_labels_enough(_small_pixels, folder, tmp_path):
    jaxret.run(settings(folder, tmp_path, labels="folders", ranking=("G", "G+AQE"), aqe_n=1))
    stored = json.loads((tmp_path / "results.json").read_text())
    assert stored["datasets"][0]["metrics"] == ["map", "r@1"]
    plain = next(one for one in stored["figures"] if one["ranking"] == "G")
    assert plain["queries"] == 9  # of eleven photographs, nine have another of their folder
    assert plain["r@1"] == 1.0
    assert plain["map"] > 0.9
    assert "R@1" in (tmp_path / "report.md").read_text()
    assert "R@1" in (tmp_path / "report.html").read_text()
    lines = csv.DictReader((tmp_path / "results.csv").read_text().splitlines())
    assert {line["metric"] for line in lines} >= {"map", "r@1"}
    assert "by the 4 folders of things" in stored["datasets"][0]["notes"][0]


def test_labels_of_folders_are_exact(folder):
    dataset = jaxret.data.load(folder, labels="folders")
    names = list(dataset.database.names)
    assert names == list(dataset.queries.names)
    for place, entry in enumerate(dataset.ground_truth):
        own = names[place].split("/")[0]
        expected = [
            other
            for other, name in enumerate(names)
            if "/" in name and name.split("/")[0] == own and other != place
        ]
        assert entry == {"ok": expected if "/" in names[place] else [], "junk": [place]}


@pytest.mark.parametrize(
    ("files", "sentence"),
    [
        (["a.jpg", "b.jpg"], "holds 0 folders with photographs"),
        (["one/a.jpg", "one/b.jpg"], "holds 1 folders with photographs"),
        (["one/a.jpg", "two/b.jpg"], "one of them with two photographs"),
        (["_others/a.jpg", "_others/b.jpg", "one/c.jpg", "one/d.jpg"], "holds 1 folders"),
    ],
)
def test_folders_that_tell_nothing_apart(tmp_path, files, sentence):
    for file in files:
        (tmp_path / file).parent.mkdir(exist_ok=True)
        (tmp_path / file).touch()
    with pytest.raises(UserError, match=sentence):
        jaxret.data.load(tmp_path, labels="folders")


def test_labels_are_for_folders(tmp_path):
    with pytest.raises(UserError, match=r"for a folder of photographs; demo has .* is \./demo"):
        jaxret.data.load("demo", tmp_path, labels="folders")
    with pytest.raises(UserError, match="--subset=0-9 is for a benchmark by its name"):
        jaxret.data.load(tmp_path, subset="0-9")


def perfect(dataset, rng):
    """Descriptors under which each query is nearest to its answers; the others are apart."""
    size = len(dataset.database)
    database = np.eye(size, size + 1, dtype=np.float32)
    queries = np.zeros((len(dataset.queries), size + 1), np.float32)
    for query, entry in enumerate(dataset.ground_truth):
        queries[query, [*entry["ok"], *entry["junk"]]] = 1
        queries[query, size] = 0.1 if entry["ok"] else 1e3  # unsure where there is no answer
        queries[query] += rng.random(size + 1, np.float32) * 1e-3
    return queries / np.linalg.norm(queries, axis=1, keepdims=True), database


BEST = {
    "gpr1200": {"map_rect": 1},
    "holidays": {"map": 1},
    "ukbench": {"n-s": 4},
    "copydays": {"map": 1},
    "amstertime": {"map_rect": 1, "r@1": 1, "r@5": 1},
    "sop": {"r@1": 1, "r@10": 1, "r@100": 1, "r@1000": 1},
    "met": {"gap": 1, "gap-": 1, "acc": 1},
    "ilias-core": {"map@1000": 1, "oracle@1000": 1},
}


@pytest.mark.parametrize("name", BEST)
def test_every_benchmark_is_evaluated_by_its_own(_small, tmp_path, name):
    small.write_archives(name, tmp_path / "manual")
    dataset = loading.load(name, tmp_path)
    queries, database = perfect(dataset, np.random.default_rng(0))
    ranked = rank_all(queries, database, ("G",), RankingSettings(depth=dataset.depth))["G"]
    found = figure("G", ranked, dataset, "classic", 8, (queries, database))
    assert {key: found[key] for key in BEST[name]} == pytest.approx(BEST[name], abs=1e-12)
    reverse = rank_all(-queries, database, ("G",))["G"]
    worst = figure("G", reverse, dataset, "classic", 8, (-queries, database))
    main = (*dataset.metrics, "map")[0]
    assert worst[main] < BEST[name][main]
    results = Results(
        datasets=[{"name": name, "metrics": list(dataset.metrics)}],
        figures=[{"model": "m", "dataset": name, **found}],
    )
    lines = list(csv.DictReader(to_csv(results).splitlines()))
    shown = {line["metric"]: line["ours"] for line in lines}
    for key, value in BEST[name].items():
        assert shown[key] == ("4.00" if key == "n-s" else f"{100 * value:.2f}")


def test_a_benchmark_with_a_depth_from_end_to_end(_small, _small_pixels, tmp_path):
    """Met: distractor queries, GAP, and diffusion left out with a sentence."""
    small.write_archives("met-mini", tmp_path / "manual")
    results = jaxret.run(settings("met-mini", tmp_path / "work", data_dir=str(tmp_path)))
    assert {one["ranking"] for one in results.figures} == {"G", "G+AQE", "G+DBA", "G+DBA+AQE"}
    assert all(0 <= one["gap"] <= 1 and one["queries"] == 2 for one in results.figures)
    assert any("4 queries x 2 photographs" in n and "G+DBA+AQE+DFS" in n for n in results.notes)
    table = (tmp_path / "work" / "report.md").read_text()
    assert "| ranking | GAP | GAP of queries with an answer | accuracy |" in table
    with pytest.raises(UserError, match="ask for --ranking=G,G"):
        jaxret.run(
            settings("met-mini", tmp_path / "work", data_dir=str(tmp_path), ranking=("G+DFS",))
        )


@pytest.mark.parametrize("place", [np.asarray, jnp.asarray])
def test_a_depth_keeps_the_first_results(place):
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(50, 8)).astype(np.float32)
    rows = place(rows / np.linalg.norm(rows, axis=1, keepdims=True))
    names = ("G", "G+AQE(n=30)", "G+DBA", "G+DBA+AQE", "G+SG(m=25)", "G+AQE+KR(m=40)")
    whole = rank_all(rows[:9], rows, names)
    for name in names:  # each alone: what one looks at must not depend on another
        for depth in (7, 20):
            cut = rank_all(rows[:9], rows, [name], RankingSettings(depth=depth), scored=30)[name]
            np.testing.assert_array_equal(cut.ids, whole[name].ids[:, :depth], name)
            assert cut.scores is None or cut.scores.shape == (9, depth)
    with pytest.raises(UserError, match="leave out depth"):
        rank_all(rows[:9], rows, ("G+DFS",), RankingSettings(depth=20))


@pytest.mark.parametrize("name", ["gpr1200", "met", "ilias-core"])
def test_saved_descriptors_come_back_with_the_metrics_of_their_own(_small, tmp_path, name):
    small.write_archives(name, tmp_path / "manual")
    dataset = loading.load(name, tmp_path)
    queries, database = perfect(dataset, np.random.default_rng(0))
    draw = np.random.default_rng(1)
    database += 0.3 * draw.standard_normal(database.shape).astype(np.float32)
    database /= np.linalg.norm(database, axis=1, keepdims=True)
    ranked = rank_all(queries, database, ("G",), RankingSettings(depth=dataset.depth))["G"]
    expected = figure("G", ranked, dataset, "classic", database.shape[1], (queries, database))
    saving.save(tmp_path / "saved", queries, database, dataset)
    how = jaxret.Settings(workdir=str(tmp_path / "work"), ranking=("G",))
    [found] = run_given(tmp_path / "saved", None, None, how, report=False).figures
    keys = [*dataset.metrics, "map", "mp@1"]
    assert {key: found[key] for key in keys} == {key: expected[key] for key in keys}
    assert len(dataset.metrics) > 0
