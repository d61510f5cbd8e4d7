"""Rankings of a database that is kept as codes, against the same done step by step."""

import functools

import numpy as np
import pytest
from rows import clustered

from jaxret import augment_database, expand_queries, functional, knn
from jaxret.functional.settings import DiffusionSettings, RankingSettings
from jaxret.ranking.compression import CompressedIndex
from jaxret.ranking.placement import rank_on
from jaxret.ranking.rankings import Stored, rank_all

SETTINGS = RankingSettings(dba_n=5, diffusion=DiffusionSettings(50, 12))
NAMES = ("G", "G+AQE", "G+DBA", "G+DFS", "G+SG(m=40)", "G+AQE(alpha=3,n=4)")
STORES = ("float16", "int8", "pq8", "binary")


@pytest.fixture(scope="module")
def rows():
    return clustered(7, 16, 3), clustered(150, 16, 4)


@pytest.fixture(scope="module")
def indexes(rows):
    return functools.cache(lambda store: CompressedIndex.fit(rows[1], store))


def rescored(queries, database, ids, first):
    sims = queries.astype(np.float64) @ database.astype(np.float64).T
    again = [
        sorted(some, key=lambda one: (-np.float32(row[one]), one))
        for row, some in zip(sims, ids[:, :first], strict=True)
    ]
    return np.concatenate([np.array(again, np.int32), ids[:, first:]], axis=1)


def by_hand(queries, database, index, first):
    said = index.decoded()
    count = len(database)
    ids = rescored(queries, database, index.search(queries, count)[1], first)
    plain = rank_all(queries, said, ["G+DBA", "G+DFS"], SETTINGS)
    expanded = []
    for n, alpha in ((10, None), (4, 3.0)):
        near = ids[:, :n]
        cosines = np.einsum("qd,qnd->qn", queries, said[near])
        weights = np.ones_like(cosines) if alpha is None else np.maximum(cosines, 0) ** alpha
        total = queries + np.einsum("qn,qnd->qd", weights, said[near])
        asked = (total / np.linalg.norm(total, axis=1, keepdims=True)).astype(np.float32)
        found = index.search(asked, count)[1]
        expanded.append(rescored(asked, database, found, first))
    return {
        "G": ids,
        "G+AQE": expanded[0],
        "G+DBA": plain["G+DBA"].ids,
        "G+DFS": plain["G+DFS"].ids,
        "G+SG(m=40)": functional.superglobal(queries, said, ids, m=40),
        "G+AQE(alpha=3,n=4)": expanded[1],
    }


@pytest.mark.parametrize(
    ("store", "first"),
    [
        ("int8", 20),
        pytest.param("pq8", 0, marks=pytest.mark.slow),
        pytest.param("binary", 20, marks=pytest.mark.slow),
    ],
)
def test_every_step_works_with_what_the_codes_say(rows, indexes, store, first):
    queries, database = rows
    kept = Stored(indexes(store), first)
    ranked = rank_all(queries, database, NAMES, SETTINGS, scored=90, stored=kept)
    assert (np.diff(ranked["G"].scores, axis=1) <= 0).all()
    for name, ids in by_hand(queries, database, indexes(store), first).items():
        # Where only rounding tells two scores apart, they may change places.
        assert (ranked[name].ids != ids).mean() < 0.01, name


@pytest.mark.slow
@pytest.mark.parametrize("store", STORES)
@pytest.mark.parametrize("first", [0, 20])
def test_on_devices_as_on_the_host(rows, indexes, store, first):
    kept = Stored(indexes(store), first)
    here = rank_all(*rows, NAMES, SETTINGS, stored=kept)
    with rank_on("device"):
        there = rank_all(*rows, NAMES, SETTINGS, stored=kept)
    for name in NAMES:
        if name == "G+DFS" and store == "binary":
            continue  # sixteen bits: equal rows, which rounding alone puts in order in a diffusion
        assert (here[name].ids != there[name].ids).mean() < 0.01, name


def test_all_scored_again_is_the_whole_database(rows, indexes):
    queries, database = rows
    kept = Stored(indexes("int8"), len(database))
    ranked = rank_all(queries, database, ["G"], stored=kept)["G"]
    np.testing.assert_array_equal(ranked.ids, knn(queries, database, len(database))[1])
    part = rank_all(queries, database, ["G"], RankingSettings(depth=9), stored=kept)["G"]
    nine = index_of_nine(queries, database, indexes("int8"))
    np.testing.assert_array_equal(part.ids, nine)


def index_of_nine(queries, database, index):
    return rescored(queries, database, index.search(queries, 9)[1], 9)


def test_float16_is_nearly_the_whole_database(rows, indexes):
    queries, database = rows
    ranked = rank_all(queries, database, NAMES[:3], SETTINGS, stored=Stored(indexes("float16")))
    asked = {
        "G": (queries, database),
        "G+AQE": (expand_queries(queries, database), database),
        "G+DBA": (queries, augment_database(database, 5)),
    }
    for name, pair in asked.items():
        assert (ranked[name].ids[:, :10] == knn(*pair, 10)[1]).mean() > 0.9, name
