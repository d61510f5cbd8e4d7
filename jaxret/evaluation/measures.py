"""The metrics that benchmarks beyond Oxford and Paris are evaluated by, as rows.

A dataset names its own (`Dataset.metrics`); results.json, tables and CSV call them by their keys.
`docs/datasets.md` says which benchmark has which.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from jaxret.errors import UserError
from jaxret.evaluation import at_k, protocols
from jaxret.evaluation.global_ap import gap

OfQuery = Callable[[np.ndarray, np.ndarray, np.ndarray | None], float]
"""(ranks without junk, positives, similarities of the ranks or None) -> value of one query; NaN
where it has no positives."""


@dataclass(frozen=True)
class Measure:
    """One metric.

    Attributes:
      key: in results.json; for those at k with "@k".
      name: in tables.
      of_query: the value of a query, whose mean is shown; None for those over all queries at once.
      unit: what tables multiply the value by: 100 for percent, 1 where it counts.
      ties: whether equal similarities make a difference to it.
    """

    key: str
    name: str
    of_query: OfQuery | None = None
    unit: float = 100.0
    ties: bool = False


def _at(function: Callable[..., float], k: int, **options: Any) -> OfQuery:
    return lambda ranks, positives, scores: function(ranks, positives, k, **options)


def _grouped(k: int) -> OfQuery:
    """AP@k with ties as one step (ILIAS); without similarities it is Google Landmarks' as well."""
    return lambda ranks, positives, scores: at_k.average_precision_at(
        ranks, positives, k, "ilias", scores
    )


def _by_rectangles(ranks: np.ndarray, positives: np.ndarray, scores: np.ndarray | None) -> float:
    """AP of the whole ranking as sums of precisions: GPR1200, AmsterTime."""
    every = max(len(ranks), len(positives), 1)
    return at_k.average_precision_at(ranks, positives, every, form="gldv2")


# Those of a plain name, and those at k; k is put in by `measure`.
_PLAIN = {
    row.key: row
    for row in (
        Measure("map_rect", "mAP (rectangles)", _by_rectangles),
        Measure("n-s", "N-S", lambda ranks, positives, _: at_k.ns_score(ranks, positives), 1.0),
        Measure("acc", "accuracy", _at(at_k.hit_rate_at, 1)),
        Measure("gap", "GAP"),
        Measure("gap-", "GAP of queries with an answer"),
    )
}
_AT_K: dict[str, Callable[[int], tuple[str, OfQuery]]] = {
    "map": lambda k: (f"mAP@{k}", _grouped(k)),
    "r": lambda k: (f"R@{k}", _at(at_k.recall_at, k)),
    "oracle": lambda k: (f"oracle@{k}", _at(at_k.recall_at, k, form="fraction")),
    "mmp": lambda k: (f"mMP@{k}", _at(at_k.capped_precision_at, k)),
    "ndcg": lambda k: (f"nDCG@{k}", _at(at_k.ndcg_at, k)),
}
# What `metrics.evaluate` gives for every dataset.
CLASSIC = {"map": "mAP", "mp@1": "mP@1", "mp@5": "mP@5", "mp@10": "mP@10"}


def measure(key: str) -> Measure:
    """The metric of a key, such as "r@1", "map@1000" or "gap".

    Raises:
      UserError: there is none; the sentence lists the known.
    """
    if key in CLASSIC:
        return Measure(key, CLASSIC[key])
    if key in _PLAIN:
        return _PLAIN[key]
    match = re.fullmatch(r"([a-z]+)@([1-9]\d*)", key)
    if match and match[1] in _AT_K:
        name, of_query = _AT_K[match[1]](int(match[2]))
        return Measure(key, name, of_query, ties=match[1] == "map")
    known = [*CLASSIC, *_PLAIN, *(f"{name}@k" for name in _AT_K)]
    raise UserError(f"Unknown metric {key!r}. Known: {', '.join(known)}.")


def evaluate_by(
    keys: Sequence[str],
    ranks: ArrayLike,
    ground_truth: Sequence[Mapping[str, Any]],
    protocol: str,
    confidences: ArrayLike | None = None,
    similarities: Callable[[int], np.ndarray] | None = None,
) -> dict[str, float]:
    """Values of the metrics, those of `CLASSIC` left to `metrics.evaluate`.

    Args:
      keys: see `measure`.
      ranks: [Q, R] database ids, best first, one row a query.
      ground_truth: Q mappings, as `metrics.evaluate` takes them.
      protocol: of `protocols.PROTOCOLS`.
      confidences: [Q] how sure each query's first result is; for the GAPs alone.
      similarities: query -> [R] of its results, where they are ranked by them: for ties.

    Returns:
      Key -> fraction (N-S: 0 to 4), the mean over queries with positives; NaN where there is none.
    """
    wanted = [measure(key) for key in keys if key not in CLASSIC]
    if not wanted:
        return {}
    ids, row = np.asarray(ranks), protocols.get(protocol)
    grouped = any(one.ties for one in wanted)
    values: dict[str, list[float]] = {one.key: [] for one in wanted}
    correct = np.zeros(len(ids), bool)
    answered = np.zeros(len(ids), bool)
    for query, truth in enumerate(ground_truth):
        positives, junk = (
            np.array([i for ids in lists for i in ids], np.int64)
            for lists in protocols.split(row, truth, query)
        )
        good = ~np.isin(ids[query], junk)
        kept = ids[query][good]
        scores = similarities(query)[good] if similarities is not None and grouped else None
        answered[query] = len(positives) > 0
        correct[query] = answered[query] and bool(np.isin(kept[:1], positives).any())
        for one in wanted:
            if one.of_query is not None:
                values[one.key].append(one.of_query(kept, positives, scores))
    found = {key: _mean(of_queries) for key, of_queries in values.items()}
    for one in wanted:
        if one.of_query is None:
            found[one.key] = _gap(one.key, confidences, correct, answered)
    return found


def _gap(
    key: str, confidences: ArrayLike | None, correct: np.ndarray, answered: np.ndarray
) -> float:
    if confidences is None:
        raise UserError(f"The metric {key!r} needs to know how sure each query's first result is.")
    sure = np.asarray(confidences, np.float64)
    if key == "gap-":
        return gap(sure[answered], correct[answered])
    return gap(sure, correct, int(answered.sum()))


def _mean(values: Sequence[float]) -> float:
    counted = [value for value in values if value == value]
    return float(np.mean(counted)) if counted else float("nan")
