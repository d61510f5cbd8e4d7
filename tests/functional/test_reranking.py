"""Re-ranking against the publishers' steps, written out in float64 loops."""

import jax
import numpy as np
import pytest

from jaxret import functional


def unit(rows):
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def clustered(draw, count, dim):
    centres = draw.normal(size=(5, dim))
    return unit(centres[draw.integers(0, 5, count)] + 0.6 * draw.normal(size=(count, dim)))


def duplicated(draw, count, dim):
    return clustered(draw, count, dim)[draw.integers(0, count // 2, count)]


def nonnegative(draw, count, dim):
    return unit(np.abs(draw.normal(size=(count, dim))))


KINDS = {"clustered": clustered, "duplicated": duplicated, "nonnegative": nonnegative}


def superglobal_by_hand(query, database, ids, m, k, beta, aggregate):
    """The public code's steps: MDescAug, then RerankwMDA."""
    rows = database[ids[:m]]
    refined = []
    for row in rows:
        sims = rows @ row
        near = np.argsort(-sims, kind="stable")[: k + 1]
        weights = beta * sims[near]
        weights[0] = 1
        refined.append((weights[:, None] * rows[near]).sum(0) / weights.sum())
    refined = np.array(refined)
    first = refined @ query
    top = np.argsort(-first, kind="stable")[: k + 1]
    scores = (first + refined @ aggregate(refined[top], axis=0)) / 2
    return by_score(scores, ids, m)


def by_score(scores, ids, m):
    scores = scores.astype(np.float32)
    return np.concatenate([ids[:m][np.lexsort((ids[:m], -scores))], ids[m:]])


def k_reciprocal_by_hand(query, database, ids, m, k1, k2, weight):
    """The published algorithm with sets of indices, over the query and its list."""
    nodes = np.concatenate([query[None], database[ids[:m]]])
    count = len(nodes)
    distances = 2 - 2 * nodes @ nodes.T
    distances = distances / distances.max(axis=1, keepdims=True)
    ranks = np.argsort(-(-distances).astype(np.float64) * 1.0, axis=1, kind="stable")

    def reciprocal(i, k):
        return [j for j in ranks[i, : k + 1] if i in ranks[j, : k + 1]]

    encoded = np.zeros((count, count))
    for i in range(count):
        found = reciprocal(i, k1)
        whole = set(found)
        for candidate in found:
            others = reciprocal(candidate, int(np.around(k1 / 2)))
            if len(set(others) & set(found)) > 2 / 3 * len(others):
                whole |= set(others)
        places = sorted(whole)
        weights = np.exp(-distances[i, places])
        encoded[i, places] = weights / weights.sum()
    if k2 != 1:
        encoded = np.array([encoded[ranks[i, :k2]].mean(axis=0) for i in range(count)])
    shared = np.minimum(encoded[0], encoded[1:]).sum(axis=1)
    jaccard = 1 - shared / (2 - shared)
    return by_score(-(jaccard * (1 - weight) + distances[0, 1:] * weight), ids, m)


@pytest.fixture(params=KINDS)
def ranked(request):
    draw = np.random.default_rng(3)
    rows = KINDS[request.param](draw, 97, 13)
    queries, database = rows[:7], rows[7:]
    return queries, database, np.asarray(functional.top_k(queries, database, 71)[1])


@pytest.mark.parametrize("aggregation", ["max", "mean"])
@pytest.mark.parametrize(("m", "k", "beta"), [(40, 9, 0.15), (400, 4, 0.5), (3, 9, 0.15)])
def test_superglobal_is_the_published_one(ranked, m, k, beta, aggregation):
    queries, database, ids = ranked
    found = functional.superglobal(queries, database, ids, m, k, beta, aggregation)
    wide = queries.astype(np.float64), database.astype(np.float64)
    aggregate = {"max": np.max, "mean": np.mean}[aggregation]
    for q, row in enumerate(np.asarray(found)):
        wanted = superglobal_by_hand(wide[0][q], wide[1], ids[q], m, k, beta, aggregate)
        np.testing.assert_array_equal(row, wanted)


@pytest.mark.parametrize(("k1", "k2", "weight"), [(20, 6, 0.3), (7, 1, 0.0)])
@pytest.mark.parametrize("m", [40, 400])
def test_k_reciprocal_is_the_published_one(ranked, m, k1, k2, weight):
    queries, database, ids = ranked
    found = functional.k_reciprocal(queries, database, ids, m, k1, k2, weight)
    wide = queries.astype(np.float64), database.astype(np.float64)
    for q, row in enumerate(np.asarray(found)):
        wanted = k_reciprocal_by_hand(wide[0][q], wide[1], ids[q], m, k1, k2, weight)
        np.testing.assert_array_equal(row, wanted)


@pytest.mark.parametrize("function", [functional.superglobal, functional.k_reciprocal])
def test_it_changes_the_order_of_the_first_alone(ranked, function):
    queries, database, ids = ranked
    found = np.asarray(function(queries, database, ids, 30))
    assert (found[:, :30] != ids[:, :30]).any()
    np.testing.assert_array_equal(np.sort(found[:, :30], axis=1), np.sort(ids[:, :30], axis=1))
    np.testing.assert_array_equal(found[:, 30:], ids[:, 30:])


def test_the_plain_distance_alone_leaves_the_order(ranked):
    queries, database, ids = ranked
    found = functional.k_reciprocal(queries, database, ids, m=50, weight=1.0)
    np.testing.assert_array_equal(found, ids)


@pytest.mark.parametrize("function", [functional.superglobal, functional.k_reciprocal])
def test_it_lowers_for_accelerators(function):
    shapes = [
        jax.ShapeDtypeStruct((5, 64), np.float32),
        jax.ShapeDtypeStruct((300, 64), np.float32),
        jax.ShapeDtypeStruct((5, 300), np.int32),
    ]
    function.trace(*shapes).lower(lowering_platforms=("cpu", "cuda", "tpu"))
