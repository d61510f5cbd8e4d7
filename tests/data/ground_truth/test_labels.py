"""Ground truth by labels against the definition, for every pair of photographs."""

import numpy as np
import pytest

from jaxret.data.ground_truth.labels import (
    all_against_all,
    queries_against_database,
    some_against_all,
)

LABELS = ["b", "a", "b", "c", "a", "b"]
NAMES = [f"{number}.jpg" for number in range(len(LABELS))]


@pytest.mark.parametrize("itself", ["left out", "kept"])
def test_all_against_all(itself):
    truth = all_against_all(NAMES, LABELS, itself)
    assert truth.imlist == truth.qimlist == NAMES
    for query, entry in enumerate(truth.gnd):
        same = [n for n, label in enumerate(LABELS) if label == LABELS[query]]
        if itself == "kept":
            assert entry == {"ok": same, "junk": []}
        else:
            assert entry == {"ok": [n for n in same if n != query], "junk": [query]}
    assert truth.protocols == ("classic",)
    with pytest.raises(ValueError, match="left out, kept"):
        all_against_all(NAMES, LABELS, "dropped")


def test_lists_are_not_shared():
    """A renumbering of one query's list must not reach another's."""
    truth = all_against_all(NAMES, LABELS, "kept")
    truth.gnd[0]["ok"].clear()
    assert truth.gnd[2]["ok"] == [0, 2, 5]


def test_some_ask():
    truth = some_against_all(NAMES, LABELS, [1, 0])
    assert truth.qimlist == ["1.jpg", "0.jpg"]
    assert truth.gnd == [{"ok": [4], "junk": [1]}, {"ok": [2, 5], "junk": [0]}]


def test_queries_of_their_own():
    truth = queries_against_database(NAMES, LABELS, ["x", "y", "z"], ["a", None, "unknown"])
    assert truth.qimlist == ["x", "y", "z"]
    assert [entry["ok"] for entry in truth.gnd] == [[1, 4], [], []]
    assert all(entry["junk"] == [] for entry in truth.gnd)


def test_large_sets_are_made_in_no_time():
    labels = np.repeat(np.arange(10_000), 6).tolist()
    truth = all_against_all([str(n) for n in range(60_000)], labels)
    assert truth.gnd[-1] == {"ok": [59994, 59995, 59996, 59997, 59998], "junk": [59999]}
