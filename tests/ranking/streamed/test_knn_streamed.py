"""The search over shards finds what a search over all rows finds, however they are cut."""

import numpy as np
import pytest
from rows import at_length_one, clustered, unit

import jaxret
from jaxret.errors import UserError
from jaxret.functional.settings import RankingSettings
from jaxret.ranking.placement import rank_on
from jaxret.ranking.rankings import rank_all
from jaxret.ranking.streamed.search import rank_streamed

DIM, COUNT = 24, 4500


def by_sorting(queries, database, k):
    """(similarities, ids) by a product in float64 and a sort."""
    sims = (queries.astype(np.float64) @ database.astype(np.float64).T).astype(np.float32)
    ids = np.lexsort((np.broadcast_to(np.arange(len(database)), sims.shape), -sims))[:, :k]
    return np.take_along_axis(sims, ids, axis=1), ids


def cut(rows, *places):
    return np.split(rows, places)


@pytest.fixture(scope="module")
def database():
    """Clusters in float16, with hundreds of rows that are all the same and some that repeat."""
    rows = clustered(COUNT, DIM).astype(np.float16)
    rows[2000:2700] = rows[0]
    rows[4000:4100] = rows[1500:1600]
    return rows


@pytest.fixture(scope="module")
def queries():
    return np.concatenate([clustered(7, DIM, seed=5), unit(3, DIM)])


@pytest.mark.parametrize(("k", "size"), [(1, 1100), (37, None), (37, 1733), (37, 60), (900, 1100)])
def test_equal_to_a_sort_of_all_rows(queries, database, k, size):
    shards = cut(database, 3, 3, 1999, 4400)
    found = jaxret.knn_streamed(queries, shards, k, block_size=size)
    expected = by_sorting(queries, database, k)
    np.testing.assert_array_equal(found[1], expected[1])
    np.testing.assert_array_equal(found[0], expected[0])


@pytest.mark.parametrize("k", [5, 300])
def test_devices_find_the_same(queries, database, k):
    with rank_on("device"):  # four of them, see conftest.py
        found = jaxret.knn_streamed(queries, cut(database, 17, 3000), k, block_size=701)
    expected = by_sorting(queries, database, k)
    np.testing.assert_array_equal(found[1], expected[1])
    np.testing.assert_array_equal(found[0], expected[0])


def test_the_same_as_a_search_in_memory(queries, database):
    found = jaxret.knn_streamed(queries, [database], 50, block_size=1024)
    expected = jaxret.knn(queries, database.astype(np.float32), 50)
    np.testing.assert_array_equal(found[1], expected[1])
    np.testing.assert_allclose(found[0], expected[0], rtol=1e-6)


@pytest.mark.filterwarnings("ignore:.*L2-normalised")
@pytest.mark.parametrize("place", ["host", "device"])
def test_rows_are_normalised_as_they_pass(queries, database, place):
    stretched = (database * np.linspace(0.5, 2, COUNT)[:, None]).astype(np.float16)
    with rank_on(place):
        found = jaxret.knn_streamed(queries, [stretched], 20, unit=True, block_size=1500)
    expected = by_sorting(queries, at_length_one(stretched.astype(np.float64)), 20)
    np.testing.assert_allclose(found[0], expected[0], rtol=3e-7, atol=1e-7)


@pytest.mark.filterwarnings("ignore:.*L2-normalised")
def test_rankings_are_those_of_all_rows_in_memory(queries, database):
    numbers = {"aqe_n": 6, "aqe_weights": "alpha", "aqe_alpha": 1.5}
    settings = RankingSettings(**numbers, block_size=1300, depth=40)
    shards = cut(database, 1000, 2500)
    rankings = ("G", "G+AQE", "G+AQE(n=50,alpha=3)", "G+AQEwD(n=0)", "G+AQEwD")
    found = rank_streamed(queries, shards, rankings, settings, k=40)
    expected = rank_all(queries, database, rankings, settings, scored=40)
    for name, one in found.items():
        np.testing.assert_array_equal(one.ids, expected[name].ids, name)
        np.testing.assert_allclose(one.scores, expected[name].scores, rtol=1e-6)
    expanded = jaxret.expand_queries_streamed(queries, shards, 6, "alpha")
    own = jaxret.expand_queries(queries, database, 6, "alpha")
    np.testing.assert_allclose(expanded, own, atol=1e-7)


def test_fewer_rows_than_asked_for(queries):
    rows = unit(9, DIM, seed=3)
    found = jaxret.knn_streamed(queries, cut(rows, 4), 100, block_size=2)
    np.testing.assert_array_equal(found[1], by_sorting(queries, rows, 9)[1])


@pytest.mark.parametrize("place", ["host", "device"])
@pytest.mark.parametrize("value", [np.nan, 0])
def test_a_row_without_direction_is_named(queries, database, tmp_path, place, value):
    np.save(tmp_path / "a.npy", database[:1500])
    spoilt = database[1500:3000].copy()
    spoilt[321] = value
    np.save(tmp_path / "b.npy", spoilt)
    with rank_on(place), pytest.raises(UserError, match=r"Row 321 of .*b.npy is zero or holds NaN"):
        jaxret.knn_streamed(queries, tmp_path, 5, block_size=701)


@pytest.mark.parametrize("scale", [1e-18, 1e18])
def test_lengths_at_the_ends_of_float32(queries, database, scale):
    far = database.astype(np.float32) * np.float32(scale)
    found = jaxret.knn_streamed(queries, [far], 40, block_size=1100)
    np.testing.assert_array_equal(found[1], by_sorting(queries, far, 40)[1])


def test_refusals(queries, database):
    with pytest.raises(UserError, match="24 dimensions but the database has 23"):
        jaxret.knn_streamed(queries, [database[:, :23]], 5)
    with pytest.raises(UserError, match="G\\+DBA has steps that need every database row"):
        rank_streamed(queries, [database], ("G", "G+DBA"))
    with pytest.raises(UserError, match="k is 0"):
        jaxret.knn_streamed(queries, [database], 0)
