import numpy as np
import pytest
from neighbours_reference import by_stable_sort

import jaxret
from jaxret.errors import UserError
from jaxret.ranking.neighbours.host import bfloat16
from jaxret.ranking.neighbours.search import knn


def scattered(random, count):
    return random.normal(size=(count, 41))


def close(random, count):
    """Rows that float32 products cannot tell apart, in tens."""
    once = random.normal(size=(count // 10, 41))
    return np.repeat(once, 10, axis=0) + 1e-6 * random.normal(size=(count, 41))


def repeated(random, count):
    return random.normal(size=(count // 30, 41))[random.integers(count // 30, size=count)]


@pytest.fixture(params=[True, False], ids=["bfloat16 is fast", "bfloat16 is slow"])
def fast(request, monkeypatch):
    monkeypatch.setattr(bfloat16, "suits", lambda rows: request.param)
    return request.param


@pytest.mark.parametrize("make", [scattered, close, repeated])
@pytest.mark.parametrize("block_size", [7, 500, None])
def test_an_index_gives_the_exact_order(fast, make, block_size):
    random = np.random.default_rng(0)
    database, queries = (make(random, 3000).astype(np.float32) for _ in range(2))
    index = jaxret.Index.of(database)
    assert (index.rounded is not None) == fast and index.rows is database
    for asked in (queries[:100], queries[100:103], queries[:0]):
        sims, ids = knn(asked, index, 70, block_size=block_size)
        expected_sims, expected = by_stable_sort(asked, database, 70)
        np.testing.assert_array_equal(ids, expected)
        np.testing.assert_allclose(sims, expected_sims, rtol=2e-6, atol=2e-6)


def test_an_index_of_few_rows_and_long_lists(fast):
    random = np.random.default_rng(1)
    for count in (1, 2, 90):
        database = random.normal(size=(count, 3)).astype(np.float32)
        expected = by_stable_sort(database[:5], database, 200)[1]
        np.testing.assert_array_equal(
            knn(database[:5], jaxret.Index.of(database), 200)[1], expected
        )


def test_what_rounding_loses_is_measured():
    random = np.random.default_rng(2)
    rows = (random.normal(size=(9000, 7)) * random.exponential(size=(9000, 1))).astype(np.float32)
    rows[3] = 50.1  # loses most, and is not the last to be looked at
    rounded, most = bfloat16.kept(rows)
    lost = rows.astype(np.float64) - rounded.astype(np.float64)
    # To the nearest; of two that are as near, any.
    expected = rows.astype(np.float64) - rows.astype(rounded.dtype).astype(np.float64)
    np.testing.assert_array_equal(np.abs(lost), np.abs(expected))
    np.testing.assert_allclose(most, np.linalg.norm(lost, axis=1).max(), rtol=1e-12)


def test_an_index_is_checked_when_it_is_made():
    bad = np.ones((5, 3))
    bad[2] = np.nan
    with pytest.raises(UserError, match="Row 2 of the database"):
        jaxret.Index.of(bad)
    with pytest.raises(UserError, match="shape"):
        jaxret.Index.of(np.ones(3))
    with pytest.raises(UserError, match="4 dimensions"):
        knn(np.ones((2, 4)), jaxret.Index.of(np.ones((5, 3))), 1)
    with pytest.raises(UserError, match="empty"):
        knn(np.ones((2, 3)), jaxret.Index.of(np.ones((0, 3))), 1)


def test_queries_are_expanded_in_an_index(fast):
    random = np.random.default_rng(3)
    database, queries = (random.normal(size=(count, 24)) for count in (600, 80))
    database /= np.linalg.norm(database, axis=1, keepdims=True)
    expected = jaxret.expand_queries(queries, database)
    found = jaxret.expand_queries(queries, jaxret.Index.of(database))
    np.testing.assert_array_equal(found, expected)
    database[3] *= 0.9
    with pytest.raises(UserError, match="to 1; make it of rows at length 1"):
        jaxret.expand_queries(queries, jaxret.Index.of(database))
