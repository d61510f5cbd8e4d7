"""Recognition over all queries at once: one confidence a query, one list of all of them."""

import numpy as np
from numpy.typing import ArrayLike

from jaxret.errors import UserError


def gap(confidences: ArrayLike, correct: ArrayLike, answerable: int | None = None) -> float:
    """Global average precision (micro-AP): all predictions in one list, the surest first.

        GAP = 1/M sum_i P(i) rel(i),  P(i) = (rel(1) + ... + rel(i)) / i

    rel(i) is 1 where the i-th surest prediction is correct, M the number of queries that have an
    answer. Met: Ypsilantis et al., NeurIPS 2021, `gap` of nikosips/met, code/utils/utils.py; GLDv2
    recognition: Weyand et al., CVPR 2020, GlobalAveragePrecision of tensorflow/models. Equally
    sure predictions stay in the order given, as in the latter, whose keys are sorted.

    Args:
      confidences: [Q] of each query's one prediction, of queries without an answer too.
      correct: [Q] whether it is right.
      answerable: M; None: every query has an answer, M = Q. With M the number of correct
        predictions and no ties it is scikit-learn's average_precision_score.

    Returns:
      A fraction; NaN where no query has an answer.

    Raises:
      UserError: other shapes, NaN, or more correct predictions than queries with an answer.
    """
    sure, right = np.asarray(confidences, np.float64), np.asarray(correct)
    if sure.ndim != 1 or right.shape != sure.shape or np.isnan(sure).any():
        raise UserError(
            f"confidences and correct must be [queries] each, without NaN, got {list(sure.shape)} "
            f"and {list(right.shape)}."
        )
    hits = right.astype(bool)[np.argsort(-sure, kind="stable")]
    count = len(sure) if answerable is None else answerable
    if hits.sum() > count:
        raise UserError(
            f"{hits.sum()} predictions are correct, but {count} queries have an answer."
        )
    if not count:
        return float("nan")
    return float(np.sum(np.cumsum(hits)[hits] / (np.flatnonzero(hits) + 1)) / count)


def nearest_class(
    similarities: ArrayLike, labels: ArrayLike, temperature: float, classes: int
) -> tuple[np.ndarray, np.ndarray]:
    """The k-nearest-neighbour classifier of Met: class and confidence of each query.

    A class scores s_c, the largest similarity among its neighbours; its confidence is

        exp(t s_c) / (sum_c' exp(t s_c') + (n - m) exp(0))

    over the m classes among the neighbours of all n: `KNN_Classifier` of nikosips/met. At k = 1
    the order of the confidences is that of the similarities, whatever the temperature.

    Args:
      similarities: [Q, k] of the nearest database rows, best first.
      labels: [Q, k] their classes, whole numbers.
      temperature: t, tuned on the validation queries by GAP.
      classes: n in the database.

    Returns:
      Labels [Q], of the best-scoring class (the smaller label where two are equal), and
      confidences [Q].
    """
    sims, of = np.asarray(similarities, np.float64), np.asarray(labels)
    if sims.ndim != 2 or of.shape != sims.shape or not sims.shape[1]:
        raise UserError(
            f"similarities and labels must be [queries, neighbours] each, got {list(sims.shape)} "
            f"and {list(of.shape)}."
        )
    chosen, sure = np.empty(len(of), of.dtype), np.empty(len(of))
    for query, (near, classes_near) in enumerate(zip(sims, of, strict=True)):
        names, place = np.unique(classes_near, return_inverse=True)
        best = np.full(len(names), -np.inf)
        np.maximum.at(best, place, near)
        odds = np.exp(temperature * best)
        odds /= odds.sum() + (classes - len(names))
        chosen[query], sure[query] = names[odds.argmax()], odds.max()
    return chosen, sure
