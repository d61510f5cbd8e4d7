"""GAP and Met's classifier against the publishers' formulas written out, and scikit-learn."""

import math
from fractions import Fraction

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from jaxret import metrics as M  # noqa: N812 - as its users write
from jaxret.errors import UserError


def slow_gap(confidences, correct, answerable):
    """The list walked through, the surest first, in exact fractions."""
    total, right = Fraction(0), 0
    order = sorted(range(len(correct)), key=lambda query: (-confidences[query], query))
    for place, query in enumerate(order, 1):
        if correct[query]:
            right += 1
            total += Fraction(right, place)
    return float(total / answerable)


@pytest.mark.parametrize("levels", [0, 1, 2, 5])
def test_the_definition_with_ties_and_queries_without_an_answer(levels):
    rng = np.random.default_rng(levels)
    for _ in range(100):
        size = int(rng.integers(1, 50))
        sure = rng.integers(0, levels, size) / 3 if levels else rng.normal(size=size)
        correct = rng.random(size) < rng.random()
        answerable = int(rng.integers(max(correct.sum(), 1), size + 1))
        np.testing.assert_allclose(
            M.gap(sure, correct, answerable), slow_gap(sure, correct, answerable), 0, 1e-12
        )
        np.testing.assert_allclose(M.gap(sure, correct), slow_gap(sure, correct, size), 0, 1e-12)


def test_it_is_scikit_learn_where_every_answer_was_found():
    rng = np.random.default_rng(1)
    for _ in range(50):
        sure, correct = rng.normal(size=40), rng.random(40) < 0.4
        theirs = average_precision_score(correct, sure)
        np.testing.assert_allclose(M.gap(sure, correct, int(correct.sum())), theirs, 0, 1e-12)


def test_a_sure_wrong_answer_to_a_query_without_one_costs():
    assert M.gap([0.9, 0.1], [True, False], 1) == 1.0
    assert M.gap([0.1, 0.9], [True, False], 1) == 0.5
    assert M.gap([0.3, 0.2], [False, False], 2) == 0.0
    assert math.isnan(M.gap([0.3], [False], 0))


def published_classifier(sims, labels, t, n):
    """KNN_Classifier.predict of nikosips/met, a query at a time."""
    predictions, confidences = [], []
    for near, of in zip(sims, labels, strict=True):
        best = {c: max(s for s, other in zip(near, of, strict=True) if other == c) for c in set(of)}
        names = sorted(best)
        odds = [math.exp(t * best[c]) for c in names]
        whole = math.fsum(odds) + (n - len(names))
        top = max(range(len(names)), key=lambda i: odds[i])
        predictions.append(names[top])
        confidences.append(odds[top] / whole)
    return predictions, confidences


@pytest.mark.parametrize(("k", "t"), [(1, 1.0), (3, 10.0), (7, 0.1)])
def test_the_classifier_of_met(k, t):
    rng = np.random.default_rng(k)
    sims = -np.sort(-rng.random((60, k)), axis=1)
    labels = rng.integers(0, 9, (60, k))
    classes, sure = M.nearest_class(sims, labels, t, 40)
    expected = published_classifier(sims.tolist(), labels.tolist(), t, 40)
    np.testing.assert_array_equal(classes, expected[0])
    np.testing.assert_allclose(sure, expected[1], 0, 1e-12)
    if k == 1:  # then the temperature cannot change an order
        np.testing.assert_array_equal(np.argsort(sure), np.argsort(sims[:, 0]))


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: M.gap([0.1, 0.2], [True]), r"\[2\] and \[1\]"),
        (lambda: M.gap([float("nan")], [True]), "without NaN"),
        (lambda: M.gap([0.1, 0.2], [True, True], 1), "2 predictions are correct, but 1"),
        (lambda: M.nearest_class([[0.1]], [1], 1.0, 3), r"\[1, 1\] and \[1\]"),
        (lambda: M.nearest_class(np.zeros((2, 0)), np.zeros((2, 0), int), 1.0, 3), "neighbours"),
    ],
)
def test_what_cannot_be_counted_is_refused(call, sentence):
    with pytest.raises(UserError, match=sentence):
        call()
