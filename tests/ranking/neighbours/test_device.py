import jax
import numpy as np
import pytest
from jax.sharding import Mesh

from jaxret.errors import UserError
from jaxret.ranking.neighbours.index import Index
from jaxret.ranking.neighbours.search import knn, recall_of


def rows(count, dim=32, seed=0):
    return np.random.default_rng(seed).normal(size=(count, dim)).astype(np.float32)


def mesh(devices):
    return Mesh(np.array(jax.devices()[:devices]), ("database",))


def with_duplicates():
    once = rows(300)
    return np.concatenate([once, once[:150], once[:100]])[np.random.default_rng(2).permutation(550)]


@pytest.mark.parametrize("devices", [1, 4])
@pytest.mark.parametrize("block_size", [7, 64, 4096, None])
def test_devices_and_blocks_find_the_same(devices, block_size):
    queries, database = rows(20, seed=1), with_duplicates()
    expected_sims, expected = knn(queries, database, 40)
    sims, ids = knn(queries, database, 40, mesh=mesh(devices), block_size=block_size)
    np.testing.assert_array_equal(ids, expected)
    np.testing.assert_allclose(sims, expected_sims, atol=1e-5)


def test_an_index_is_spread_like_an_array():
    queries, database = rows(20, seed=1), with_duplicates()
    expected = knn(queries, database, 40, mesh=mesh(4))
    for found, same in zip(
        knn(queries, Index.of(database), 40, mesh=mesh(4)), expected, strict=True
    ):
        np.testing.assert_array_equal(found, same)


@pytest.mark.parametrize("devices", [1, 4])
@pytest.mark.parametrize(("count", "k"), [(1, 5), (3, 5), (550, 1000)])
def test_more_asked_than_there_is(devices, count, k):
    queries, database = rows(5, seed=1), with_duplicates()[:count]
    expected = knn(queries, database, k)[1]
    np.testing.assert_array_equal(knn(queries, database, k, mesh=mesh(devices))[1], expected)


def test_identical_rows_are_ordered_by_id():
    ids = knn(np.ones((3, 16)), np.ones((500, 16)), 40, mesh=mesh(4))[1]
    np.testing.assert_array_equal(ids, np.tile(np.arange(40), (3, 1)))


@pytest.mark.parametrize("options", [{"precision": "bfloat16"}, {"recall": 0.9}])
def test_approximations_find_nearly_all(options):
    queries, database = rows(50, seed=1), rows(3000)
    sims, exact = knn(queries, database, 20)
    found_sims, found = knn(queries, database, 20, mesh=mesh(4), **options)
    assert recall_of(found, exact) > 0.85
    same = found == exact
    np.testing.assert_allclose(found_sims[same], sims[same], atol=1e-4)


def test_recall_counts_what_is_found_anywhere_in_the_list():
    assert recall_of(np.array([[3, 1, 9]]), np.array([[1, 2, 3]])) == pytest.approx(2 / 3)


def test_refuses_with_a_sentence():
    with pytest.raises(UserError, match="give a mesh"):
        knn(rows(2), rows(3), 1, precision="bfloat16")
    with pytest.raises(UserError, match=r"'float8'. Known: float32, bfloat16"):
        knn(rows(2), rows(3), 1, mesh=mesh(1), precision="float8")
    with pytest.raises(UserError, match="recall is 2"):
        knn(rows(2), rows(3), 1, mesh=mesh(1), recall=2)
