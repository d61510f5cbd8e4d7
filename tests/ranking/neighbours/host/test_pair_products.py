import numpy as np
import pytest

from jaxret.ranking.neighbours.host.pair_products import Pairs


def misplaced(rows, numbers):
    """The same rows, `numbers` float32 behind where XLA would read them in place."""
    memory = np.empty(rows.size + 32, np.float32)
    first = -memory.ctypes.data % 64 // 4 + numbers
    there = memory[first : first + rows.size].reshape(rows.shape)
    there[:] = rows
    return there


@pytest.mark.parametrize("numbers", [0, 1, 4, 15])
@pytest.mark.parametrize("dim", [3, 33, 512])
def test_products_are_those_of_float64_wherever_the_rows_lie(numbers, dim):
    random = np.random.default_rng(numbers)
    rows = misplaced(random.normal(size=(90, dim)).astype(np.float32), numbers)
    queries = random.normal(size=(70, dim)).astype(np.float32)
    ids = random.integers(90, size=(70, 77)).astype(np.int32)
    ids[:, 3], ids[::2, 40] = 0, 89  # the ends of the memory
    counts = random.integers(78, size=70)
    counts[[5, 11, 60]] = 0, 77, 32
    found = Pairs(rows).products(queries, ids, counts)
    exact = np.einsum("qcd,qd->qc", rows[ids].astype(np.float64), queries.astype(np.float64))
    wanted = np.arange(77) < counts[:, None]
    assert found.dtype == np.float32 and np.isneginf(found[~wanted]).all()
    # Both are sums in float64, of which a float32 can at most round the other way.
    np.testing.assert_allclose(found[wanted], exact[wanted], rtol=6.1e-8, atol=1e-14)


def test_nothing_is_asked():
    rows, queries = np.ones((20, 8), np.float32), np.ones((4, 8), np.float32)
    ids = np.zeros((4, 5), np.int32)
    assert np.isneginf(Pairs(rows).products(queries, ids, np.zeros(4, np.int64))).all()
    assert Pairs(rows).products(queries, ids[:, :0], np.zeros(4, np.int64)).shape == (4, 0)
