"""Average precision and precision at k, as the benchmarks define them.

Conventions, those of the public evaluation of revisited Oxford and Paris:
- `ranks` holds 0-based database ids, best first; -1, at the end of a row alone, means that nothing
  more was returned. (Skipped in the middle, it would lift all that comes behind it.)
- Junk is taken out of the ranking first: a positive's rank falls by the junk before it. An id
  that is both positive and junk (no published file has one) counts as a positive, then as junk for
  those after it, so that an average precision may pass 1.
- A ranking may be truncated: positives that were not returned add nothing, but count in the number
  of positives that is divided by.
- Results are fractions; a query without positives is NaN and left out of every mean.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from jaxret import defaults
from jaxret.errors import UserError
from jaxret.evaluation import protocols

_POSITIVE, _JUNK = np.uint8(1), np.uint8(2)


def average_precision(ranks: ArrayLike, positives: ArrayLike, junk: ArrayLike = ()) -> float:
    """Average precision of one query: the area under precision over recall, by trapezoids.

    With r_j the 0-based rank of the j-th positive found (j from 0, junk taken out) and n the
    number of positives,
        AP = 1/n sum_j (p0 + p1) / 2,  p0 = j / r_j (1 where r_j = 0),  p1 = (j + 1) / (r_j + 1).

    Args:
      ranks: [R] database ids, best first.
      positives, junk: database ids in any order.

    Returns:
      A fraction; 0 where no positive was returned, NaN where there is none at all.

    Raises:
      UserError: an id occurs twice in `ranks`, or is no whole number of at least -1, or a -1
        stands before an id.
    """
    found, count = _ranks_of_positives(ids_of(ranks, "ranks", 1), listed(positives), listed(junk))
    return area(found, count)


def evaluate(
    ranks: ArrayLike, ground_truth: Sequence[Mapping[str, Any]], protocol: str | None = None
) -> dict[str, Any]:
    """Evaluates the rankings of all queries: mAP and mP@k.

    Args:
      ranks: [Q, R] database ids, best first, one row a query.
      ground_truth: Q mappings as in the benchmarks' files, with 0-based ids: "ok" and "junk"
        (classic, INSTRE), or "easy", "hard" and "junk" (revisited).
      protocol: a name of `protocols.PROTOCOLS`; None takes classic where the lists are "ok",
        else medium.

    Returns:
      {"map", "mp@1", "mp@5", "mp@10": floats (NaN where no query has positives), "ap": [Q] float64
      with NaN for queries without positives, "queries": how many have some}.
    """
    ranks = ids_of(ranks, "ranks", 2)
    if len(ranks) != len(ground_truth):
        raise UserError(
            f"{len(ranks)} rankings but ground truth for {len(ground_truth)} queries: ranks are "
            "[queries, database ids], one row a query."
        )
    if not ground_truth:
        raise UserError("There is no query to evaluate.")
    row = protocols.get(protocol) if protocol else protocols.default_for(ground_truth[0])
    scores = np.array([_scores(ranks[q], row, ground_truth[q], q) for q in range(len(ranks))])
    counted = scores[~np.isnan(scores[:, 0])]
    means = counted.mean(axis=0) if len(counted) else np.full(scores.shape[1], np.nan)
    names = ["map"] + [f"mp@{k}" for k in defaults.PRECISION_AT]
    result: dict[str, Any] = dict(zip(names, means.tolist(), strict=True))
    return {**result, "ap": scores[:, 0], "queries": len(counted)}


def _scores(
    ranks: np.ndarray, row: protocols.Protocol, truth: Mapping[str, Any], query: int
) -> list[float]:
    """Average precision and the precisions at k of one query."""
    positives, junk = protocols.split(row, truth, query)
    found, count = _ranks_of_positives(ranks, listed(*positives), listed(*junk))
    return [area(found, count), *(_precision(found, count, k) for k in defaults.PRECISION_AT)]


def area(found: np.ndarray, count: int) -> float:
    """The trapezoids of `average_precision` from the ascending 0-based ranks of what was found."""
    if count == 0:
        return float("nan")
    j = np.arange(len(found), dtype=np.float64)
    before = np.where(found == 0, 1.0, j / np.maximum(found, 1))
    return float(np.sum(before + (j + 1) / (found + 1)) / 2 / count)


def _precision(found: np.ndarray, count: int, k: int) -> float:
    """Precision at k, where k shrinks to the rank of the last positive that was returned.

    So a query with three positives, all of them on top, has precision 1 at 5.
    """
    if count == 0:
        return float("nan")
    if len(found) == 0:
        return 0.0
    cut = min(int(found[-1]) + 1, k)
    return float(np.count_nonzero(found < cut) / cut)


def _ranks_of_positives(
    ranks: np.ndarray, positives: np.ndarray, junk: np.ndarray
) -> tuple[np.ndarray, int]:
    """Ascending 0-based ranks of the positives returned, junk taken out; and their full number."""
    ranks = returned(ranks)
    size = int(ranks.max(initial=0)) + 1
    refuse_repeats(ranks)
    # One table over the database in place of a search in the lists: linear in the ranking.
    labels = np.zeros(size, np.uint8)
    labels[positives[positives < size]] |= _POSITIVE
    labels[junk[junk < size]] |= _JUNK
    relevant = labels[ranks]
    places = np.flatnonzero(relevant & _POSITIVE)
    junk_before = np.searchsorted(np.flatnonzero(relevant & _JUNK), places)
    return places - junk_before, len(positives)


def returned(ranks: np.ndarray) -> np.ndarray:
    """The ids of a ranking without the -1 that fill up its end."""
    filled = ranks < 0
    count = len(ranks) - int(filled.sum())
    if filled[:count].any():
        place = int(np.argmax(filled))
        raise UserError(
            f"A ranking holds -1 at place {place} (0-based) and ids behind it: -1 may only fill up "
            "the end of a row. Write a wrong result as the id that was returned."
        )
    return ranks[:count]


def refuse_repeats(ranks: np.ndarray) -> None:
    """UserError if an id is in the ranking [R] twice."""
    seen = np.zeros(int(ranks.max(initial=-1)) + 1, bool)
    seen[ranks] = True
    if np.count_nonzero(seen) != len(ranks):
        twice = int(np.argmax(np.bincount(ranks) > 1))
        raise UserError(f"Database id {twice} occurs more than once in a ranking.")


def ids_of(values: ArrayLike, name: str, dimensions: int) -> np.ndarray:
    """`values` as whole numbers of at least -1 with that many axes."""
    ids = np.asarray(values)
    if ids.size == 0 and ids.ndim <= dimensions:
        # An empty list has no type of its own, and NumPy would call it float.
        ids = ids.reshape(ids.shape + (0,) * (dimensions - ids.ndim)).astype(np.int64)
    if ids.ndim != dimensions or not np.issubdtype(ids.dtype, np.integer):
        raise UserError(
            f"{name} must be whole numbers with {dimensions} axes, got {ids.dtype} of shape "
            f"{list(ids.shape)}."
        )
    if ids.size and ids.min() < -1:
        raise UserError(f"{name} holds {ids.min()}: database ids start at 0.")
    return ids


def listed(*lists: ArrayLike) -> np.ndarray:
    """The ids of several lists of the ground truth as one array, repeats kept."""
    parts = [ids_of(ids, "ground truth", 1).astype(np.int64) for ids in lists]
    ids = np.concatenate([np.zeros(0, np.int64), *parts])
    if ids.size and ids.min() < 0:
        raise UserError(f"The ground truth holds id {ids.min()}: database ids start at 0.")
    return ids
