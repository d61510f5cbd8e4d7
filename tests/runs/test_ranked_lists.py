"""Ranked lists and descriptors as data: what is written is what was ranked, and reads back."""

import csv
import io
import json
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from skimage import data as photographs

import jaxret
from jaxret.data.dataset import Dataset, FileSplit
from jaxret.pipeline import Evaluation
from jaxret.ranking.rankings import RANKINGS, rank_all
from jaxret.runs import ranked_lists
from jaxret.runs.feature_files import run_given
from jaxret.runs.search import as_found, search
from jaxret.settings import Settings
from jaxret.stages.cached_results import Top

GND = [{"easy": [0], "hard": [2], "junk": [1]}, {"easy": [], "hard": [3], "junk": []}]


def dataset(tmp_path, **changes):
    names = tuple(f"{i}, \n é.jpg" for i in range(4))
    database, queries = FileSplit(tmp_path, names), FileSplit(tmp_path, ("a.jpg", "a.jpg"))
    whole = Dataset("x", "1", database, queries, GND, ("easy", "medium", "hard"))
    return replace(whole, **changes)


def test_csv_says_who_was_found_and_what_was_right(tmp_path):
    top = Top(np.array([[1, 2, 0], [3, 0, 1]]), scores=np.array([[0.9, 0.5, 0.25], [1, 0, -1]]))
    text = ranked_lists.to_csv(dataset(tmp_path), "G+AQE", top, 3)
    rows = list(csv.reader(io.StringIO(text)))
    assert rows[0] == ["query", "rank", "photograph", "similarity", "easy", "medium", "hard"]
    assert rows[1] == ["a.jpg", "1", "1, \\n é.jpg", "0.9", "junk", "junk", "junk"]
    assert rows[2][3:] == ["0.5", "junk", "positive", "positive"]
    assert rows[3][3:] == ["0.25", "positive", "positive", "junk"]
    assert rows[4][1:] == ["1", "3, \\n é.jpg", "1", "junk", "positive", "positive"]
    assert rows[5][3:] == ["0", "negative", "negative", "negative"]
    assert len(rows) == 7
    assert len(ranked_lists.to_csv(dataset(tmp_path), "G", top, 2).splitlines()) == 5


def test_scores_are_called_so_and_no_ground_truth_says_nothing(tmp_path):
    plain = dataset(tmp_path, ground_truth=None, protocols=())
    text = ranked_lists.to_csv(plain, "G+DFS", Top(np.array([[1], [3]])), 1)
    assert text.splitlines()[0] == "query,rank,photograph,score"
    assert text.splitlines()[2] == 'a.jpg,1,"3, \\n é.jpg",'


def test_ids_count_the_whole_database_and_evaluate(tmp_path):
    """Photograph 1 and query 0 could not be read: ids 0, 1, 2 of the rest are 0, 2, 3."""
    found = Evaluation(
        Settings(), dataset(tmp_path), sizes=(2, 4), unread={"database": [1], "queries": [0]}
    )
    ids = ranked_lists.whole_ids(Top(np.array([[2, 0, 1]])), found)
    assert ids.tolist() == [[-1, -1, -1, -1], [3, 0, 2, -1]]
    assert jaxret.evaluate(ids, GND)["ap"].tolist() == [0.0, 1.0]
    cut = ranked_lists.whole_ids(Top(np.array([[2, 0]])), found)  # of a dataset with a depth
    assert cut.tolist() == [[-1, -1, -1, -1], [3, 0, -1, -1]]


def test_files_of_several_evaluations_have_several_names():
    base = Settings(model="simclr2x+simclr4x", dataset="./my photographs/ä")
    assert ranked_lists.file_names([base]) == ["simclr2x+simclr4x-ä"]
    every = [replace(base, pca_dim=dim) for dim in (None, 128, "true")]
    every += [Settings(), Settings(dataset="./demo"), Settings(dataset="a/my photographs")]
    assert ranked_lists.file_names(every) == [
        "simclr2x+simclr4x-ä-default",
        "simclr2x+simclr4x-ä-128",
        "simclr2x+simclr4x-ä-true",
        "efficientnet-lite0-demo-default",
        "efficientnet-lite0-demo-default-2",
        "efficientnet-lite0-my_photographs",
    ]


@pytest.mark.parametrize("ranking", RANKINGS)
def test_scores_are_those_that_a_ranking_orders_by(ranking):
    draw = np.random.default_rng(0)
    queries, database = draw.standard_normal((3, 8)), draw.standard_normal((70, 8))
    rows = [x / np.linalg.norm(x, axis=1, keepdims=True) for x in (queries, database)]
    found = rank_all(*rows, [ranking], scored=9)[ranking]
    assert found.scores.shape == (3, 9) and found.scores.dtype == np.float32
    assert (np.diff(found.scores, axis=1) <= 0).all()
    assert rank_all(*rows, [ranking])[ranking].scores is None
    if ranking == "G":
        near = np.take_along_axis(rows[0] @ rows[1].T, found.ids[:, :9], axis=1)
        np.testing.assert_allclose(found.scores, near, atol=1e-6)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Three things, four views of each, and what answers what."""
    folder = tmp_path_factory.mktemp("three things")
    for number, name in enumerate(("astronaut", "chelsea", "coffee")):
        whole = Image.fromarray(getattr(photographs, name)())
        for view in range(4):
            box = (10 * view, 5 * view, whole.width, whole.height)
            whole.crop(box).save(folder / f"{number}_{view}.jpg")
    names = [f"{number}_{view}.jpg" for number in range(3) for view in range(1, 4)]
    gnd = [{"ok": [3 * n, 3 * n + 1, 3 * n + 2], "junk": []} for n in range(3)]
    truth = {"imlist": names, "qimlist": [f"{n}_0.jpg" for n in range(3)], "gnd": gnd}
    (folder / "gnd.json").write_text(json.dumps(truth))
    return folder


@pytest.mark.slow
def test_of_a_run_and_read_back_equal(folder, tmp_path):
    workdir, saved = tmp_path / "w", tmp_path / "saved"
    settings = Settings(
        dataset=str(folder), workdir=str(workdir), image_size=64, ranking=("G", "G+AQE", "G+DFS"),
        pca_dim=3, aqe_n=2, bn_recalibration="none",
    )  # fmt: skip
    plain = jaxret.run(settings)
    assert not list(workdir.glob("rankings/*.csv"))
    named = ranked_lists.file_name(settings.model, folder.name)
    results = jaxret.run(replace(settings, save_ranks="5", save_descriptors=str(saved)))
    assert [f["ap"] for f in results.figures] == [f["ap"] for f in plain.figures]

    queries, database = (np.load(saved / f"{name}.npy") for name in ("queries", "database"))
    assert queries.shape == (3, 3) and database.shape == (9, 3)
    assert (saved / "names.txt").read_text().split() == [
        f"{n}_{v}.jpg" for n in range(3) for v in (1, 2, 3)
    ]
    rows = list(csv.DictReader((workdir / "rankings" / f"{named}-G.csv").read_text().splitlines()))
    assert len(rows) == 3 * 5
    near = queries @ database.T
    for query in range(3):
        mine = [row for row in rows if row["query"] == f"{query}_0.jpg"]
        names = (saved / "names.txt").read_text().split()
        order = np.argsort(-near[query], kind="stable")[:5]
        assert [row["photograph"] for row in mine] == [names[i] for i in order]
        np.testing.assert_allclose(
            [float(r["similarity"]) for r in mine], near[query][order], atol=1e-5
        )
        assert all(
            (row["classic"] == "positive") == row["photograph"].startswith(f"{query}_")
            for row in mine
        )

    again = run_given(
        saved, None, None, replace(settings, pca_dim=None, workdir=str(tmp_path / "w2"))
    )
    assert [f["ap"] for f in again.figures] == [f["ap"] for f in plain.figures]

    jaxret.run(replace(settings, save_ranks="all"))
    for figure in plain.figures:
        ids = np.load(workdir / "rankings" / f"{named}-{figure['ranking']}.npy")
        truth = json.loads((folder / "gnd.json").read_text())["gnd"]
        assert jaxret.evaluate(ids, truth)["map"] == figure["map"]

    jaxret.run([replace(settings, pca_dim=dim, save_descriptors=str(saved)) for dim in (2, "true")])
    assert np.load(saved / f"{named}-2" / "database.npy").shape == (9, 2)
    assert np.load(saved / f"{named}-true" / "database.npy").shape == (9, 1280)


@pytest.mark.slow
def test_of_a_search(folder, tmp_path):
    settings = as_found(
        Settings(
            dataset=str(folder), workdir=str(tmp_path / "w"), image_size=64,
            save_ranks="4", save_descriptors=str(tmp_path / "saved"),
        )
    )  # fmt: skip
    found = search(settings, folder / "1_0.jpg")
    rows = list(csv.DictReader((tmp_path / "w" / "results.csv").read_text().splitlines()))
    assert list(rows[0]) == ["rank", "photograph", "similarity"]
    assert [row["photograph"] for row in rows] == list(found.names) and len(rows) == 4
    np.testing.assert_allclose(
        [float(r["similarity"]) for r in rows], found.similarities, rtol=1e-5
    )
    assert found.results.found[0]["rank"] == 1
    assert "1. 1" in (tmp_path / "w" / "report.md").read_text()
    assert np.load(tmp_path / "saved" / "queries.npy").shape[0] == 1
    assert not (tmp_path / "saved" / "gnd.json").exists()
    assert len(search(replace(settings, save_ranks=None), folder / "1_0.jpg").names) == 9
    search(replace(settings, save_ranks="all"), folder / "1_0.jpg")
    [ids] = (tmp_path / "w" / "rankings").glob("*-G.npy")
    assert np.load(ids).shape == (1, 9)
