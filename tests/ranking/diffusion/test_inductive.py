import diffusion_reference as reference
import numpy as np
import pytest

from jaxret.errors import UserError
from jaxret.ranking.diffusion.inductive import Diffusion, DiffusionSettings, diffuse_jointly
from jaxret.ranking.diffusion.joint import JointDiffusion, diffuse_fully


def normalise(x):
    return (x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float32)


# All graphs have 320 nodes: one size, one compilation.
def clustered(count=320, dim=24, clusters=12, seed=0):
    random = np.random.default_rng(seed)
    centres = random.normal(size=(clusters, dim))
    spread = 0.6 * random.normal(size=(count, dim))
    return normalise(centres[random.integers(clusters, size=count)] + spread)


def scattered(count=320, dim=8, seed=0):
    return normalise(np.random.default_rng(seed).normal(size=(count, dim)))


def two_components():
    """Two clusters at right angles: no similarity, no edge between them."""
    half = clustered(160, dim=10)
    zero = np.zeros_like(half)
    return np.concatenate([np.hstack([half, zero]), np.hstack([zero, half])])


def with_isolated():
    """One-hot rows of their own dimension are nobody's neighbour."""
    most = clustered(310, dim=10)
    alone = np.eye(20, dtype=np.float32)[10:]
    return np.concatenate([np.hstack([most, np.zeros_like(most)]), alone])


def duplicates():
    return np.concatenate([np.repeat(scattered(2, dim=24), 120, axis=0), clustered(80)])


GRAPHS = {
    "clustered": clustered,
    "scattered": scattered,
    "two components": two_components,
    "isolated": with_isolated,
    "duplicates": duplicates,
    "all identical": lambda: np.repeat(scattered(1), 320, axis=0),
}


def rows_of_scipy(database, truncation, kd, gamma=3, alpha=0.99):
    """The offline matrix [N, N]."""
    sims, ids = reference.sorted_lists(database, max(truncation, kd))
    graph = reference.normalised_graph(sims[:, :kd], ids[:, :kd], gamma)
    return reference.dense(
        ids[:, :truncation], reference.offline_rows(ids[:, :truncation], graph, alpha)
    )


def dense(fitted):
    return reference.dense(*fitted.rows.whole())


@pytest.mark.parametrize("name", GRAPHS)
@pytest.mark.parametrize(("truncation", "kd"), [(60, 15), (10**6, 50)])
def test_offline_rows_equal_scipys(name, truncation, kd):
    database = GRAPHS[name]()
    fitted = Diffusion.fit(database, truncation=truncation, kd=kd)
    expected = rows_of_scipy(database, truncation, kd)
    ours = dense(fitted)
    assert np.isfinite(ours).all()
    np.testing.assert_allclose(ours, expected, atol=1e-4 * np.abs(expected).max())


def test_isolated_nodes_hold_only_themselves():
    fitted = Diffusion.fit(with_isolated(), truncation=60, kd=15)
    np.testing.assert_array_equal(dense(fitted)[-10:, -10:], np.eye(10))


@pytest.mark.parametrize("name", ["clustered", "scattered", "two components"])
def test_search_combines_the_rows_of_the_nearest(name):
    database, queries = GRAPHS[name](), GRAPHS[name]()[:20] * 0.9
    queries = normalise(queries + 0.1 * scattered(20, queries.shape[1], seed=5))
    sims = queries @ database.T
    nearest = np.argsort(-sims, axis=1, kind="stable")[:, :10]
    weights = np.take_along_axis(sims, nearest, axis=1) ** 3
    expected = np.einsum("qk,qkn->qn", weights, rows_of_scipy(database, 60, 15)[nearest])
    fitted = Diffusion.fit(database, truncation=60, kd=15)
    scores, ids = fitted.search(queries, 100)
    tolerance = 1e-4 * expected.max()
    np.testing.assert_allclose(scores, np.take_along_axis(expected, ids, axis=1), atol=tolerance)
    reference.assert_same_ranking(ids, expected, 100, tolerance)


def test_search_fills_up_with_the_global_order_or_the_ids():
    database = two_components()
    fitted = Diffusion.fit(database, truncation=60, kd=15)
    query = database[:1]
    for rest, order in (
        ("global", np.argsort(-(query @ database.T)[0], kind="stable")),
        ("none", np.arange(len(database))),
    ):
        scores, ids = fitted.search(query, 10**6, rest=rest)
        assert sorted(ids[0]) == list(range(len(database)))
        unreached = ids[0][scores[0] == 0]
        np.testing.assert_array_equal(unreached, [i for i in order if i in set(unreached)])


@pytest.mark.parametrize("name", GRAPHS)
def test_joint_diffusion_is_the_product_of_the_normalised_rows(name):
    database = GRAPHS[name]()
    queries = normalise(database[:9] + 0.05 * scattered(9, database.shape[1], seed=5))
    matrix = rows_of_scipy(np.concatenate([queries, database]), 60, 15)
    matrix /= np.linalg.norm(matrix, axis=1, keepdims=True)
    expected = matrix[:9] @ matrix[9:].T
    scores, ids = diffuse_jointly(queries, database, 100, truncation=60, kd=15)
    np.testing.assert_allclose(scores, np.take_along_axis(expected, ids, axis=1), atol=1e-4)
    reference.assert_same_ranking(ids, expected, 100, 1e-4)


def test_a_query_in_no_ones_list_scores_zero_in_the_order_of_the_ids():
    tight = normalise(np.eye(4)[:1] + 0.01 * scattered(60, 4))
    query = np.array([[0.6, 0.8, 0, 0]])
    scores, ids = diffuse_jointly(query, tight, 60, kd=10)
    assert JointDiffusion.fit(query, tight, DiffusionSettings(kd=10)).isolated.all()
    assert not scores.any()
    np.testing.assert_array_equal(ids[0], np.arange(60))


@pytest.mark.parametrize("name", ["clustered", "isolated"])
def test_the_full_solve_is_that_of_a_direct_solver(name):
    database = GRAPHS[name]()
    queries = normalise(database[:9] + 0.05 * scattered(9, database.shape[1], seed=5))
    sims, ids = reference.sorted_lists(database, 15)
    graph = reference.normalised_graph(sims, ids, 3).toarray()
    sims = queries @ database.T
    last = -np.sort(-sims, axis=1)[:, 9:10]
    y = np.where(sims >= last, np.maximum(sims, 0) ** 3, 0)
    expected = np.linalg.solve(np.eye(len(graph)) - 0.9 * graph, y.T).T
    scores, ids = diffuse_fully(queries, database, 320, kd=15, alpha=0.9, rounds=200)
    np.testing.assert_allclose(
        scores, np.take_along_axis(expected, ids, axis=1), atol=1e-4 * expected.max()
    )
    assert sorted(ids[0]) == list(range(320))


def test_one_row_and_no_queries():
    one = scattered(1)
    fitted = Diffusion.fit(one)
    scores, ids = fitted.search(one, 5)
    assert ids.tolist() == [[0]] and scores[0, 0] == pytest.approx(1)
    assert fitted.search(np.empty((0, 8)), 5)[1].shape == (0, 1)
    assert diffuse_jointly(one, one, 5)[1].tolist() == [[0]]
    assert diffuse_jointly(np.empty((0, 8)), scattered(), 5)[1].shape == (0, 5)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"truncation": 0}, "truncation is 0"),
        ({"kd": 1}, "kd is 1"),
        ({"alpha": 1.0}, "alpha is 1.0"),
        ({"gamma": 0}, "gamma is 0"),
        ({"database": np.empty((0, 3))}, "empty"),
        ({"database": np.full((3, 3), np.nan)}, "Row 0"),
    ],
)
def test_refuses_with_a_sentence(changes, says):
    with pytest.raises(UserError, match=says):
        Diffusion.fit(**{"database": scattered(20), **changes})


def test_search_refuses_with_a_sentence():
    fitted = Diffusion.fit(scattered(20))
    with pytest.raises(UserError, match="5 dimensions"):
        fitted.search(scattered(2, dim=5), 3)
    with pytest.raises(UserError, match="Known: global, none"):
        fitted.search(scattered(2), 3, rest="all")
