"""How far a mAP, or the difference of two, depends on the queries that happen to be asked.

Bootstrap over queries (Efron, Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 13):
as many queries are drawn with replacement as there are, the mean is taken, and the interval is
between quantiles of many such means (percentile method). For a difference both systems get the
same draw: they answer the same queries, and what makes a query hard is hard for both. With 55 or
70 queries the interval is approximate; it says nothing about other databases.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from jaxret.errors import UserError

RESAMPLES = 10_000
CONFIDENCE = 0.95
_BLOCK = 1000  # resamples drawn at a time, so that memory stays flat


@dataclass(frozen=True)
class Interval:
    """A mean over queries and the limits of its confidence interval, in fractions.

    Attributes:
      value: the mean itself, of the queries as they are.
      low, high: limits of the interval.
      queries: how many queries have positives and were counted.
    """

    value: float
    low: float
    high: float
    queries: int

    @property
    def excludes_zero(self) -> bool:
        """Whether the interval lies on one side of 0: for a difference, whether it is clear."""
        return self.low > 0 or self.high < 0


def map_interval(
    ap: ArrayLike, *, confidence: float = CONFIDENCE, resamples: int = RESAMPLES, seed: int = 0
) -> Interval:
    """Confidence interval of one mAP.

    Args:
      ap: [Q] average precisions, NaN or None where a query has no positives.
      confidence: share of the resampled means that lies between the limits.
      resamples: how many times the queries are drawn.
      seed: of the draws; equal arguments give equal limits.
    """
    return _interval(_per_query(ap), confidence, resamples, seed)


def difference_interval(
    ap: ArrayLike,
    baseline: ArrayLike,
    *,
    confidence: float = CONFIDENCE,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Interval:
    """Confidence interval of mAP(ap) - mAP(baseline), paired by query.

    Args:
      ap, baseline: [Q] average precisions of the same queries in the same order; as `map_interval`.

    Raises:
      UserError: the two are not of the same queries.
    """
    ours, theirs = _per_query(ap), _per_query(baseline)
    if ours.shape != theirs.shape or (np.isnan(ours) != np.isnan(theirs)).any():
        raise UserError(
            f"Average precisions of {ours.size} and {theirs.size} queries cannot be paired: both "
            "must come from the same queries under the same protocol."
        )
    return _interval(ours - theirs, confidence, resamples, seed)


def _per_query(ap: ArrayLike) -> np.ndarray:
    values = np.asarray(ap, np.float64)  # None becomes NaN
    if values.ndim != 1:
        raise UserError(f"Expected one average precision a query, got shape {list(values.shape)}.")
    return values


def _interval(values: np.ndarray, confidence: float, resamples: int, seed: int) -> Interval:
    if not 0 < confidence < 1 or resamples < 1:
        raise UserError(
            f"confidence must lie between 0 and 1 and resamples be positive, got {confidence} and "
            f"{resamples}."
        )
    counted = values[~np.isnan(values)]
    if len(counted) == 0:
        raise UserError("No query has positives: there is no mAP to give an interval of.")
    means = _resampled_means(counted, resamples, np.random.default_rng(seed))
    low, high = np.quantile(means, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Interval(float(counted.mean()), float(low), float(high), len(counted))


def _resampled_means(values: np.ndarray, resamples: int, rng: np.random.Generator) -> np.ndarray:
    parts = []
    for start in range(0, resamples, _BLOCK):
        shape = (min(_BLOCK, resamples - start), len(values))
        parts.append(values[rng.integers(0, len(values), shape)].mean(axis=1))
    return np.concatenate(parts)
