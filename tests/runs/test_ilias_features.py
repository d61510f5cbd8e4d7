"""ILIAS from its makers' features alone: HDF5 files of stand-ins under the real names."""

import dataclasses
import json
import pickle

import class_benchmarks as small
import numpy as np
import pytest
from sklearn.metrics import average_precision_score

import jaxret
from jaxret.data.dataset import Dataset, FileSplit
from jaxret.errors import UserError
from jaxret.runs import similarity_files
from jaxret.runs.feature_files import run_given
from jaxret.runs.given import read_given
from jaxret.stages.cached_results import Top

h5py = pytest.importorskip("h5py")

DIM = 12
DISTRACTORS = [f"yfcc100m_{n // 4}.tar/{n:02x}ab" for n in range(9)]
TEXTS = ["bold_bimp_000/query/T000.txt", "zippy_zootlenibble_999/query/T999.txt"]
NAMES = {
    "features_image_queries.hdf5": small.ILIAS_QUERIES,
    "features_text_queries.hdf5": TEXTS,
    "features_positives.hdf5": small.ILIAS_POSITIVES,
    "features_distractors_00000.hdf5": DISTRACTORS[:4],
    "features_distractors_00001.hdf5": DISTRACTORS[4:],
}


def write_features(path, names, vectors, **changes):
    """As store_features of the makers writes it: index of ASCII strings, float16, gzip."""
    with h5py.File(path, "w") as file:
        if names is not None:
            index = file.create_dataset(
                "index", data=list(names), dtype=h5py.string_dtype(encoding="ascii")
            )
            assert index.dtype.kind == "O"
        file.create_dataset("features", data=vectors, compression="gzip", **changes)


@pytest.fixture
def made(tmp_path, monkeypatch):
    """A folder of features and one of ids; and the vectors by name."""
    small.use_counts(monkeypatch)
    draw = np.random.default_rng(0)
    features, ids = tmp_path / "model", tmp_path / "ilias" / "image_ids"
    features.mkdir()
    ids.mkdir(parents=True)
    vectors = {}
    for file, names in NAMES.items():
        rows = draw.standard_normal((len(names), DIM))
        rows = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float16)
        vectors.update(zip(names, rows, strict=True))
        write_features(features / file, names, rows)
    # the makers' lists have further columns
    (ids / "image_query_ids.txt").write_text("".join(f"{n},1\n" for n in small.ILIAS_QUERIES))
    (ids / "positive_ids.txt").write_text("".join(f"{n},0.1,3\n" for n in small.ILIAS_POSITIVES))
    (ids / "text_query_ids.txt").write_text("\n".join(TEXTS) + "\n")
    keys = [name.split("/")[1] for name in DISTRACTORS[2:7]]
    (ids / "mini_ilias_yfcc100m_ids.txt").write_text("\n".join(keys) + "\n")
    return features, ids, vectors


@pytest.fixture
def settings(tmp_path):
    return jaxret.Settings(workdir=str(tmp_path / "workdir"), ranking=("G",))


def published(vectors, database, k=1000):
    """mAP@k and oracle as evaluation/src/dataset.py of the makers has them, in float64."""
    aps, oracles = [], []
    for query in small.ILIAS_QUERIES:
        own = query.split("/")[0]
        right = {name for name in small.ILIAS_POSITIVES if name.split("/")[0] == own}
        asked = vectors[query].astype(np.float64)
        scores = np.array([vectors[name].astype(np.float64) @ asked for name in database])
        order = np.argsort(-scores, kind="stable")[:k]
        hit = np.isin(np.array(database)[order], list(right))
        precision = average_precision_score(hit, scores[order]) if hit.any() else 0
        aps.append(precision * hit.sum() / min(k, len(right)))
        oracles.append(hit.mean() * (len(order) / len(right)))
    return np.mean(aps), np.mean(oracles)


def names_in(found):
    return list(found.dataset.database.names)


@pytest.mark.filterwarnings("ignore:.*L2-normalised")
def test_a_folder_of_features_and_the_lists_are_enough(made, settings):
    features, ids, vectors = made
    results = run_given(features, None, ids.parent, settings)
    [figure] = results.figures
    expected = published(vectors, [*small.ILIAS_POSITIVES, *DISTRACTORS])
    assert (figure["map@1000"], figure["oracle@1000"]) == pytest.approx(expected, abs=1e-6)
    assert (figure["model"], figure["dataset"]) == ("model", "ilias (9 distractors)")
    [dataset] = results.datasets
    assert dataset["metrics"] == ["map@1000", "oracle@1000"]
    assert (dataset["database"], dataset["queries"]) == (12, 2)
    assert any("rankings end after 1000 results" in note for note in results.notes)
    assert "mAP@1000" in (jaxret.stages.context.workdir_of(settings) / "report.md").read_text()


def test_galleries_are_named_by_what_is_in_them(made):
    features, ids, _ = made
    queries = features / "features_image_queries.hdf5"
    core = read_given(features / "features_positives.hdf5", queries, ids)
    assert (core.dataset.name, core.dataset.depth, len(core.database)) == ("ilias-core", None, 3)
    whole = read_given(f"{features}/*_positives.hdf5,{features}/*_dis*.hdf5", queries, ids)
    assert names_in(whole) == [*small.ILIAS_POSITIVES, *DISTRACTORS]
    mini = read_given(features, None, ids / "mini_ilias_yfcc100m_ids.txt")
    assert names_in(mini) == [*small.ILIAS_POSITIVES, *DISTRACTORS[2:7]]
    np.testing.assert_array_equal(mini.database, whole.database[[0, 1, 2, *range(5, 10)]])
    assert (mini.dataset.name, mini.dataset.depth, mini.name) == ("ilias-mini", 1000, "model")
    (features / "features_distractors_00001.hdf5").unlink()
    partial = read_given(features, None, ids / "mini_ilias_yfcc100m_ids.txt")
    assert partial.dataset.name == "ilias-mini (incomplete)"
    assert partial.dataset.notes[0].startswith("INCOMPLETE: 2 of the 5 distractors in mini_ilias")


def test_text_queries_and_order_do_not_matter(made):
    features, ids, vectors = made
    names = [*TEXTS, *reversed(small.ILIAS_QUERIES)]
    both = features.parent / "both.hdf5"
    write_features(both, names, np.stack([vectors[name] for name in names]))
    found = read_given(features, both, ids)
    assert list(found.dataset.queries.names) == small.ILIAS_QUERIES
    np.testing.assert_array_equal(
        found.queries, np.stack([vectors[name] for name in small.ILIAS_QUERIES]).astype(np.float32)
    )


def _again(features, **of):
    """The positives written anew with something changed."""
    names = of.get("names", small.ILIAS_POSITIVES)
    rows = of.get("rows", np.eye(3, DIM, dtype=np.float16))
    write_features(features / "features_positives.hdf5", names, rows)


def _not_finite(value):
    rows = np.eye(3, DIM, dtype=np.float16)
    rows[1, 4] = value
    return rows


def _of_another_kind(path):
    with h5py.File(path, "w") as file:
        file["weights"] = np.zeros((3, 3, 3))


def _cut(path):
    path.write_bytes(path.read_bytes()[:-400])


POSITIVE = "features_positives.hdf5"
TWICE = [small.ILIAS_POSITIVES[0], *small.ILIAS_POSITIVES[:2]]


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (lambda f: _again(f, names=TWICE), "its index names 'bold_bimp_000/pos/P000_00.jpg' twice"),
        (lambda f: _again(f, rows=_not_finite(np.nan)), "the row of '.*P000_01.jpg' holds NaN"),
        (lambda f: _again(f, rows=_not_finite(np.inf)), "the row of '.*P000_01.jpg' holds NaN"),
        (lambda f: _again(f, names=None), "one names its rows and one does not"),
        (lambda f: _again(f, names=small.ILIAS_POSITIVES[:2]), "has 3 rows and 2 names"),
        (lambda f: _again(f, names=[*small.ILIAS_POSITIVES[:2], "x/1"]), "1 of the 3 positives .*"),
        (lambda f: _again(f, names=[*small.ILIAS_POSITIVES[:2], DISTRACTORS[0]]), "one row a phot"),
        (lambda f: _again(f, rows=np.eye(3, DIM + 1)), "has 12 numbers a row and .* has 13"),
        (lambda f: _of_another_kind(f / POSITIVE), r"must hold numbers .* holds weights \[3, 3, 3"),
        (lambda f: _cut(f / POSITIVE), "cannot be read as descriptors"),
        (lambda f: (f / POSITIVE).write_text("no such thing"), "holds no lines of numbers"),
        (lambda f: _again(f, names=[*small.ILIAS_POSITIVES, *small.ILIAS_QUERIES],
                          rows=np.eye(5, DIM)), "2 queries are among the features"),
        (lambda f: write_features(f / "features_image_queries.hdf5", TEXTS, np.eye(2, DIM)),
         "no row of 2 of the 2 image queries of .*, such as 'bold_bimp_000/query/Q000_00.jpg'"),
    ],
)  # fmt: skip
def test_bad_features_are_refused_in_a_sentence(made, settings, tmp_path, spoil, sentence):
    features, ids, _ = made
    spoil(features)
    with pytest.raises(UserError, match=sentence) as raised:
        run_given(features, None, ids, settings)
    assert "\n" not in str(raised.value)
    assert not (tmp_path / "workdir").exists()


def test_files_that_are_listed_twice_or_are_not_there(made):
    features, ids, _ = made
    queries, positives = features / "features_image_queries.hdf5", features / POSITIVE
    with pytest.raises(UserError, match=r"features_positives.hdf5 is listed twice"):
        read_given(f"{positives},{features}/../model/*_positives.hdf5", queries, ids)
    with pytest.raises(UserError, match="matches no file"):
        read_given(f"{positives},{features}/*.h5", queries, ids)
    with pytest.raises(UserError, match="No such file"):
        read_given(f"{positives},{features}/other.hdf5", queries, ids)
    np.save(features / "more.npy", np.eye(2, DIM))
    with pytest.raises(UserError, match="one names its rows and one does not"):
        read_given(f"{positives},{features}/more.npy", queries, ids)
    with pytest.raises(UserError, match=r"more\.npy does not say which row is whose"):
        read_given(features / "more.npy", queries, ids)
    (features / "b_image_queries.hdf5").write_bytes(queries.read_bytes())
    with pytest.raises(UserError, match=r"holds 2 files \*_image_queries.hdf5"):
        read_given(features, None, ids)


@pytest.mark.parametrize(
    ("file", "text", "sentence"),
    [
        ("positive_ids.txt", None, "holds image_query_ids.txt and no positive_ids.txt"),
        ("positive_ids.txt", small.ILIAS_POSITIVES[:2], "names 2 photographs, 3 were published"),
        ("positive_ids.txt", [*small.ILIAS_POSITIVES[:2]] * 2, "twice; fetch it again"),
        ("positive_ids.txt", ["a/pos/1", "a/pos/2", "a/pos/3"], "has nothing of bold_bimp_000"),
        ("image_query_ids.txt", [""], "names 0 photographs, 2 were published"),
        ("mini_ilias_yfcc100m_ids.txt", [""], "names 0 photographs; fetch it again"),
        ("mini_ilias_yfcc100m_ids.txt", TEXTS, "None of the 2 ids in .* is among the features"),
    ],
)
def test_bad_lists_are_refused_in_a_sentence(made, file, text, sentence):
    features, ids, _ = made
    (ids / file).unlink()
    if text is not None:
        (ids / file).write_text("\n".join(text))
    place = ids / file if "mini" in file else ids
    with pytest.raises(UserError, match=sentence):
        read_given(features, None, place)


@pytest.mark.filterwarnings("ignore:.*L2-normalised")
def test_shards_of_any_form_and_metrics_that_a_ground_truth_asks_for(tmp_path, settings):
    draw = np.random.default_rng(1)
    rows = draw.standard_normal((7, DIM)).astype(np.float32)
    np.save(tmp_path / "a.npy", rows[:3])
    np.save(tmp_path / "b.npy", rows[3:])
    np.save(tmp_path / "q.npy", rows[:2] + 0.1)
    truth = {
        "imlist": [f"{i}.jpg" for i in range(7)],
        "qimlist": ["x.jpg", "y.jpg"],
        "gnd": [{"ok": [0, 4], "junk": []}, {"ok": [1], "junk": [0]}],
        "metrics": ["r@1", "map@3"],
        "depth": 5,
    }
    (tmp_path / "gnd_mine.json").write_text(json.dumps(truth))
    given = f"{tmp_path}/a.npy,{tmp_path}/b.npy", tmp_path / "q.npy", tmp_path / "gnd_mine.json"
    [figure] = run_given(*given, settings, report=False).figures
    assert figure["r@1"] == 1.0
    assert 0.5 < figure["map@3"] <= 1
    with pytest.raises(UserError, match="Diffusion ranks the whole database"):
        run_given(*given, dataclasses.replace(settings, ranking=("G+DFS",)), report=False)
    for key, value, sentence in (
        ("metrics", ["r@first"], "Unknown metric 'r@first'"),
        ("metrics", "r@1", "must be a list of metrics' keys"),
        ("depth", 0, "must be a whole number above 0"),
    ):
        (tmp_path / "gnd_mine.json").write_text(json.dumps({**truth, key: value}))
        with pytest.raises(UserError, match=sentence):
            run_given(*given, settings, report=False)


def evaluated_by_the_makers(similarities, k=1000):
    """_evaluate_json of the makers: {query: {photograph: similarity}} -> AP of each query."""
    found = {}
    for query, scored in similarities.items():
        own = query.split("/")[0]
        right = {name for name in small.ILIAS_POSITIVES if name.split("/")[0] == own}
        ids, scores = np.array(list(scored)), np.array(list(scored.values()))
        order = np.argsort(-scores)
        hit = np.isin(ids[order][:k], list(right))
        precision = average_precision_score(hit, scores[order][:k]) if hit.any() else 0
        found[query] = precision * hit.sum() / min(k, len(right))
    return found


@pytest.mark.filterwarnings("ignore:.*L2-normalised")
@pytest.mark.parametrize("form", ["json", "pickle"])
def test_the_makers_evaluation_reads_what_is_written(made, settings, tmp_path, form):
    features, ids, _ = made
    rankings = ("G", "G+AQE", "G+DBA")
    how = dataclasses.replace(
        settings, ranking=rankings, aqe_n=1, dba_n=2, save_ranks="7", save_ranks_as=form
    )
    results = run_given(features, None, ids, how, report=False)
    for figure in results.figures:
        stem = f"model-ilias_9_distractors-{figure['ranking']}"
        [file] = [f for f in (tmp_path / "workdir" / "rankings").iterdir() if f.stem == stem]
        if form == "json":
            written = json.loads(file.read_text())
        else:
            read = pickle.loads(file.read_bytes())
            assert read["sims"].dtype == np.float32 and read["ranks"].shape == (2, 7)
            assert len(set(read["db_ids"])) == len(read["db_ids"]) <= 12
            written = {
                query: {read["db_ids"][i]: s for i, s in zip(row, sims, strict=True)}
                for query, row, sims in zip(
                    read["query_ids"], read["ranks"], read["sims"].tolist(), strict=True
                )
            }
        assert list(written) == small.ILIAS_QUERIES
        assert all(len(found) == 7 for found in written.values())
        every = evaluated_by_the_makers(written, k=7)
        gnd = [[0, 1], [2]]
        names = [*small.ILIAS_POSITIVES, *DISTRACTORS]
        for query, positives in zip(written, gnd, strict=True):
            ranks = [names.index(name) for name in written[query]]
            scores = list(written[query].values())
            assert sorted(scores, reverse=True) == scores
            own = jaxret.metrics.average_precision_at(ranks, positives, 7, "ilias", scores)
            assert every[query] == pytest.approx(own, abs=1e-12)


def test_queries_of_one_photograph_keep_names_of_their_own(tmp_path):
    dataset = Dataset(
        "x", "1", FileSplit(tmp_path, ("1.jpg", "2.jpg")), FileSplit(tmp_path, ("a", "b", "a"))
    )
    top = Top(np.array([[0, 1], [1, 0], [1, 0]], np.int32))
    similarity_files.write(tmp_path / "found", "json", dataset, "mine", top, 2)
    assert json.loads((tmp_path / "found.json").read_text()) == {
        "a": {"1.jpg": 0.0, "2.jpg": -1.0},
        "b": {"2.jpg": 0.0, "1.jpg": -1.0},
        "a#2": {"2.jpg": 0.0, "1.jpg": -1.0},
    }
    tied = Top(top.ids, scores=np.zeros((3, 2), np.float32))
    similarity_files.write(tmp_path / "tied", "json", dataset, "G", tied, 2)
    assert set(json.loads((tmp_path / "tied.json").read_text())["a"].values()) == {0.0}
    similarity_files.write(tmp_path / "tied", "json", dataset, "G+DFS", tied, 2)
    first, second = json.loads((tmp_path / "tied.json").read_text())["a"].values()
    assert first > second
