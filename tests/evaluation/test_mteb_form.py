"""MTEB's figures against trec_eval, which MTEB counts with."""

import numpy as np
import pytest
import pytrec_eval

import jaxret
from jaxret import metrics
from jaxret.errors import UserError
from jaxret.evaluation.mteb_form import MTEB_KS


def drawn(seed, database=37):
    """Rankings of a whole database and lists of every kind; the last query has nothing to find."""
    draw = np.random.default_rng(seed)
    ranks = np.stack([draw.permutation(database) for _ in range(6)])
    gnd = []
    for _ in range(6):
        cut = np.split(draw.permutation(database), np.sort(draw.integers(0, database // 2, 3)))
        gnd.append(dict(zip(("easy", "hard", "junk"), map(np.ndarray.tolist, cut), strict=False)))
    gnd[-1] = {"easy": [], "hard": [], "junk": [3]}
    return ranks, gnd


@pytest.mark.parametrize("protocol", ["easy", "medium", "hard"])
def test_trec_eval_counts_the_same(protocol):
    ranks, gnd = drawn(seed=len(protocol))
    right = {"easy": ("easy",), "medium": ("easy", "hard"), "hard": ("hard",)}[protocol]
    # as MTEB's answers are: positives at 1, negatives at 0, junk not in them
    qrels = {}
    for query, truth in enumerate(gnd):
        known = {i for ids in truth.values() for i in ids}
        judged = dict.fromkeys(set(range(ranks.shape[1])) - known, 0)
        judged |= {i: 1 for name in right for i in truth[name]}
        qrels[str(query)] = {f"{i:03}": value for i, value in judged.items()}
    run = {
        query: {f"{i:03}": -float(place) for place, i in enumerate(ranks[int(query)])}
        for query in qrels
    }
    asked = {
        f"{name}.{','.join(map(str, MTEB_KS))}" for name in ("map_cut", "ndcg_cut", "recall", "P")
    }
    per_query = pytrec_eval.RelevanceEvaluator(qrels, asked).evaluate(run)
    found = metrics.evaluate_as_mteb(ranks, gnd, protocol)
    names = {"map": "map_cut", "ndcg": "ndcg_cut", "recall": "recall", "precision": "P"}
    for own, theirs in names.items():
        for k in MTEB_KS:
            expected = np.mean([one[f"{theirs}_{k}"] for one in per_query.values()])
            assert found[f"{own}_at_{k}"] == pytest.approx(expected, abs=1e-12), (own, k)
    for k in MTEB_KS:
        hit = np.mean([one[f"recall_{k}"] > 0 for one in per_query.values()])
        assert found[f"hit_rate_at_{k}"] == hit


def test_junk_is_wrong_there_and_nothing_here():
    ranks, gnd = np.array([[4, 0, 1, 2, 3]]), [{"easy": [0, 1], "hard": [], "junk": [4]}]
    both = metrics.evaluate_both(ranks, gnd, "easy")
    assert both["field"]["map"] == jaxret.evaluate(ranks, gnd, "easy")["map"] == 1.0
    assert both["mteb"]["map_at_5"] == pytest.approx((1 / 2 + 2 / 3) / 2)


def test_what_cannot_reach_one():
    """Ten right ones, all on top: five of them are all that map_at_5 sees."""
    ranks, gnd = np.arange(20)[None], [{"ok": list(range(10)), "junk": []}]
    found = metrics.evaluate_as_mteb(ranks, gnd, "classic")
    assert (found["map_at_5"], found["map_at_10"]) == (0.5, 1.0)
    nothing = [*gnd, {"ok": [], "junk": []}]
    found = metrics.evaluate_as_mteb(np.repeat(ranks, 2, axis=0), nothing, "classic")
    assert found["map_at_10"] == 0.5  # here it is left out of the mean
    assert jaxret.evaluate(np.repeat(ranks, 2, axis=0), nothing)["map"] == 1.0
    with pytest.raises(UserError, match="1 rankings but ground truth for 2 queries"):
        metrics.evaluate_as_mteb(ranks, gnd * 2, "classic")
