import jax
import numpy as np
import pytest
from jax.sharding import Mesh
from neighbours_reference import by_stable_sort
from rows import clustered, unit

from jaxret import functional
from jaxret.functional.sharded import Spread


def spread(devices):
    return Spread(Mesh(np.array(jax.devices()[:devices]), ("rows",)))


def with_duplicates():
    once = unit(211, 9)
    return np.concatenate([once, once[:150], once[:100]])[np.random.default_rng(2).permutation(461)]


@pytest.mark.parametrize("devices", [1, 4])
@pytest.mark.parametrize(("count", "k"), [(461, 37), (461, 461), (7, 3), (2, 2)])
def test_any_number_of_devices_finds_the_same_neighbours(devices, count, k):
    queries, database = unit(13, 9, seed=1), with_duplicates()[:count]
    found = spread(devices).top_k(queries, database, k)
    for array, expected in zip(found, by_stable_sort(queries, database, k), strict=True):
        np.testing.assert_array_equal(array, expected)
        assert array.sharding.is_fully_replicated


def test_any_number_of_devices_diffuses_to_the_same_bits():
    database = clustered(203, 31)
    nearest = functional.others(functional.top_k(database, database, 60))
    graph, lists = functional.mutual_graph(nearest, 12), functional.lists_of(nearest, 50)
    expected = functional.diffuse(graph, lists, 0.99, 1e-6, 20)
    for devices in (1, 4):
        found = spread(devices).diffuse(graph, lists, 0.99, 1e-6, 20)
        np.testing.assert_array_equal(found, expected)
