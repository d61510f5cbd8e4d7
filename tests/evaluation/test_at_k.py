"""Metrics at k against the publishers' formulas written out, scikit-learn and trec_eval."""

import itertools
import math
from fractions import Fraction

import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.metrics import average_precision_score, ndcg_score

import jaxret
from jaxret import metrics as M  # noqa: N812 - as its users write
from jaxret.errors import UserError

EXACT = {"rtol": 0, "atol": 1e-12}


def ilias(ids, scores, positives, k):
    """_compute_AP of ilias-vrg/ilias, whose sort leaves ties in any order: here stable."""
    order = np.argsort(-scores, kind="stable")
    top, top_scores = ids[order][:k], scores[order][:k]
    right = np.isin(top, list(positives))
    if not right.any():
        return 0.0
    return average_precision_score(right, top_scores) * right.sum() / min(k, len(positives))


def gldv2(prediction, solution, k):
    """The definition of tensorflow/models, walked through in exact fractions."""
    total, right, met = Fraction(0), 0, set()
    for place, item in enumerate(prediction[:k]):
        if item in met:
            continue
        if item in solution:
            right += 1
            total += Fraction(right, place + 1)
        met.add(item)
    return float(total / min(len(solution), k))


def ames(ranking, positives, k):
    """Trapezoids over the first k, in exact fractions."""
    total, right = Fraction(0), 0
    for place, item in enumerate(ranking[:k]):
        if item in positives:
            before = Fraction(right, place) if place else Fraction(1)
            right += 1
            total += (before + Fraction(right, place + 1)) / 2
    return float(total / min(len(positives), k))


def cases(count, seed=0):
    """Rankings of up to 60 ids, often truncated, with positives of which some lie outside of it."""
    rng = np.random.default_rng(seed)
    for _ in range(count):
        size = int(rng.integers(1, 60))
        ranks = rng.permutation(size)[: rng.integers(0, size + 1)]
        positives = rng.choice(size, rng.integers(1, size + 1), replace=False)
        yield rng, ranks, positives, int(rng.integers(1, 70))


def test_ilias_is_scikit_learn_of_the_first_k():
    for rng, ranks, positives, k in cases(200):
        scores = np.sort(rng.normal(size=len(ranks)))[::-1]
        expected = ilias(ranks, scores, positives, k)
        for given in (None, scores):
            np.testing.assert_allclose(
                M.average_precision_at(ranks, positives, k, scores=given), expected, **EXACT
            )


@pytest.mark.parametrize("levels", [1, 2, 3, 7])
def test_ilias_counts_tied_scores_as_one_step(levels):
    for rng, ranks, positives, k in cases(150, levels):
        scores = rng.integers(0, levels, len(ranks)) / 7
        np.testing.assert_allclose(
            M.average_precision_at(ranks, positives, k, "ilias", scores),
            ilias(ranks, scores, positives, k),
            **EXACT,
        )


def test_the_order_within_a_tie_does_not_count_unless_the_cut_splits_it():
    scores = [0.9, 0.5, 0.5, 0.5]
    found = {
        M.average_precision_at([0, *rest], [1, 2], 4, "ilias", scores)
        for rest in itertools.permutations([1, 2, 3])
    }
    assert found == {0.5}  # both at the end of the tie: 2/4 each, over 2
    assert M.average_precision_at([0, 1, 2, 3], [1, 2], 2, "ilias", scores) == 0.25
    assert M.average_precision_at([0, 3, 1, 2], [1, 2], 2, "ilias", scores) == 0.0


def test_scores_put_the_results_in_order():
    ranks, scores = [4, 7, 2], [0.1, 0.3, 0.2]
    assert M.average_precision_at(ranks, [7], 1, scores=scores) == 1.0
    assert M.average_precision_at(ranks, [4], 3, scores=scores) == pytest.approx(1 / 3)


@pytest.mark.parametrize(("form", "formula"), [("gldv2", gldv2), ("ames", ames)])
def test_other_forms_in_exact_fractions(form, formula):
    for _, ranks, positives, k in cases(200, 1):
        np.testing.assert_allclose(
            M.average_precision_at(ranks, positives, k, form),
            formula(ranks.tolist(), set(positives.tolist()), k),
            **EXACT,
        )


def test_gldv2_skips_what_came_before_but_keeps_its_place():
    for rng, ranks, positives, k in cases(200, 2):
        repeated = rng.choice(ranks, 2 * len(ranks)) if len(ranks) else ranks
        np.testing.assert_allclose(
            M.average_precision_at(repeated, positives, k, "gldv2"),
            gldv2(repeated.tolist(), set(positives.tolist()), k),
            **EXACT,
        )
    assert M.average_precision_at([3, 3, 1], [1, 3], 3, "gldv2") == pytest.approx((1 + 2 / 3) / 2)


def test_without_a_cut_the_forms_are_those_of_whole_rankings():
    for _, ranks, positives, _ in cases(50, 3):
        whole = np.concatenate([ranks, np.setdiff1d(np.arange(60), ranks)])
        trapezoids = M.average_precision_at(whole, positives, 60, "ames")
        assert trapezoids == jaxret.average_precision(whole, positives)
        np.testing.assert_allclose(
            M.average_precision_at(whole, positives, 60, "gldv2"),
            average_precision_score(np.isin(whole, positives), -np.arange(60)),
            **EXACT,
        )


@pytest.mark.parametrize("form", M.average_precision_at.__globals__["FORMS"])
def test_the_best_and_the_worst_ranking(form):
    """All positives first is 1 even where k is smaller than their number; all behind k is 0."""
    ok = np.arange(20)
    rest = np.arange(20, 50)
    for k in (1, 5, 20, 50):
        first = np.concatenate([ok[::-1], rest])
        assert M.average_precision_at(first, ok, k, form) == pytest.approx(1, abs=1e-15)
        assert M.average_precision_at(rest, ok, k, form) == 0
    assert M.average_precision_at([], ok, 5, form) == 0
    assert math.isnan(M.average_precision_at([1, 2], [], 5, form))


def test_places_where_nothing_was_returned():
    for form in ("ilias", "ames", "gldv2"):
        assert M.average_precision_at([5, -1, -1], [5], 3, form) == 1.0
    assert M.average_precision_at([5, -1, -1], [5], 3, scores=[0.5, 9.0, 0.1]) == 1.0
    assert M.recall_at([-1, -1], [5], 2) == 0


def test_everything_else_against_trec_eval():
    pytrec_eval = pytest.importorskip("pytrec_eval")
    for _, ranks, positives, _ in cases(100, 4):
        if not len(ranks):
            continue
        run = {"q": {f"{i:03d}": float(len(ranks) - place) for place, i in enumerate(ranks)}}
        wanted = {"q": {f"{i:03d}": 1 for i in positives}}
        names = {"ndcg_cut.1,5,10", "recall.1,5,10", "success.1,5,10", "map_cut.5,100"}
        theirs = pytrec_eval.RelevanceEvaluator(wanted, names).evaluate(run)["q"]
        for k in (1, 5, 10):
            ours = {
                f"ndcg_cut_{k}": M.ndcg_at(ranks, positives, k),
                f"recall_{k}": M.recall_at(ranks, positives, k, "fraction"),
                f"success_{k}": M.recall_at(ranks, positives, k),
            }
            for name, value in ours.items():
                # trec_eval's nDCG sums float64 in another order; the rest is exact
                np.testing.assert_allclose(value, theirs[name], **EXACT)
            assert M.hit_rate_at(ranks, positives, k) == theirs[f"success_{k}"]
        scale = len(positives) / min(5, len(positives))  # trec_eval divides by all positives
        np.testing.assert_allclose(
            M.average_precision_at(ranks, positives, 5, "gldv2"),
            theirs["map_cut_5"] * scale,
            **EXACT,
        )


def test_ndcg_is_that_of_scikit_learn():
    for _, ranks, positives, k in cases(60, 5):
        if len(ranks) < 2:
            continue
        whole = np.concatenate([ranks, np.setdiff1d(positives, ranks)])
        gains, scores = np.isin(whole, positives)[None].astype(float), -np.arange(len(whole))[None]
        cut = min(k, len(ranks))
        theirs = ndcg_score(gains, scores, k=cut)
        np.testing.assert_allclose(M.ndcg_at(whole, positives, cut), theirs, **EXACT)


def test_capped_precision_and_ns_score_by_counting():
    for _, ranks, positives, k in cases(200, 6):
        cut = min(k, len(positives))
        hits = sum(int(i in positives) for i in ranks[:cut])
        assert M.capped_precision_at(ranks, positives, k) == pytest.approx(hits / cut, abs=1e-15)
        assert M.ns_score(ranks, positives) == sum(int(i in positives) for i in ranks[:4])
    assert M.capped_precision_at([0, 1, 9, 9999], [0, 1], 5) == 1.0  # not 2/5
    assert math.isnan(M.capped_precision_at([1], [], 5))


def test_junk_is_taken_out_before_the_cut():
    ranks = M.without_junk([7, 3, 1, 5], [7, 1])
    assert ranks.tolist() == [3, 5]
    assert M.recall_at(ranks, [3], 1) == 1
    assert M.without_junk([2, 1], []).tolist() == [2, 1]


def test_jax_arrays_and_numpy_integers_are_taken():
    ranks, positives = jnp.array([4, 2, 0], jnp.int32), jnp.array([2], jnp.int32)
    assert M.average_precision_at(ranks, positives, np.int64(3)) == 0.5
    assert M.recall_at(ranks, positives, 1) == 0


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: M.average_precision_at([0], [0], 0), "at least 1"),
        (lambda: M.average_precision_at([0], [0], 1.5), "whole number"),
        (lambda: M.average_precision_at([0], [0], True), "whole number"),
        (lambda: M.average_precision_at([0], [0], 1, "coco"), "Known: ilias, ames, gldv2"),
        (lambda: M.average_precision_at([0, 0], [0], 2), "id 0 occurs more than once"),
        (lambda: M.average_precision_at([0, 0], [0], 2, "ames"), "id 0 occurs more than once"),
        (lambda: M.average_precision_at([0], [0], 1, "gldv2", [1.0]), "'ilias' alone"),
        (lambda: M.average_precision_at([0], [0], 1, "ilias", [1.0, 2.0]), "each of the 1"),
        (lambda: M.average_precision_at([0], [0], 1, "ilias", [float("nan")]), "NaN"),
        (lambda: M.recall_at([0], [0], 1, "all"), "Known: any, fraction"),
        (lambda: M.recall_at([0.5], [0], 1), "whole numbers"),
        (lambda: M.recall_at([0], [-1], 1), "holds id -1"),
        (lambda: M.ndcg_at([1, 1], [1], 5), "more than once"),
        (lambda: M.recall_at([-1, 5], [5], 2), "-1 at place 0"),
        (lambda: M.average_precision_at([-1, 5], [5], 2, scores=[0.1, 0.2]), "-1 at place 0"),
        (lambda: M.capped_precision_at([1], [1], -1), "at least 1"),
    ],
)
def test_what_cannot_be_counted_is_refused(call, sentence):
    with pytest.raises(UserError, match=sentence):
        call()
