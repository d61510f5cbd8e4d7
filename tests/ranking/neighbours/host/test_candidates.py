import numpy as np
import pytest

from jaxret.ranking.neighbours.host import bfloat16, exact
from jaxret.ranking.neighbours.host.candidates import CandidateSearch
from jaxret.ranking.neighbours.host.products import Bfloat16Products, Float32Products
from jaxret.ranking.neighbours.index import Index
from jaxret.ranking.neighbours.search import knn

DIM = 40


def unit(rows):
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def scattered(random, count):
    return unit(random.normal(size=(count, DIM)))


def clustered(random, count):
    """In the order of their clusters, so that no run of rows is like the others."""
    centres = random.normal(size=(count // 60, DIM))
    return unit(np.repeat(centres, 60, axis=0) + 0.3 * random.normal(size=(count, DIM)))


def alike(random, count):
    """Coordinates that all lose the same by rounding, so that losses add up."""
    steps = np.array([1, 2, 4])[random.integers(3, size=(count, DIM))]
    halfway, nearly_up = 1 + 2**-8, 1 + 2**-7 - 2**-14
    return (steps * np.where(np.arange(count) % 2, halfway, nearly_up)[:, None]).astype(np.float32)


def uneven(random, count):
    return scattered(random, count) * random.exponential(size=(count, 1)).astype(np.float32)


def repeated(random, count):
    return scattered(random, count // 40)[random.integers(count // 40, size=count)]


MAKERS = [scattered, clustered, alike, uneven, repeated]


def indexed(database):
    lengths = np.linalg.norm(database, axis=1)
    return Index(database, (float(lengths.min()), float(lengths.max())))


def prepared(database):
    """As `Index.of` does it where bfloat16 is fast."""
    return Index(database, indexed(database).lengths, *bfloat16.kept(database))


INDICES = [indexed, prepared]


def searched(queries, index, products, count, size):
    search = CandidateSearch(queries, index, products(queries, index), count)
    search.run(size)
    return search


def exactly(queries, database):
    return queries.astype(np.float64) @ database.astype(np.float64).T


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize("products", [Float32Products, Bfloat16Products])
@pytest.mark.parametrize("index", INDICES)
@pytest.mark.parametrize("count", [1, 30, 150])
def test_a_sure_query_has_all_of_its_nearest(make, products, index, count):
    random = np.random.default_rng(0)
    database, queries = make(random, 4800), make(random, 300)
    search = searched(queries, index(database), products, count, 700)
    sims = exactly(queries, database)
    unsure = 0
    for start in range(0, 256, 64):
        (found_sims, ids), sure = search.nearest(slice(start, start + 64))
        unsure += (~sure).sum()
        for row in np.flatnonzero(sure):
            own = sims[start + row]
            last = np.sort(own)[-count]
            rounding = 1e-5 * (np.abs(own).max() + 1)
            assert len(set(ids[row])) == count
            assert np.isin(np.flatnonzero(own > last + rounding), ids[row]).all()
            np.testing.assert_allclose(found_sims[row], own[ids[row]], rtol=0, atol=rounding)
    if make is scattered:
        assert unsure <= 4  # what goes round the floor is an accident


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize("index", INDICES)
@pytest.mark.parametrize("scale", [1, 1e-6, 1e6])
def test_bfloat16_is_off_by_no_more_than_it_says(make, index, scale):
    random = np.random.default_rng(1)
    database, queries = make(random, 2400) * np.float32(scale), make(random, 120)
    products = Bfloat16Products(queries, index(database))
    part = slice(0, len(database))
    off = np.abs(products.of(0, products.prepared(part)) - exactly(queries, database))
    bound = products.error
    assert (off <= bound[:, None]).all()
    assert (bound < 0.02 * np.linalg.norm(queries, axis=1) * 10 * scale).all()


def test_the_error_is_smaller_where_what_rounding_loses_is_known():
    random = np.random.default_rng(7)
    database, queries = scattered(random, 2400), scattered(random, 120)
    known = Bfloat16Products(queries, prepared(database)).error
    assert (known < 0.8 * Bfloat16Products(queries, indexed(database)).error).all()


def test_bfloat16_is_not_trusted_at_the_ends_of_float32():
    ones = np.ones((2, 3), np.float32)
    for queries, length in [(ones, 1e30), (ones, 1e-30), (1e-30 * ones, 1)]:
        index = Index(ones, (length, length))
        assert np.isinf(Bfloat16Products(queries, index).error).all()


@pytest.mark.parametrize("products", [Float32Products, Bfloat16Products])
def test_a_crowd_is_given_up_and_not_collected(products):
    database, queries = np.ones((20000, 8), np.float32), np.ones((5, 8), np.float32)
    search = searched(queries, indexed(database), products, 10, 1000)
    assert not search.nearest(slice(0, 5))[1].any()
    assert sum(len(ids) for [(_, ids)] in search.found.values()) == 0


def test_a_crowd_that_the_sample_misses_is_given_up_too():
    random = np.random.default_rng(5)
    database, queries = scattered(random, 16 * 2048), scattered(random, 1)
    database[np.arange(len(database)) % 16 > 0] = queries
    search = searched(queries, indexed(database), Float32Products, 10, 1024)
    assert not search.nearest(slice(0, 1))[1].any()
    assert sum(len(ids) for [(_, ids)] in search.found.values()) < len(database) / 3


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize("block_size", [7, 500, None])
def test_by_way_of_bfloat16_the_order_is_exact(monkeypatch, make, block_size):
    monkeypatch.setattr(exact, "bfloat16_pays", lambda *given: True)
    random = np.random.default_rng(2)
    database, queries = make(random, 2400), make(random, 120)
    sims = exactly(queries, database).astype(np.float32)
    expected = np.argsort(-sims, axis=1, kind="stable")[:, :60]
    np.testing.assert_array_equal(knn(queries, database, 60, block_size=block_size)[1], expected)


def test_a_sample_that_misleads_costs_time_only(monkeypatch):
    """Every row of the sample is close to the queries, and no other row is."""
    monkeypatch.setattr(exact, "bfloat16_pays", lambda *given: True)
    random = np.random.default_rng(3)
    database = scattered(random, 8192)
    queries = scattered(random, 70)
    database[::16] = unit(queries[:1] + 0.1 * database[::16])
    sims = exactly(queries, database).astype(np.float32)
    expected = np.argsort(-sims, axis=1, kind="stable")[:, :200]
    np.testing.assert_array_equal(knn(queries, database, 200)[1], expected)


@pytest.mark.parametrize("scale", [1e-25, 1e-12, 1e12, 1e18])
def test_any_scale(monkeypatch, scale):
    monkeypatch.setattr(exact, "bfloat16_pays", lambda *given: True)
    random = np.random.default_rng(4)
    database, queries = scattered(random, 2400), scattered(random, 70)
    expected = knn(queries, database, 20)[1]
    power = np.float32(2.0 ** round(np.log2(scale)))
    np.testing.assert_array_equal(knn(queries, database * power, 20)[1], expected)


@pytest.mark.parametrize("products", [Float32Products, Bfloat16Products])
def test_where_the_sample_is_too_small_for_a_floor_all_rows_are_candidates(products):
    random = np.random.default_rng(6)
    database, queries = scattered(random, 90), scattered(random, 7)
    search = searched(queries, indexed(database), products, 80, 32)
    (_, ids), sure = search.nearest(slice(0, 7))
    assert sure.all()
    expected = np.argsort(-exactly(queries, database), axis=1)[:, :80]
    np.testing.assert_array_equal(np.sort(ids), np.sort(expected))
