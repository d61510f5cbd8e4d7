import jax.numpy as jnp
import numpy as np
import pytest
from neighbours_reference import by_stable_sort

from jaxret.errors import UserError
from jaxret.ranking.neighbours.search import knn, others
from jaxret.ranking.ordering import best


def rows(count, dim, seed=0, dtype=np.float32):
    return np.random.default_rng(seed).normal(size=(count, dim)).astype(dtype)


@pytest.mark.parametrize("k", [1, 5, 36, 37, 99])
def test_equals_a_stable_sort_of_all_products(k):
    queries, database = rows(11, 9), rows(37, 9, seed=1)
    sims, ids = knn(queries, database, k)
    expected_sims, expected_ids = by_stable_sort(queries, database, k)
    assert sims.dtype == np.float32 and ids.dtype == np.int32
    np.testing.assert_array_equal(ids, expected_ids)
    np.testing.assert_allclose(sims, expected_sims, rtol=1e-5, atol=1e-6)


def test_ties_go_to_the_smaller_id_whatever_the_block():
    once = rows(40, 33)
    database = np.concatenate([once, once, once])[np.random.default_rng(1).permutation(120)]
    queries = rows(100, 33, seed=2)
    expected = by_stable_sort(queries, database, 50)[1]
    for block_size in (1, 7, 64, 4096, None):
        np.testing.assert_array_equal(
            knn(queries, database, 50, block_size=block_size)[1], expected
        )


def tight(random, count):
    """Rows so close together that float32 products cannot tell them apart."""
    return random.normal(size=(10, 24))[random.integers(10, size=count)] + 1e-4 * random.normal(
        size=(count, 24)
    )


def repeated(random, count):
    return random.normal(size=(count // 30, 24))[random.integers(count // 30, size=count)]


def fours(random, count):
    """Each row four times, told apart by less than float32 products can."""
    return np.repeat(random.normal(size=(count // 4, 24)), 4, axis=0) + 1e-6 * random.normal(
        size=(count, 24)
    )


@pytest.mark.parametrize("make", [tight, repeated, fours])
@pytest.mark.parametrize("block_size", [7, 500, None])
def test_float32_products_are_rescored_where_they_cannot_tell(make, block_size):
    database = make(np.random.default_rng(3), 3000)
    database = (database / np.linalg.norm(database, axis=1, keepdims=True)).astype(np.float32)
    expected = by_stable_sort(database[:40], database, 90)[1]
    ids = knn(database[:40], database, 90, block_size=block_size)[1]
    np.testing.assert_array_equal(ids, expected)


def test_identical_rows_come_in_the_order_of_their_ids():
    _, ids = knn(np.ones((3, 16)), np.ones((500, 16)), 400)
    np.testing.assert_array_equal(ids, np.tile(np.arange(400), (3, 1)))


@pytest.mark.parametrize("dtype", [np.float16, np.float64, np.int32, jnp.bfloat16])
def test_takes_any_real_type(dtype):
    queries, database = (8 * rows(5, 6)).astype(dtype), (8 * rows(21, 6, 1)).astype(dtype)
    expected = by_stable_sort(queries.astype(np.float32), database.astype(np.float32), 21)[1]
    np.testing.assert_array_equal(knn(queries, database, 21)[1], expected)


def test_takes_jax_and_non_contiguous_arrays():
    queries, database = rows(5, 12), rows(42, 12, seed=1)
    expected = by_stable_sort(queries[:, ::2], database[::2, ::2], 9)[1]
    np.testing.assert_array_equal(knn(queries[:, ::2], database[::2, ::2], 9)[1], expected)
    np.testing.assert_array_equal(
        knn(jnp.asarray(queries[:, ::2]), jnp.asarray(database[::2, ::2]), 9)[1], expected
    )


def test_one_row_and_no_queries():
    sims, ids = knn(rows(2, 4), rows(1, 4), 10)
    assert sims.shape == (2, 1) and not ids.any()
    sims, ids = knn(np.empty((0, 4)), rows(3, 4), 2)
    assert sims.shape == ids.shape == (0, 2)


def test_negative_and_signed_zero_similarities_are_ordered():
    sims = np.array([[-0.0, -2.0, 0.0, 3.0, -1.0, 0.0]], np.float32)
    np.testing.assert_array_equal(best(sims, 6)[1], [[3, 0, 2, 5, 4, 1]])


def test_others_leaves_out_each_node_by_its_id():
    ids = np.array([[1, 0, 2], [0, 1, 2], [0, 1, 3], [3, 2, 1]], np.int32)
    sims = np.arange(12, dtype=np.float32).reshape(4, 3)
    kept_sims, kept_ids = others((sims, ids))
    np.testing.assert_array_equal(kept_ids, [[1, 2], [0, 2], [0, 1], [2, 1]])
    np.testing.assert_array_equal(kept_sims, [[0, 2], [3, 5], [6, 7], [10, 11]])


@pytest.mark.parametrize(
    ("queries", "database", "k", "says"),
    [
        (rows(2, 4), rows(3, 5), 1, "4 dimensions"),
        (rows(2, 4)[0], rows(3, 4), 1, "shape"),
        (rows(2, 4), np.empty((0, 4)), 1, "empty"),
        (rows(2, 4), rows(3, 4), 0, "k is 0"),
        (rows(2, 4), rows(3, 4), 1.5, "k is 1.5"),
        (rows(2, 4), rows(3, 4).astype(complex), 1, "real numbers"),
    ],
)
def test_refuses_with_a_sentence(queries, database, k, says):
    with pytest.raises(UserError, match=says):
        knn(queries, database, k)
