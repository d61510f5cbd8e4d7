"""Scores set apart for tools that order equal ones in their own way."""

import numpy as np
import pytrec_eval

from jaxret.ranking.ordering import strictly_descending


def test_equal_scores_stay_in_their_order_and_others_as_they_are():
    draw = np.random.default_rng(0)
    scores = -np.sort(-draw.choice([1.0, 0.5, 1e-30, 0.0, -0.25, -1.0], (3, 400)), axis=1)
    scores[0] = 0  # what diffusion reaches nothing of
    scores[1] = np.linspace(1, -1, 400)
    scores = scores.astype(np.float32)
    apart = strictly_descending(scores)
    assert apart.dtype == np.float32
    assert (np.diff(apart, axis=1) < 0).all()
    np.testing.assert_array_equal(apart[1], scores[1])
    np.testing.assert_allclose(apart, scores, atol=5e-5)
    assert (apart <= scores).all()
    assert (np.abs(apart[apart != 0]) >= np.finfo(np.float32).tiny).all()
    # trec_eval breaks ties by name, the largest first
    run = {str(q): {f"{i:03}": float(v) for i, v in enumerate(row)} for q, row in enumerate(apart)}
    qrels = {q: {"399": 1} for q in run}
    found = pytrec_eval.RelevanceEvaluator(qrels, {"recip_rank"}).evaluate(run)
    assert {round(1 / one["recip_rank"]) for one in found.values()} == {400}


def test_the_scores_given_are_left_alone_and_none_need_nothing():
    scores = np.zeros((2, 3), np.float32)
    strictly_descending(scores)
    assert not scores.any()
    assert strictly_descending(np.zeros((2, 0), np.float32)).shape == (2, 0)
    assert strictly_descending(np.zeros((0, 3), np.float32)).shape == (0, 3)
