"""What only a TPU takes: the forms without gathers give what the others give."""

import jax.numpy as jnp
import numpy as np
import pytest

from jaxret.functional import neighbours


def tied(rows: int, columns: int, seed: int = 0) -> np.ndarray:
    """Few values, 0 and -0 among them, so that most entries tie."""
    values = np.array([-1.5, -0.0, 0.0, 0.25, 0.5], np.float32)
    return np.random.default_rng(seed).choice(values, (rows, columns))


def in_order(scores: np.ndarray, k: int) -> np.ndarray:
    """Columns by (score, descending; column, ascending)."""
    return np.argsort(-scores, axis=1, kind="stable")[:, :k]


@pytest.mark.parametrize(("columns", "k"), [(97, 5), (97, 97), (12, 3), (1, 1)])
def test_candidates_are_put_in_order_with_their_ids(columns, k):
    sims = tied(7, columns)
    ids = np.random.default_rng(1).permuted(np.tile(np.arange(columns), (7, 1)), axis=1)
    places = in_order(sims, k)
    for choose in (neighbours._gathered, neighbours._taken_along):
        found_sims, found = choose(jnp.asarray(sims), jnp.asarray(ids, jnp.int32), k=k)
        np.testing.assert_array_equal(found, np.take_along_axis(ids, places, axis=1))
        np.testing.assert_array_equal(found_sims, np.take_along_axis(sims, places, axis=1))
        assert found.dtype == jnp.int32


@pytest.mark.parametrize("run", [2, 3, 10])
def test_runs_and_the_whole_order_choose_the_same(run):
    scores = np.where(tied(9, 211, seed=2) == 0, np.float32(0), tied(9, 211, seed=2))
    k = 17
    _, of_runs = neighbours._best_of_runs(jnp.asarray(scores), k=k, run=run)
    _, of_all = neighbours._sorted(jnp.asarray(scores), k)
    np.testing.assert_array_equal(of_runs, in_order(scores, k))
    np.testing.assert_array_equal(of_all, in_order(scores, k))


def test_others_leave_out_the_own_id_wherever_it_stands():
    ids = np.array([[0, 1, 2], [2, 1, 0], [0, 1, 3]], np.int32)  # row 2 is not in its own list
    sims = np.arange(9, dtype=np.float32).reshape(3, 3)
    found_sims, found = neighbours.others((jnp.asarray(sims), jnp.asarray(ids)))
    np.testing.assert_array_equal(found, [[1, 2], [2, 0], [0, 1]])
    np.testing.assert_array_equal(found_sims, [[1, 2], [3, 5], [6, 7]])
