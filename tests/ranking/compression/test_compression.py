"""Compressed databases against faiss, NumPy and what compression promises."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxret.errors import UserError
from jaxret.functional import compression
from jaxret.functional.compression import Binary, Half, Product, Scalar
from jaxret.ranking.compression import CompressedIndex, learn
from jaxret.store_flag import check

STORES = ("float16", "int8", "pq8", "binary")


def unit(rows):
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture(scope="module")
def database():
    draw = np.random.default_rng(1)
    centres = draw.normal(size=(20, 24))
    return unit(centres[draw.integers(0, 20, 1003)] + 0.5 * draw.normal(size=(1003, 24)))


@pytest.fixture(scope="module")
def queries(database):
    return unit(database[:9] + 0.1 * np.random.default_rng(2).normal(size=(9, 24)))


@pytest.fixture(scope="module")
def indexes(database):
    return {store: CompressedIndex.fit(database, store) for store in STORES}


def exact(queries, rows, k):
    sims = queries.astype(np.float64) @ rows.astype(np.float64).T
    return np.argsort(-sims, axis=1, kind="stable")[:, :k]


def recall(found, wanted):
    return np.mean([len(set(f) & set(w)) / len(w) for f, w in zip(found, wanted, strict=True)])


@pytest.mark.parametrize(
    ("store", "size", "least"),
    [
        ("float16", 48, 0.99),
        ("int8", 24, 0.97),
        ("pq8", 8, 0.5),
        ("binary", 3, 0.3),
    ],
)
def test_fewer_bytes_cost_neighbours(database, queries, indexes, store, size, least):
    index = indexes[store]
    assert index.bytes_a_row == size and index.codes.nbytes == size * len(database)
    found = index.search(queries, 20)[1]
    assert least <= recall(found, exact(queries, database, 20))
    rescored = index.search(queries, 20, exact=database, candidates=len(database))[1]
    np.testing.assert_array_equal(rescored, exact(queries, database, 20))


@pytest.mark.parametrize("store", STORES)
def test_scores_are_products_with_what_the_codes_say(queries, indexes, store):
    """By a second way: decode everything, multiply in float64."""
    index = indexes[store]
    said = np.asarray(compression.decode(index.codec, index.codes), np.float64)
    turned = np.asarray(index.codec.turn(jnp.asarray(queries)), np.float64)
    sims, ids = index.search(queries, 50)
    wanted = np.take_along_axis(turned @ said.T, ids, axis=1)
    np.testing.assert_allclose(sims, wanted, atol=2e-6 * np.abs(wanted).max())
    assert (np.diff(sims, axis=1) <= 0).all()
    ties = np.diff(sims, axis=1) == 0
    assert (np.diff(ids, axis=1)[ties] > 0).all()
    whole = index.search(queries, 10 * len(index.codes))[1]
    np.testing.assert_array_equal(np.sort(whole, axis=1), np.tile(np.arange(1003), (9, 1)))


@pytest.mark.parametrize("rows_at_once", [40, 333, 5000])
@pytest.mark.slow
def test_blocks_change_nothing(monkeypatch, queries, indexes, rows_at_once):
    wanted = indexes["pq8"].search(queries, 30)
    monkeypatch.setattr(compression, "NUMBERS_AT_ONCE", rows_at_once * 24)
    jax.clear_caches()
    found = indexes["pq8"].search(queries, 30)
    np.testing.assert_array_equal(found[1], wanted[1])


def test_product_search_is_the_one_of_faiss(queries, database):
    """The same centres in faiss: its codes, its scores and its neighbours are ours."""
    faiss = pytest.importorskip("faiss")
    theirs = faiss.IndexPQ(24, 6, 8, faiss.METRIC_INNER_PRODUCT)
    theirs.train(database)
    theirs.add(database)
    centres = faiss.vector_to_array(theirs.pq.centroids).reshape(6, 256, 4)
    codec = Product(jnp.eye(24, dtype=jnp.float32), jnp.asarray(centres))
    codes = np.asarray(compression.encode(codec, jnp.asarray(database)))
    stored = faiss.vector_to_array(theirs.codes).reshape(codes.shape)
    assert (codes != stored).mean() < 1e-3  # centres equally near
    wanted, _ = theirs.search(queries, 40)
    found = compression.top_k_codes(jnp.asarray(queries), codec, jnp.asarray(stored), 40)
    np.testing.assert_allclose(found[0], wanted, atol=1e-6)


@pytest.mark.slow
def test_learnt_centres_are_as_good_as_those_of_faiss(database):
    """Mean squared error of reconstruction, the rotation learnt as in faiss's OPQ."""
    faiss = pytest.importorskip("faiss")

    def error(rows, said):
        return np.square(rows - said).sum(axis=1).mean()

    turn = faiss.OPQMatrix(24, 6)
    turn.train(database)
    turned = turn.apply(database)
    quantiser = faiss.ProductQuantizer(24, 6, 8)
    quantiser.train(turned)
    theirs = error(turned, quantiser.decode(quantiser.compute_codes(turned)))
    codec = learn(database, "pq6")
    ours = np.asarray(codec.turn(jnp.asarray(database)))
    assert error(ours, np.asarray(codec.decode(codec.encode(ours)))) < 1.05 * theirs
    np.testing.assert_allclose(codec.rotation @ codec.rotation.T, np.eye(24), atol=1e-5)


def test_a_learnt_rotation_makes_signs_say_more(database):
    codec = learn(database, "binary")
    plain = Binary(jnp.eye(24, dtype=jnp.float32))

    def error(codec):
        turned = codec.turn(jnp.asarray(database))
        signs = codec.decode(codec.encode(turned))
        return float(jnp.square(turned * 24**0.5 - signs).mean())

    assert error(codec) < 0.95 * error(plain)


def test_levels_reach_from_the_least_to_the_largest(database):
    codec = learn(database, "int8")
    said = np.asarray(codec.decode(codec.encode(jnp.asarray(database))))
    assert np.abs(said - database).max() <= 0.501 * np.asarray(codec.step).max()
    constant = np.tile(unit(np.ones((1, 4))), (5, 1))
    same = learn(constant, "int8")
    np.testing.assert_allclose(same.decode(same.encode(jnp.asarray(constant))), constant, rtol=1e-6)


@pytest.mark.parametrize("store", STORES)
def test_saved_and_loaded(tmp_path, queries, indexes, store):
    indexes[store].save(tmp_path / "index.npz")
    again = CompressedIndex.load(tmp_path / "index.npz")
    np.testing.assert_array_equal(again.search(queries, 9)[1], indexes[store].search(queries, 9)[1])
    np.savez(tmp_path / "other.npz", a=1)
    with pytest.raises(UserError, match="no compressed index"):
        CompressedIndex.load(tmp_path / "other.npz")


@pytest.mark.parametrize("store", STORES)
def test_decoded_rows_are_near_the_database(database, indexes, store):
    rows = indexes[store].decoded()
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-5)
    cosines = (rows * database).sum(axis=1)
    assert cosines.mean() > {"float16": 0.99999, "int8": 0.999, "pq8": 0.9, "binary": 0.7}[store]


@pytest.mark.parametrize(
    ("store", "words"),
    [
        ("pq7", "divides 24 dimensions, such as pq6 or pq8"),
        ("pq0", "not known"),
        ("pqM", "not known"),
        ("int4", "not known: float32, float16, int8, pqM, binary"),
    ],
)
def test_what_cannot_be_is_said(store, words):
    with pytest.raises(UserError, match=words):
        check(store, 24)


@pytest.mark.slow
@pytest.mark.parametrize("store", STORES)
def test_few_rows_are_enough(queries, store):
    """Fewer rows than centres: each row gets its own."""
    few = queries[:3]
    found = CompressedIndex.fit(few, store).search(few, 1)[1]
    np.testing.assert_array_equal(found[:, 0], [0, 1, 2])


@pytest.mark.parametrize(
    "codec",
    [
        Half(),
        Scalar(*(jax.ShapeDtypeStruct((64,), np.float32),) * 2),
        Product(
            jax.ShapeDtypeStruct((64, 64), np.float32),
            jax.ShapeDtypeStruct((8, 256, 8), np.float32),
        ),
        Binary(jax.ShapeDtypeStruct((64, 64), np.float32)),
    ],
    ids=lambda codec: type(codec).__name__,
)
def test_search_lowers_for_accelerators(codec):
    rows = jax.ShapeDtypeStruct((300, 64), np.float32)
    codes = jax.eval_shape(compression.encode, codec, rows)
    queries = jax.ShapeDtypeStruct((5, 64), np.float32)
    traced = compression.top_k_codes.trace(queries, codec, codes, 10)
    traced.lower(lowering_platforms=("cpu", "cuda", "tpu"))


@pytest.mark.parametrize("exact", [False, True])
def test_no_queries_have_no_neighbours(database, indexes, exact):
    none = np.empty((0, 24), np.float32)
    sims, ids = indexes["int8"].search(none, 5, exact=database if exact else None)
    assert sims.shape == ids.shape == (0, 5)
