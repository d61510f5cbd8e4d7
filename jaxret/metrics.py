"""The metrics of retrieval benchmarks as pure functions under one name, each of one query.

    from jaxret import metrics as M
    M.average_precision(ranks, positives, junk)                # Oxford, Paris, INSTRE, Holidays
    M.average_precision_at(ranks, positives, 1000, "ilias")    # and "ames", "gldv2"
    M.recall_at(ranks, positives, 1)                           # SOP, place recognition
    M.gap(confidences, correct)                                # Met: over all queries
    M.evaluate_both(ranks, ground_truth, "medium")             # the field's protocol beside MTEB's
    M.evaluate_by(("r@1", "map@1000"), ranks, ground_truth, "classic")   # means over queries

Which of them a benchmark is evaluated by, and where each is from: docs/datasets.md.
"""

from jaxret.evaluation.at_k import (
    average_precision_at,
    capped_precision_at,
    hit_rate_at,
    ndcg_at,
    ns_score,
    recall_at,
    without_junk,
)
from jaxret.evaluation.global_ap import gap, nearest_class
from jaxret.evaluation.measures import evaluate_by
from jaxret.evaluation.metrics import average_precision, evaluate
from jaxret.evaluation.mteb_form import evaluate_as_mteb, evaluate_both, map_cut

__all__ = [
    "average_precision",
    "average_precision_at",
    "capped_precision_at",
    "evaluate",
    "evaluate_as_mteb",
    "evaluate_both",
    "evaluate_by",
    "gap",
    "hit_rate_at",
    "map_cut",
    "ndcg_at",
    "nearest_class",
    "ns_score",
    "recall_at",
    "without_junk",
]
