import jax
import jax.numpy as jnp
import numpy as np
import pytest
from neighbours_reference import by_stable_sort
from rows import unit

from jaxret import functional
from jaxret.functional import neighbours as module
from jaxret.functional.precision import has_fast_float64


def with_ties(count, dim=7):
    """Few values, so that many similarities are equal."""
    return np.random.default_rng(count).integers(-2, 3, (count, dim)).astype(np.float32)


@pytest.mark.parametrize("rows", [unit, with_ties])
@pytest.mark.parametrize(("queries", "count", "k"), [(5, 211, 9), (3, 400, 1), (4, 37, 37)])
def test_top_k_is_a_stable_sort_of_the_float64_products(rows, queries, count, k):
    asked, database = rows(queries, 7), rows(count, 7)
    sims, ids = functional.top_k(asked, database, k)
    expected_sims, expected = by_stable_sort(asked, database, k)
    np.testing.assert_array_equal(ids, expected)
    np.testing.assert_array_equal(sims, expected_sims)
    assert (sims.dtype, ids.dtype) == (jnp.float32, jnp.int32)


def test_blocks_find_the_same(monkeypatch):
    asked, database = with_ties(23), with_ties(150)
    monkeypatch.setattr(module, "PRODUCTS_AT_ONCE", 1000)  # six queries
    found = jax.jit(lambda *rows: module._top_k(*rows, 11))(asked, database)
    for array, same in zip(found, by_stable_sort(asked, database, 11), strict=True):
        np.testing.assert_array_equal(array, same)


def test_more_than_float32_holds_decides():
    query = np.array([[1, 1, 1]], np.float32)
    database = np.array([[1, 1e-8, 0], [1, 0, 0], [1e8, 1, -1e8], [1e8, 2, -1e8]], np.float32)
    np.testing.assert_array_equal(functional.top_k(query, database, 4)[1], [[3, 0, 1, 2]])


def test_others_know_a_row_by_its_id():
    sims = np.array([[3, 2, 1], [3, 3, 1], [3, 2, 1]], np.float32)
    ids = np.array([[4, 7, 9], [9, 5, 4], [1, 2, 3]], np.int32)
    found_sims, found = functional.others((sims, ids), 4)
    np.testing.assert_array_equal(found, [[7, 9], [9, 4], [1, 2]])
    np.testing.assert_array_equal(found_sims, [[2, 1], [3, 1], [3, 2]])


def test_vmap_is_one_after_the_other():
    asked, database = unit(12, 7).reshape(3, 4, 7), unit(200, 7, seed=1)
    together = jax.vmap(functional.top_k, (0, None, None))(asked, database, 5)
    for one, sims, ids in zip(asked, *together, strict=True):
        expected_sims, expected = functional.top_k(one, database, 5)
        np.testing.assert_array_equal(ids, expected)
        np.testing.assert_array_equal(sims, expected_sims)


def test_float64_on_the_cards_that_are_fast_at_it_alone():
    assert has_fast_float64("NVIDIA H100 80GB HBM3") and has_fast_float64("NVIDIA A100-SXM4-40GB")
    assert not has_fast_float64("NVIDIA RTX A3000") and not has_fast_float64("NVIDIA L40S")


@pytest.mark.parametrize(("platform", "wide"), [("cpu", True), ("cuda", True), ("tpu", False)])
def test_one_trace_compiles_for_every_platform(platform, wide):
    lowered = functional.top_k.trace(unit(4), unit(90), k=9).lower(lowering_platforms=(platform,))
    assert ("f64" in lowered.as_text()) is wide
