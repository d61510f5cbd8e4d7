import numpy as np
import pytest

from jaxret.errors import UserError
from jaxret.ranking.expansion import augment_database, expand_queries


def unit(count, dim=16, seed=0):
    x = np.random.default_rng(seed).normal(size=(count, dim))
    return (x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float32)


def one_by_one(row, candidates, n, weights):
    """Weighted mean in float64 over a sort of all similarities, one row at a time."""
    sims = candidates.astype(np.float64) @ row
    nearest = np.argsort(-sims, kind="stable")[:n]
    w = np.array([weights(r, sims[i]) for r, i in enumerate(nearest)])
    return (row + (w[:, None] * candidates[nearest]).sum(axis=0)) / (1 + w.sum())


QUERY_WEIGHTS = {
    "none": lambda n: lambda r, s: 1,
    "linear": lambda n: lambda r, s: (n - r) / n,
    "alpha": lambda n: lambda r, s: max(s, 0) ** 3,
}
DATABASE_WEIGHTS = {
    "gordo": lambda n: lambda r, s: (n - r) / n,
    "linear": lambda n: lambda r, s: 1 - (r + 1) / (n + 1),
    "uniform": lambda n: lambda r, s: 1,
    "alpha": lambda n: lambda r, s: max(s, 0) ** 3,
}


@pytest.mark.parametrize("weights", QUERY_WEIGHTS)
@pytest.mark.parametrize("n", [1, 10])
def test_query_expansion_is_the_weighted_mean(weights, n):
    queries, database = unit(6), unit(30, seed=1)
    expanded = expand_queries(queries, database, n, weights=weights)
    for query, row in zip(queries, expanded, strict=True):
        mean = one_by_one(query, database, n, QUERY_WEIGHTS[weights](n))
        np.testing.assert_allclose(row, mean / np.linalg.norm(mean), atol=1e-6)


@pytest.mark.parametrize("weights", DATABASE_WEIGHTS)
@pytest.mark.parametrize("normalize", [True, False])
def test_augmentation_is_the_weighted_mean_of_itself_and_its_others(weights, normalize):
    database = unit(40)
    augmented = augment_database(database, 20, weights=weights, normalize=normalize)
    for i, row in enumerate(database):
        mean = one_by_one(row, np.delete(database, i, axis=0), 20, DATABASE_WEIGHTS[weights](20))
        expected = mean / np.linalg.norm(mean) if normalize else mean
        np.testing.assert_allclose(augmented[i], expected, atol=1e-6)


def test_a_row_counts_once_among_many_duplicates():
    database = np.concatenate([np.repeat(unit(1), 300, axis=0), unit(5, seed=2)])
    augmented = augment_database(database, 400, weights="uniform")
    mean = database.sum(axis=0, dtype=np.float64)  # every row exactly once, itself among them
    expected = np.tile(mean / np.linalg.norm(mean), (305, 1))
    np.testing.assert_allclose(augmented, expected, atol=1e-6)


def test_few_rows():
    np.testing.assert_array_equal(augment_database(unit(1), 20), unit(1))
    np.testing.assert_array_equal(augment_database(unit(9), 0), unit(9))
    np.testing.assert_array_equal(expand_queries(unit(3), unit(5, seed=1), 0), unit(3))
    assert expand_queries(np.empty((0, 16)), unit(5), 10).shape == (0, 16)
    two = unit(2)
    mean = one_by_one(two[0], two, 2, lambda r, s: 1)
    np.testing.assert_allclose(
        expand_queries(two, two, 10)[0], mean / np.linalg.norm(mean), atol=1e-6
    )


def test_opposite_vectors_do_not_become_nan():
    up = np.array([[0, 1.0]])
    np.testing.assert_array_equal(expand_queries(up, -up, 1), up)


def test_lengths_of_the_rows_given_do_not_matter():
    database, lengths = unit(12), np.arange(1, 13)[:, None]
    np.testing.assert_allclose(
        augment_database(database * lengths, 3), augment_database(database, 3), atol=1e-6
    )


def test_refuses_with_a_sentence():
    with pytest.raises(UserError, match=r"'gordon'. Known: gordo, linear, uniform, alpha"):
        augment_database(unit(4), weights="gordon")
    with pytest.raises(UserError, match="Known: none, linear, alpha"):
        expand_queries(unit(4), unit(4), weights="gordo")
    with pytest.raises(UserError, match="n is -1"):
        expand_queries(unit(4), unit(4), n=-1)
