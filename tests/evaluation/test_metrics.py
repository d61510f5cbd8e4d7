"""Metrics against the definition written out slowly, scikit-learn and published figures."""

import itertools
import json
import math
from fractions import Fraction

import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.metrics import precision_score

import jaxret
from jaxret.data.ground_truth.files import read_mat, read_pickle
from jaxret.errors import UserError
from jaxret.evaluation import protocols
from jaxret.evaluation.metrics import average_precision, evaluate


def slow_scores(ranks, positives, junk):
    """AP and mP@1, 5, 10 in exact fractions: the ranking is walked through, item by item."""
    if not positives:
        return [math.nan] * 4
    area, right, shown, recall_step = Fraction(0), 0, 0, Fraction(1, len(positives))
    flags = []
    for item in ranks:
        if item in positives:
            before = Fraction(right, shown) if shown else Fraction(1)
            right += 1
            area += recall_step * (before + Fraction(right, shown + 1)) / 2
            flags.append(True)
        if item in junk:
            continue
        if item not in positives:
            flags.append(False)
        shown += 1
    last = max((place for place, flag in enumerate(flags) if flag), default=None)
    precisions = []
    for k in (1, 5, 10):
        cut = 0 if last is None else min(k, last + 1)
        precisions.append(Fraction(sum(flags[:cut]), cut) if cut else Fraction(0))
    return [float(area), *map(float, precisions)]


def random_case(rng, size, protocol):
    """A ranking (often truncated) and disjoint lists, some of them empty."""
    ids = rng.permutation(size)
    lengths = rng.integers(0, max(1, size // 4), 3)
    lists = np.split(ids, np.cumsum(lengths))[:3]
    ranks = rng.permutation(size)[: rng.integers(0, size + 1)]
    names = ("ok", "junk") if protocol in ("classic", "instre") else ("easy", "hard", "junk")
    return ranks, {name: part.tolist() for name, part in zip(names, lists, strict=False)}


ROWS = {  # written out, not taken from the code
    "classic": (["ok"], ["junk"]),
    "instre": (["ok"], []),
    "easy": (["easy"], ["hard", "junk"]),
    "medium": (["easy", "hard"], ["junk"]),
    "hard": (["hard"], ["easy", "junk"]),
}


@pytest.mark.parametrize("protocol", ROWS)
def test_random_and_truncated_rankings(protocol):
    rng = np.random.default_rng(7)
    positives, junk = ROWS[protocol]
    for _ in range(60):
        size = int(rng.integers(1, 60))
        ranks, truth = random_case(rng, size, protocol)
        expected = slow_scores(
            ranks.tolist(),
            [i for name in positives for i in truth[name]],
            [i for name in junk for i in truth[name]],
        )
        result = evaluate(ranks[None], [truth], protocol)
        np.testing.assert_allclose(
            [result["ap"][0], result["mp@1"], result["mp@5"], result["mp@10"]],
            expected,
            rtol=0,
            atol=1e-12,
        )
        assert result["queries"] == (not math.isnan(expected[0]))
        np.testing.assert_array_equal(result["map"], result["ap"][0])


@pytest.mark.parametrize(
    ("ranks", "positives", "junk", "expected"),
    [
        ([0, 1, 2, 3], [0], [], 1.0),
        ([1, 0, 2, 3], [0], [], 0.25),  # (0/1 + 1/2) / 2
        ([3, 0, 1, 2], [0, 1], [3], 1.0),
        ([3, 2, 1, 0], [0, 1], [], ((0 + 1 / 3) / 2 + (1 / 3 + 2 / 4) / 2) / 2),
        ([2, 3], [0, 1], [], 0.0),
        ([0], [0, 1], [], 0.5),
        ([], [0], [], 0.0),
        ([-1, -1], [0], [], 0.0),
        ([0, -1, -1], [0], [], 1.0),
        ([5, 5000, 0], [0], [5, 5000], 1.0),
        ([0], [0, 10**15], [10**15 + 1], 0.5),
        ([7, 0, 1], [0, 1, 7], [7], 17 / 12),  # an id in both lists: as the public code counts it
    ],
)
def test_small_rankings_by_hand(ranks, positives, junk, expected):
    assert average_precision(ranks, positives, junk) == pytest.approx(expected, abs=1e-15)


def test_every_ranking_of_six_with_overlapping_lists():
    for ranks in itertools.permutations(range(6)):
        for positives, junk in (([0, 3], [1]), ([0, 1, 2], [2, 5]), ([4], [4])):
            expected = slow_scores(list(ranks), positives, junk)[0]
            assert average_precision(ranks, positives, junk) == pytest.approx(expected, abs=1e-14)


def test_precision_at_k_is_that_of_scikit_learn_where_k_does_not_shrink():
    rng = np.random.default_rng(0)
    for _ in range(20):
        ranks = rng.permutation(40)
        ok = [*rng.choice(ranks[:25], 8, replace=False), ranks[-1]]
        result = evaluate(ranks[None], [{"ok": ok}], "instre")
        for k in (1, 5, 10):
            theirs = precision_score(np.isin(ranks, ok), np.arange(40) < k)
            assert result[f"mp@{k}"] == pytest.approx(theirs, abs=1e-15)


def test_the_cut_of_precision_shrinks_to_the_last_positive():
    result = evaluate([[2, 1, 0, 3, 4, 5]], [{"ok": [0, 1, 2], "junk": []}])
    assert (result["mp@1"], result["mp@5"], result["mp@10"]) == (1.0, 1.0, 1.0)


def test_queries_without_positives_are_nan_and_left_out():
    truth = [{"easy": [], "hard": [1], "junk": []}, {"easy": [0], "hard": [], "junk": [2]}]
    result = evaluate([[0, 1, 2], [0, 1, 2]], truth, "easy")
    assert np.isnan(result["ap"][0])
    assert result["ap"][1] == 1
    assert (result["map"], result["queries"]) == (1, 1)
    nothing = evaluate([[0, 1, 2]], truth[:1], "easy")
    assert math.isnan(nothing["map"])
    assert nothing["queries"] == 0
    assert math.isnan(average_precision([0], []))


def test_means_are_over_the_counted_queries():
    rng = np.random.default_rng(1)
    cases = [random_case(rng, 30, "medium") for _ in range(25)]
    ranks = np.full((25, 30), -1)
    for row, (ids, _) in zip(ranks, cases, strict=True):
        row[: len(ids)] = ids
    result = evaluate(jnp.asarray(ranks), [truth for _, truth in cases])
    expected = [
        slow_scores(ids.tolist(), truth["easy"] + truth["hard"], truth["junk"])
        for ids, truth in cases
    ]
    np.testing.assert_allclose(
        [result["map"], result["mp@1"], result["mp@5"], result["mp@10"]],
        np.nanmean(expected, axis=0),
        atol=1e-14,
    )
    assert result["ap"].shape == (25,)


def test_public_names_and_the_protocol_taken_by_default():
    revisited = {"easy": [0], "hard": [1], "junk": [2]}
    ranks = [[2, 1, 0]]
    assert jaxret.evaluate(ranks, [revisited])["map"] == 1.0
    assert jaxret.evaluate(ranks, [revisited], protocol="hard")["map"] == 1.0
    assert jaxret.evaluate(ranks, [{"ok": [0], "junk": [1, 2]}])["map"] == 1.0
    assert jaxret.average_precision([2, 1, 0], [0], [1]) == 0.25


@pytest.mark.parametrize(
    ("ranks", "truth", "protocol", "sentence"),
    [
        ([[0, 1, 0]], [{"ok": [0]}], None, "id 0 occurs more than once"),
        ([[0, -2]], [{"ok": [0]}], None, "holds -2"),
        ([[1, -1, 0]], [{"ok": [0]}], None, "-1 at place 1"),
        ([[-1, 0]], [{"ok": [0]}], None, "-1 at place 0"),
        ([[0, 1], [-1, 1]], [{"ok": [0]}] * 2, None, "-1 at place 0"),
        ([[2, -1, -1, 0, -1]], [{"ok": [0]}], None, "-1 at place 1"),
        ([[0.0, 1.0]], [{"ok": [0]}], None, "whole numbers"),
        ([0, 1], [{"ok": [0]}], None, "2 axes"),
        ([[0], [1]], [{"ok": [0]}], None, "2 rankings but ground truth for 1"),
        (np.zeros((0, 3), int), [], None, "no query"),
        ([[0]], [{"ok": [-1]}], None, "holds id -1"),
        ([[0]], [{"ok": [0.5]}], None, "whole numbers"),
        ([[0]], [{"ok": [0]}], "medium", "needs the list 'easy'"),
        ([[0]], [{"easy": [0], "hard": []}], "classic", "needs the list 'ok'"),
        ([[0]], [{"easy": [0], "hard": []}], "meduim", "Nearest: medium"),
        ([[0]], [{"easy": [0]}], "easy", "needs the list 'hard'"),
    ],
)
def test_what_cannot_be_evaluated_is_refused(ranks, truth, protocol, sentence):
    with pytest.raises(UserError, match=sentence):
        evaluate(ranks, truth, protocol)


def test_a_ranking_of_a_million_is_evaluated_within_seconds():
    # A coarse guard against quadratic work, not a benchmark.
    rng = np.random.default_rng(2)
    ranks = rng.permutation(1_000_000).astype(np.int32)
    truth = {"easy": list(range(60)), "hard": list(range(60, 200)), "junk": list(range(200, 900))}
    result = evaluate(np.stack([ranks, ranks[::-1]]), [truth, truth], "medium")
    assert result["map"] < 0.01


def cosine_ranks(queries, database):
    return np.argsort(-(queries @ database.T), axis=1, kind="stable")


@pytest.fixture
def oxford(shared_data):
    """CaffeNet descriptors of Oxford5k, by name of the photograph."""
    folder = shared_data / "descriptors"
    x = np.load(folder / "oxford5k_caffenet_fc7_pca128.npy").astype(np.float32)
    names = json.loads((folder / "oxford5k_imlist.json").read_text())
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    return dict(zip(names, x, strict=True))


@pytest.mark.parametrize(
    ("file", "expected"),
    [
        ("gnd_oxford5k.pkl", {"classic": 40.30}),
        ("gnd_roxford5k.pkl", {"easy": 28.90, "medium": 21.14, "hard": 4.60}),
    ],
)
def test_known_figures_of_real_descriptors(oxford, shared_data, file, expected):
    truth = read_pickle(shared_data / "gnd" / file)
    queries = np.stack([oxford[name] for name in truth.qimlist])
    database = np.stack([oxford[name] for name in truth.imlist])
    ranks = cosine_ranks(queries, database)
    for protocol, figure in expected.items():
        result = evaluate(ranks, truth.gnd, protocol)
        assert round(100 * result["map"], 2) == figure
        assert result["queries"] == {"classic": 55, "easy": 68}.get(protocol, 70)


@pytest.mark.parametrize("file", ["gnd_roxford5k.pkl", "gnd_rparis6k.pkl", "gnd_instre.mat"])
def test_real_ground_truth_on_random_and_adversarial_rankings(shared_data, file):
    read = read_mat if file.endswith(".mat") else read_pickle
    truth = read(shared_data / "gnd" / file)
    rng = np.random.default_rng(3)
    size = len(truth.imlist)
    for protocol in ("instre",) if file.endswith(".mat") else ("easy", "medium", "hard"):
        positives, junk = ROWS[protocol]
        for gnd in truth.gnd[:: len(truth.gnd) // 5]:
            ok = [i for name in positives for i in gnd[name]]
            ignored = [i for name in junk for i in gnd[name]]
            rest = np.setdiff1d(np.arange(size), ok + ignored)
            for ranks in (
                rng.permutation(size),
                np.concatenate([ignored, rest, ok]).astype(int),  # junk first, positives last
                np.concatenate([ok, ignored, rest]).astype(int),
                rng.permutation(size)[:1000],
                rest,
            ):
                expected = slow_scores(ranks.tolist(), set(ok), set(ignored))
                result = evaluate(ranks[None], [gnd], protocol)
                np.testing.assert_allclose(
                    [result["ap"][0], result["mp@1"], result["mp@5"], result["mp@10"]],
                    expected,
                    atol=1e-12,
                    rtol=0,
                )


def test_the_benchmarks_say_whether_the_query_is_in_the_database():
    inside = {name: row.query_in_database for name, row in protocols.PROTOCOLS.items()}
    assert inside == dict.fromkeys(ROWS, False) | {"classic": True}
