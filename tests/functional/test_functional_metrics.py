import jax
import numpy as np
import pytest

from jaxret import functional
from jaxret.evaluation.metrics import average_precision


def padded(ids, size):
    return np.pad(np.asarray(ids, np.int32), (0, size - len(ids)), constant_values=-1)


@pytest.mark.parametrize("seed", range(20))
def test_average_precision_is_the_hosts(seed):
    rng = np.random.default_rng(seed)
    ids = rng.permutation(60).astype(np.int32)
    positives, junk, left_out = ids[: rng.integers(0, 9)], ids[9 : 9 + rng.integers(0, 9)], seed % 3
    ranks = rng.permutation(60).astype(np.int32)[: 60 - 20 * left_out]
    expected = average_precision(ranks, positives, junk)
    found = functional.average_precision(padded(ranks, 60), padded(positives, 12), padded(junk, 12))
    np.testing.assert_allclose(found, expected, rtol=2e-6)


def test_all_queries_at_once():
    ranks = np.array([[0, 1, 2, 3], [3, 2, 1, 0]], np.int32)
    positives = np.array([[0, 2], [-1, -1]], np.int32)
    junk = np.array([[1], [-1]], np.int32)
    found = jax.vmap(functional.average_precision)(ranks, positives, junk)
    np.testing.assert_array_equal(found, [1, np.nan])
