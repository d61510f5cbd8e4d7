"""Anyone's descriptors as NumPy files: ranked and evaluated without a model."""

import dataclasses
import json

import numpy as np
import pytest

import jaxret
from jaxret.data.ground_truth import files as ground_truth
from jaxret.errors import UserError
from jaxret.runs.feature_files import run_given


@pytest.fixture
def files(tmp_path):
    """Two clusters of ten, one query in each."""
    draw = np.random.default_rng(0)
    centres = np.eye(8)[[0] * 10 + [1] * 10]
    np.save(tmp_path / "database.npy", 5 * centres + 0.3 * draw.standard_normal((20, 8)))
    np.save(tmp_path / "queries.npy", np.eye(8, dtype=np.float16)[:2])
    gnd = [{"ok": list(range(10)), "junk": []}, {"ok": list(range(10, 20)), "junk": [0]}]
    truth = {"imlist": [f"{i}.jpg" for i in range(20)], "qimlist": ["a.jpg", "b.jpg"], "gnd": gnd}
    (tmp_path / "gnd_mine.json").write_text(json.dumps(truth))
    return tmp_path / "database.npy", tmp_path / "queries.npy", tmp_path / "gnd_mine.json"


@pytest.fixture
def settings(tmp_path):
    return jaxret.Settings(workdir=str(tmp_path / "workdir"), ranking=("G", "G+AQE"), aqe_n=3)


@pytest.mark.filterwarnings("ignore:.*L2-normalised")
def test_ranked_and_evaluated(files, settings, tmp_path):
    results = run_given(*files, settings=settings)
    assert [(f["ranking"], f["protocol"], f["map"]) for f in results.figures] == [
        ("G", "classic", 1.0),
        ("G+AQE", "classic", 1.0),
    ]
    assert {f["dim"] for f in results.figures} == {8}
    assert (results.figures[0]["model"], results.figures[0]["dataset"]) == ("database", "mine")
    assert (tmp_path / "workdir" / "report.html").exists()


def test_whitened_where_a_dimension_is_given(files, settings):
    whitened = jaxret.Settings(**{**settings.__dict__, "pca_dim": 2})
    results = run_given(*files, settings=whitened, report=False)
    assert {f["dim"] for f in results.figures} == {2}
    assert any("PCA-whitening to 2 dimensions" in note for note in results.notes)


@pytest.mark.filterwarnings("ignore:.*L2-normalised")
def test_kept_in_several_ways(files, settings, tmp_path):
    every = [dataclasses.replace(settings, store=one) for one in ("float32", "int8", "float16")]
    results = run_given(*files, settings=every)
    kept = {f["model"]: (f["store"], f["bytes"], f["map"]) for f in results.figures}
    assert kept == {
        "database": ("float32", 32, 1.0),
        "database (int8)": ("int8", 8, 1.0),
        "database (float16)": ("float16", 16, 1.0),
    }
    assert sum("Kept as" in note for note in results.notes) == 2
    assert results.settings["store"] == ["float32", "int8", "float16"]
    assert "bytes a photograph" in (tmp_path / "workdir" / "report.md").read_text()
    with pytest.raises(UserError, match="--store=pq3 needs a number of bytes that divides 8"):
        run_given(*files, settings=dataclasses.replace(settings, store="pq3"))


def _text(path):
    path.write_text("no numbers")


def _pickled(path):
    np.save(path, np.array([{}, {}], dtype=object), allow_pickle=True)


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (_text, "queries.npy holds no lines of numbers"),
        (_pickled, r"queries.npy must hold numbers .* but holds no array of numbers"),
        (lambda path: path.unlink(), "No such file"),
        (
            lambda path: np.save(path, np.zeros((3, 8))),
            "has 3 rows, but there are 2 names in qimlist",
        ),
        (lambda path: np.save(path, np.zeros((2, 7))), "has 7 numbers a row"),
        (lambda path: np.save(path, np.zeros(2)), r"must hold numbers \[photographs, dimension\]"),
        (lambda path: np.save(path, np.full((2, 8), np.nan)), "NaN"),
    ],
)
def test_bad_files_are_refused_in_a_sentence(files, settings, tmp_path, spoil, sentence):
    spoil(files[1])
    with pytest.raises(UserError, match=sentence):
        run_given(*files, settings=settings)
    assert not (tmp_path / "workdir").exists()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*L2-normalised")
def test_caffenet_descriptors_of_oxford5k_reach_their_published_map(shared_data, tmp_path):
    features = shared_data / "descriptors" / "oxford5k_caffenet_fc7_pca128.npy"
    truth = shared_data / "gnd" / "gnd_oxford5k.pkl"
    known = ground_truth.read(truth, "oxford5k")
    rows = [known.imlist.index(name) for name in known.qimlist]
    np.save(tmp_path / "queries.npy", np.load(features)[rows])
    settings = jaxret.Settings(workdir=str(tmp_path / "workdir"), ranking=("G",))
    [figure] = run_given(features, tmp_path / "queries.npy", truth, settings).figures
    assert round(100 * figure["map"], 2) == 40.30


@pytest.mark.filterwarnings("ignore:.*L2-normalised")
def test_rows_that_are_named_may_stand_in_any_order(files, settings, tmp_path):
    plain = run_given(*files, settings=settings, report=False)
    rows, order = np.load(files[0]), np.random.default_rng(1).permutation(20)
    lines = [f"{i}.JPG," + ",".join(map(str, rows[i])) for i in order]
    (tmp_path / "rows.csv").write_text("\n".join(["stranger.jpg" + ",0" * 8, *lines]))
    named = run_given(tmp_path / "rows.csv", *files[1:], settings=settings, report=False)
    assert [f["ap"] for f in named.figures] == [f["ap"] for f in plain.figures]
    (tmp_path / "rows.csv").write_text("\n".join(lines[1:]))
    with pytest.raises(UserError, match=rf"no row of 1 of the 20 .* such as '{order[0]}.jpg'"):
        run_given(tmp_path / "rows.csv", *files[1:], settings=settings, report=False)


@pytest.mark.filterwarnings("ignore:.*L2-normalised")
def test_a_folder_of_saved_descriptors_is_enough(files, settings, tmp_path):
    plain = run_given(*files, settings=settings, report=False)
    folder = tmp_path / "saved"
    folder.mkdir()
    for source, name in zip(files, ("database.npy", "queries.npy", "gnd.json"), strict=True):
        (folder / name).write_bytes(source.read_bytes())
    again = run_given(folder, None, None, settings=settings, report=False)
    assert [f["ap"] for f in again.figures] == [f["ap"] for f in plain.figures]
    assert {(f["model"], f["dataset"]) for f in again.figures} == {("saved", "saved")}
    order = np.random.default_rng(1).permutation(20)
    np.save(folder / "database.npy", np.load(files[0])[order])
    (folder / "names.txt").write_text("".join(f"{i}.jpg\n" for i in order))
    turned = run_given(folder, None, None, settings=settings, report=False)
    assert [f["ap"] for f in turned.figures] == [f["ap"] for f in plain.figures]
    (folder / "names.txt").write_text("0.jpg\n")
    with pytest.raises(UserError, match=r"has 20 rows and 1 names: one name a row"):
        run_given(folder, None, None, settings=settings)
    (folder / "gnd.json").unlink()
    with pytest.raises(UserError, match=r"holds no gnd.json: say --ground_truth"):
        run_given(folder, None, None, settings=settings)


def test_one_file_alone_is_not_enough(files, settings):
    with pytest.raises(UserError, match="go together"):
        run_given(files[0], None, files[2], settings=settings)


@pytest.mark.filterwarnings("ignore:.*L2-normalised")
def test_ranked_lists_are_saved(files, settings, tmp_path):
    settings = jaxret.Settings(**{**settings.__dict__, "save_ranks": "3"})
    run_given(*files, settings=settings, report=False)
    text = (tmp_path / "workdir" / "rankings" / "database-mine-G.csv").read_text()
    lines = text.splitlines()
    assert lines[0] == "query,rank,photograph,similarity,classic"
    assert len(lines) == 1 + 2 * 3 and lines[1].startswith("a.jpg,1,") and "positive" in lines[1]
    whole = jaxret.Settings(**{**settings.__dict__, "save_ranks": "all"})
    results = run_given(*files, settings=whole, report=False)
    ids = np.load(tmp_path / "workdir" / "rankings" / "database-mine-G+AQE.npy")
    truth = json.loads(files[2].read_text())["gnd"]
    assert ids.shape == (2, 20)
    assert jaxret.evaluate(ids, truth)["map"] == results.figures[1]["map"]
