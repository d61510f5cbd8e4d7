"""The figures of MTEB for a ranking, beside those of the field: they are not the same metric.

MTEB's tasks of revisited Oxford and Paris are evaluated by map_at_5: trec_eval's map_cut, which
ends after five results and divides by all that are right (mteb 2.26.24,
tasks/retrieval/eng/r_oxford_i2i_retrieval.py). Its answers hold every positive at 1 and every
negative at 0, and leave the junk out, which trec_eval counts as wrong; a query with nothing to be
found (two of rOxford's easy ones) stays in the mean at 0. Its descriptive statistics say so: 3029,
5526 and 2497 positives of rOxford's 70 queries, 4919 to 4992 answers a query in medium. The
photographs are 256 x 256 pixels, and the queries are not cut to their boxes.

The field's protocol (`evaluate`) counts the whole ranking, by trapezoids, without the junk, over
the queries with something to be found.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from jaxret.errors import UserError
from jaxret.evaluation import at_k, protocols
from jaxret.evaluation.metrics import evaluate, ids_of, listed

MTEB_KS = (1, 3, 5, 10, 20, 100, 1000)  # AbsTaskRetrieval.k_values
_NAMES = ("map", "ndcg", "recall", "precision", "hit_rate")


def map_cut(ranks: ArrayLike, positives: ArrayLike, k: int) -> float:
    """trec_eval's map_cut of one query: sum_{i <= k} rel_i h_i / i over P, all that are right.

    With more right ones than k it cannot reach 1; the AP@k of benchmarks divides by min(k, P).

    Args:
      ranks: [R] database ids, best first.
      positives: database ids in any order.
      k: results that count.
    """
    count = len(np.unique(listed(positives)))
    value = at_k.average_precision_at(ranks, positives, k, form="ilias")
    return value * min(k, count) / count if count else value


def evaluate_as_mteb(
    ranks: ArrayLike, ground_truth: Sequence[Mapping[str, Any]], protocol: str
) -> dict[str, float]:
    """What MTEB would say of a ranking: junk counted as wrong, everything cut at k.

    Args:
      ranks: [Q, R] database ids, best first, -1 at the end of what is short.
      ground_truth: Q mappings, as `evaluate` takes them.
      protocol: whose positives count; its junk is not taken out.

    Returns:
      map_at_k, ndcg_at_k, recall_at_k, precision_at_k, hit_rate_at_k for MTEB's k: means over all
      queries, those with nothing to be found at 0.
    """
    rows, row = ids_of(ranks, "ranks", 2), protocols.get(protocol)
    if len(rows) != len(ground_truth) or not len(rows):
        raise UserError(
            f"{len(rows)} rankings but ground truth for {len(ground_truth)} queries: one row each."
        )
    values: dict[str, list[float]] = {f"{name}_at_{k}": [] for name in _NAMES for k in MTEB_KS}
    for query, truth in enumerate(ground_truth):
        positives = listed(*protocols.split(row, truth, query)[0])
        for k in MTEB_KS:
            found = _at(rows[query], positives, k) if len(positives) else (0.0,) * len(_NAMES)
            for name, value in zip(_NAMES, found, strict=True):
                values[f"{name}_at_{k}"].append(value)
    return {key: float(np.mean(some)) for key, some in values.items()}


def _at(ranks: np.ndarray, positives: np.ndarray, k: int) -> tuple[float, ...]:
    """The five of one query, in the order of `_NAMES`."""
    recall = at_k.recall_at(ranks, positives, k, form="fraction")
    precision = recall * len(np.unique(positives)) / k
    average, gain = map_cut(ranks, positives, k), at_k.ndcg_at(ranks, positives, k)
    return average, gain, recall, precision, at_k.hit_rate_at(ranks, positives, k)


def evaluate_both(
    ranks: ArrayLike, ground_truth: Sequence[Mapping[str, Any]], protocol: str = "medium"
) -> dict[str, dict[str, Any]]:
    """One ranking by the field's protocol and as MTEB counts it.

    Returns:
      {"field": what `evaluate` gives, "mteb": what `evaluate_as_mteb` gives}.
    """
    return {
        "field": evaluate(ranks, ground_truth, protocol),
        "mteb": evaluate_as_mteb(ranks, ground_truth, protocol),
    }
