"""Metrics over the first k results of one query, each as its benchmark defines it.

Conventions:
- `ranks` holds database ids, best first; -1 fills up its end where less was returned. Junk, such
  as the query's own photograph where it is left out, has been taken out before (`without_junk`).
- `positives` are the ids that should be found, P their number; without any, a metric is NaN.
- A ranking may be shorter than k: what was not returned was not found.
- rel_i is 1 where the i-th result (from 1) is a positive, else 0; h_i = rel_1 + ... + rel_i.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

from jaxret.errors import UserError
from jaxret.evaluation.metrics import area, ids_of, listed, refuse_repeats, returned

FORMS = ("ilias", "ames", "gldv2")
RECALLS = ("any", "fraction")
NS_K = 4  # of UKBench: each object has four photographs


def average_precision_at(
    ranks: ArrayLike,
    positives: ArrayLike,
    k: int,
    form: str = "ilias",
    scores: ArrayLike | None = None,
) -> float:
    """AP@k of one query, in the form of one of three publishers; all divide by min(k, P).

        ilias  1/min(k, P) sum_t (h_e(t) - h_e(t-1)) h_e(t) / e(t)
               with e(t) the last place of the t-th group of equal scores: within a tie the order
               does not count. scikit-learn's average_precision_score of the first k, times
               h_k / min(k, P): ilias-vrg/ilias, evaluation/src/dataset.py.
        ames   1/min(k, P) sum_j (p0 + p1) / 2
               the trapezoids of revisited Oxford and Paris (`average_precision`) over the first k:
               compute_map of pavelsuma/ames and ELViS with its default compute_trapezoidal_ap.
               (Those evaluate GLDv2 and INSTRE by compute_rectangular_ap, which is "gldv2" here.)
        gldv2  1/min(k, P) sum_i rel_i h_i / i
               an id that came before counts as nothing, but keeps its place: MeanAveragePrecision
               of tensorflow/models, delf/python/datasets/google_landmarks_dataset/metrics.py.

    With k at or above the database's size, "gldv2" is the full AP by rectangles, as GPR1200 and
    AmsterTime have it.

    Args:
      ranks: [R] database ids, best first.
      positives: database ids in any order.
      k: results that count.
      form: "ilias", "ames" or "gldv2".
      scores: [R] the similarity of each result, for "ilias" alone; the results are put in their
        order, equal ones in that of `ranks`. None: no two are equal.

    Raises:
      UserError: an unknown form, scores for another form or of another length, NaN among them, an
        id twice among the first k (but for "gldv2").
    """
    if form not in FORMS:
        raise UserError(f"Unknown form {form!r} of average precision. Known: {', '.join(FORMS)}.")
    if scores is not None and form != "ilias":
        raise UserError(f"Scores group ties in the form 'ilias' alone, not in {form!r}.")
    found = _Found.of(ranks, positives, k, may_repeat=form == "gldv2", scores=scores)
    if not found.count:
        return float("nan")
    return _SUMS[form](found) / min(k, found.count)


def recall_at(ranks: ArrayLike, positives: ArrayLike, k: int, form: str = "any") -> float:
    """R@k of one query.

        any       1 where a positive is among the first k, else 0: R@k of SOP, In-Shop, CUB, UnED
                  and of place recognition (Song et al., CVPR 2016, section 5)
        fraction  h_k / P: recall of information retrieval; at k = 1000 ILIAS's oracle

    Raises:
      UserError: an unknown form, an id twice among the first k.
    """
    if form not in RECALLS:
        raise UserError(f"Unknown form {form!r} of recall. Known: {', '.join(RECALLS)}.")
    found = _Found.of(ranks, positives, k)
    if not found.count:
        return float("nan")
    return float(found.hits / found.count) if form == "fraction" else float(found.hits > 0)


def hit_rate_at(ranks: ArrayLike, positives: ArrayLike, k: int) -> float:
    """Hit rate of one query, MTEB's hit_rate_at_k: 1 where a positive is among the first k.

    Another name for R@k of metric learning, `recall_at(..., form="any")`.
    """
    return recall_at(ranks, positives, k, form="any")


def capped_precision_at(ranks: ArrayLike, positives: ArrayLike, k: int) -> float:
    """P@k of one query with k shrunk to the number of positives: h_m / m, m = min(k, P).

    Its mean over the queries at k = 5 is mMP@5 (Ypsilantis et al., "Towards Universal Image
    Embeddings", ICCV 2023, eq. 2; the Google Universal Image Embedding challenge's mP@5).
    """
    _check_k(k)
    count = len(np.unique(listed(positives)))
    if not count:
        return float("nan")
    cut = min(k, count)
    return float(_Found.of(ranks, positives, cut).hits / cut)


def ndcg_at(ranks: ArrayLike, positives: ArrayLike, k: int) -> float:
    """nDCG@k of one query with gains 0 and 1.

        sum_i rel_i / log2(i + 1)  /  sum_{i <= min(k, P)} 1 / log2(i + 1)

    Järvelin and Kekäläinen, TOIS 2002, as trec_eval's ndcg_cut_k counts it.
    """
    found = _Found.of(ranks, positives, k)
    if not found.count:
        return float("nan")
    gains = 1 / np.log2(np.arange(2, k + 2, dtype=np.float64))
    return float(gains[found.places].sum() / gains[: min(k, found.count)].sum())


def ns_score(ranks: ArrayLike, positives: ArrayLike) -> float:
    """N-S score of one query: how many of the first four results are right, 0 to 4.

    Nistér and Stewénius, CVPR 2006: a query's own photograph is one of its four and stays in.
    """
    found = _Found.of(ranks, positives, NS_K)
    return float(found.hits) if found.count else float("nan")


def without_junk(ranks: ArrayLike, junk: ArrayLike) -> np.ndarray:
    """The ranking without the ids that count neither as right nor as wrong."""
    kept = ids_of(ranks, "ranks", 1)
    return kept[~np.isin(kept, listed(junk))] if len(listed(junk)) else kept


class _Found:
    """Where the positives are among the first k results.

    Attributes:
      places: of the positives among the first k, ascending from 0.
      count: P.
      ends: per result, the last place of its group of equal scores; None without scores.
    """

    def __init__(self, places: np.ndarray, count: int, ends: np.ndarray | None) -> None:
        self.places, self.count, self.ends = places, count, ends

    @property
    def hits(self) -> int:
        return len(self.places)

    @classmethod
    def of(
        cls,
        ranks: ArrayLike,
        positives: ArrayLike,
        k: int,
        may_repeat: bool = False,
        scores: ArrayLike | None = None,
    ) -> "_Found":
        _check_k(k)
        ids, right = ids_of(ranks, "ranks", 1), np.unique(listed(positives))
        ends = None
        if scores is not None:
            returned(ids)  # a -1 before an id is refused, whatever its score
            ids, ends = _by_score(ids, scores, k)
        ids = returned(ids)[:k]
        if not may_repeat:
            refuse_repeats(ids)
        relevant = np.isin(ids, right)
        if may_repeat:
            first = np.zeros(len(ids), bool)
            first[np.unique(ids, return_index=True)[1]] = True
            relevant &= first
        return cls(np.flatnonzero(relevant), len(right), ends)


def _check_k(k: int) -> None:
    if isinstance(k, bool) or not isinstance(k, int | np.integer) or k < 1:
        raise UserError(f"k is {k!r}; it must be a whole number of at least 1.")


def _by_score(ids: np.ndarray, scores: ArrayLike, k: int) -> tuple[np.ndarray, np.ndarray]:
    """The first k ids by score, descending, and the last place of each one's group of ties."""
    values = np.asarray(scores)
    if values.shape != ids.shape or np.isnan(values).any():
        raise UserError(
            f"scores must hold a number for each of the {len(ids)} results, got shape "
            f"{list(values.shape)}{' with NaN' if np.isnan(values).any() else ''}."
        )
    order = np.argsort(-values, kind="stable")
    order = order[ids[order] >= 0][:k]
    values = values[order]
    last = np.flatnonzero(np.append(values[1:] != values[:-1], True)) if len(values) else order
    return ids[order], last[np.searchsorted(last, np.arange(len(values)))]


def _grouped(found: _Found) -> float:
    """Precision at the end of each positive's group of ties, summed."""
    if found.ends is None:
        return _rectangles(found)
    ends = found.ends[found.places]
    hits = np.searchsorted(found.places, ends, side="right")
    return float(np.sum(hits / (ends + 1)))


def _rectangles(found: _Found) -> float:
    return float(np.sum(np.arange(1, found.hits + 1) / (found.places + 1)))


def _trapezoids(found: _Found) -> float:
    return area(found.places, 1)


_SUMS: dict[str, Callable[[_Found], float]] = {
    "ilias": _grouped,
    "ames": _trapezoids,
    "gldv2": _rectangles,
}
