import numpy as np
import pytest
from neighbours_reference import by_stable_sort
from rows import at_length_one, unit

from jaxret import functional
from jaxret.functional.weights import DATABASE_WEIGHTS, QUERY_WEIGHTS
from jaxret.ranking import expansion


def lists(queries, database, n):
    return by_stable_sort(queries, database, n)


@pytest.mark.parametrize("weights", QUERY_WEIGHTS)
@pytest.mark.parametrize("n", [0, 1, 9])
def test_expansion_has_the_bits_of_the_host(weights, n):
    queries, database = unit(5, 13), unit(80, 13, seed=1)
    near = lists(queries, database, n)
    found = functional.expand(queries, database, near, weights)
    np.testing.assert_array_equal(found, expansion.expand(queries, database, near, weights))


@pytest.mark.parametrize("weights", DATABASE_WEIGHTS)
@pytest.mark.parametrize("normalize", [True, False])
@pytest.mark.parametrize("n", [0, 1, 20])
def test_augmentation_has_the_bits_of_the_host(weights, normalize, n):
    database = unit(80, 13)
    sims, ids = functional.others(lists(database, database, n + 1))
    near = np.asarray(sims), np.asarray(ids)
    found = functional.augment(database, near, weights, normalize)
    np.testing.assert_array_equal(found, expansion.augment(database, near, weights, normalize))


def test_is_the_mean_over_a_row_and_its_others():
    database = unit(30, 13)
    near = functional.others(lists(database, database, 4))
    mean = database + database[np.asarray(near[1])].sum(axis=1)
    np.testing.assert_allclose(
        functional.augment(database, near, "uniform"), at_length_one(mean), atol=1e-6
    )


def test_what_cancels_out_stays_as_it_was():
    row = unit(1, 5)
    near = np.full((1, 1), -1, np.float32), np.zeros((1, 1), np.int32)
    np.testing.assert_array_equal(functional.expand(row, -row, near), row)
