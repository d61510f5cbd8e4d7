"""What benchmarks are evaluated by: keys, means over queries, junk, ties and confidences."""

import math

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from jaxret import metrics as M  # noqa: N812 - as its users write
from jaxret.errors import UserError
from jaxret.evaluation.measures import evaluate_by, measure

KEYS = ("map@1000", "map@100", "oracle@1000", "r@1", "r@10", "mmp@5", "ndcg@10", "map_rect", "acc")


def truths(rng, queries, size):
    """Queries with two to nine positives, of which the first is left out of the ranking."""
    for query in range(queries):
        chosen = rng.choice(size, rng.integers(3, 11), replace=False).tolist()
        yield {"ok": [] if query == 2 else chosen[1:], "junk": chosen[:1]}


def test_each_is_the_mean_of_its_function_without_junk():
    rng = np.random.default_rng(0)
    ranks = np.stack([rng.permutation(60) for _ in range(12)])
    gnd = list(truths(rng, 12, 60))
    by_hand = {key: [] for key in (*KEYS, "n-s")}
    for ids, truth in zip(ranks, gnd, strict=True):
        kept, ok = [i for i in ids if i not in truth["junk"]], truth["ok"]
        if not ok:
            continue
        hits = np.isin(kept, ok)
        by_hand["map_rect"].append(average_precision_score(hits, -np.arange(len(kept))))
        by_hand["map@1000"].append(M.average_precision_at(kept, ok, 1000))
        by_hand["map@100"].append(M.average_precision_at(kept, ok, 100, "gldv2"))
        by_hand["oracle@1000"].append(1.0)
        by_hand["r@1"].append(hits[0])
        by_hand["acc"].append(hits[0])
        by_hand["r@10"].append(hits[:10].any())
        by_hand["mmp@5"].append(hits[: min(5, len(ok))].sum() / min(5, len(ok)))
        by_hand["ndcg@10"].append(M.ndcg_at(kept, ok, 10))
        by_hand["n-s"].append(hits[:4].sum())
    found = evaluate_by((*KEYS, "n-s"), ranks, gnd, "classic")
    assert list(found) == [*KEYS, "n-s"]
    for key, values in by_hand.items():
        assert found[key] == pytest.approx(np.mean(values), abs=1e-12), key


def test_ties_are_grouped_where_similarities_order():
    ranks = np.array([[0, 1, 2, 3]])
    gnd = [{"ok": [1, 2], "junk": []}]
    scores = np.array([0.9, 0.5, 0.5, 0.5])
    assert evaluate_by(("map@1000",), ranks, gnd, "classic")["map@1000"] == pytest.approx(7 / 12)
    tied = evaluate_by(("map@1000",), ranks, gnd, "classic", similarities=lambda query: scores)
    assert tied["map@1000"] == 0.5
    junk = [{"ok": [1, 2], "junk": [0]}]
    freed = evaluate_by(("map@1000",), ranks, junk, "classic", similarities=lambda query: scores)
    assert freed["map@1000"] == pytest.approx(2 / 3)


def test_gap_counts_queries_without_an_answer():
    ranks = np.array([[0, 1], [1, 0], [0, 1]])
    gnd = [{"ok": [0]}, {"ok": [0]}, {"ok": []}]
    sure = [0.2, 0.1, 0.9]  # the surest has no answer
    found = evaluate_by(("gap", "gap-", "acc"), ranks, gnd, "classic", sure)
    assert found == {"gap": 0.25, "gap-": 0.5, "acc": 0.5}
    with pytest.raises(UserError, match="'gap' needs to know how sure"):
        evaluate_by(("gap",), ranks, gnd, "classic")


def test_rankings_may_end_early():
    found = evaluate_by(("map@1000", "r@10", "map_rect"), [[5]], [{"ok": [5, 6]}], "classic")
    assert found == {"map@1000": 0.5, "r@10": 1.0, "map_rect": 0.5}


def test_no_query_with_an_answer():
    found = evaluate_by(("r@1", "gap"), [[5]], [{"ok": []}], "classic", [0.5])
    assert all(math.isnan(value) for value in found.values())


def test_those_of_every_dataset_are_left_to_evaluate():
    assert evaluate_by(("map", "mp@5"), [[0]], [{"ok": [0]}], "classic") == {}
    assert measure("mp@5").name == "mP@5"


@pytest.mark.parametrize(
    ("key", "name", "unit"),
    [
        ("map@1000", "mAP@1000", 100),
        ("n-s", "N-S", 1),
        ("gap", "GAP", 100),
        ("r@7", "R@7", 100),
        ("map", "mAP", 100),
    ],
)
def test_names_in_tables(key, name, unit):
    assert (measure(key).name, measure(key).unit) == (name, unit)


@pytest.mark.parametrize("key", ["recall", "r@0", "r@", "R@1", "map@-1", "mp@3"])
def test_unknown_keys_are_refused(key):
    with pytest.raises(UserError, match="Known: map, mp@1"):
        measure(key)
