import diffusion_reference as reference
import jax
import numpy as np
import pytest
from rows import clustered, two_components, unit, with_isolated_nodes

from jaxret import functional

SETS = {  # of one shape, so that they are compiled once
    "random": unit(151, 17),
    "clustered": clustered(151, 17),
    "two components": two_components(7, 151, 17)[1],
    "isolated nodes": with_isolated_nodes(7, 151, 17)[1],
}


@pytest.mark.parametrize("name", SETS)
@pytest.mark.parametrize(
    ("truncation", "kd"), [(40, 12), (500, 8), pytest.param(7, 30, marks=pytest.mark.slow)]
)
def test_offline_rows_are_scipys(name, truncation, kd):
    database = SETS[name]
    length = min(max(truncation, kd), len(database))
    nearest = functional.others(functional.top_k(database, database, length))
    lists = functional.lists_of(nearest, truncation)
    rows = functional.diffuse(functional.mutual_graph(nearest, kd, 3.0), lists, 0.99)

    sims, ids = reference.sorted_lists(database, length)
    graph = reference.normalised_graph(sims[:, :kd], ids[:, :kd], 3)
    np.testing.assert_array_equal(lists, ids[:, :truncation])
    expected = reference.offline_rows(ids[:, :truncation], graph, 0.99)
    assert np.isfinite(rows).all()
    np.testing.assert_allclose(rows, expected, atol=1e-5 * expected.max())

    dense = reference.dense(np.asarray(lists), expected)
    long = dense / np.linalg.norm(dense, axis=1, keepdims=True)
    scores = functional.cosines(lists, rows, queries=9)
    np.testing.assert_allclose(scores, long[:9] @ long[9:].T, atol=1e-5)

    near = functional.top_k(unit(5, database.shape[1], seed=3), database, 6)
    weights = np.asarray(near[0], np.float64) ** 3
    expected = np.einsum("qk,qkn->qn", weights, dense[np.asarray(near[1])])
    scores = functional.combine(lists, rows, near, 3.0)
    np.testing.assert_allclose(scores, expected, atol=1e-5 * np.abs(expected).max())


def test_the_graph_is_symmetric_and_has_no_loops():
    nearest = functional.others(functional.top_k(SETS["clustered"], SETS["clustered"], 30))
    ids, weights = map(np.asarray, functional.mutual_graph(nearest, 9, 3.0))
    assert ids.shape[1] == 8
    graph = np.zeros((len(ids), len(ids)))
    np.put_along_axis(graph, ids, weights, axis=1)
    np.testing.assert_allclose(graph, graph.T, atol=1e-7)
    assert (graph.diagonal() == 0).all() and (graph > 0).any()


def test_blocks_of_columns_cover_every_node():
    database = SETS["random"]
    nearest = functional.others(functional.top_k(database, database, 40))
    graph, lists = functional.mutual_graph(nearest, 12), functional.lists_of(nearest, 40)
    whole = functional.diffuse(graph, np.tile(lists, (5, 1)))  # 755 columns, three blocks
    for copy in np.split(np.asarray(whole), 5):
        np.testing.assert_array_equal(copy, functional.diffuse(graph, lists))


@pytest.mark.parametrize("rest", ["none", "global"])
def test_joint_ranking_orders_the_scores(rest):
    queries, database = with_isolated_nodes(4, 93, 20)
    scores, ids = functional.diffuse_jointly(queries, database, 93, truncation=30, kd=10, rest=rest)
    by_id = np.zeros_like(scores)
    np.put_along_axis(by_id, np.asarray(ids), np.asarray(scores), axis=1)
    second = queries.astype(np.float64) @ database.T if rest == "global" else np.zeros_like(by_id)
    for q in range(len(queries)):
        tie = np.where(by_id[q] == 0, -second[q], 0)
        np.testing.assert_array_equal(ids[q], np.lexsort((np.arange(93), tie, -by_id[q])))
    assert (by_id[0] == 0).all()  # the isolated query


@pytest.mark.parametrize("platform", ["cpu", "cuda", "tpu"])
def test_lowers_for_every_platform(platform):
    shapes = jax.ShapeDtypeStruct((5, 16), np.float32), jax.ShapeDtypeStruct((90, 16), np.float32)
    traced = functional.diffuse_jointly.trace(*shapes, k=9, truncation=30, kd=10)
    assert traced.lower(lowering_platforms=(platform,)).as_text()
