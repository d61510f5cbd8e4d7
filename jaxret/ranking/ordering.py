"""The best of many similarities, in an order that is the same everywhere.

The order of all rankings: similarity rounded to float32, descending, then id, ascending.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

LAST = 0x7F800000 << 32  # among `keys`, that of minus infinity
CACHED = 1 << 20  # similarities at once, so that what is made of them stays in the caches

Neighbours = tuple[NDArray[np.float32], NDArray[np.int32]]


def nothing(count: int, k: int) -> Neighbours:
    """Room for (similarities, ids), each [count, k], at 0."""
    return np.zeros((count, k), np.float32), np.zeros((count, k), np.int32)


def keys(sims: NDArray[np.float32], ids: NDArray[np.int32]) -> NDArray[np.int64]:
    """A number for each pair, smaller for what comes before in the order of rankings."""
    return (_descending(sims).astype(np.int64) << 32) | ids


def read(keys: NDArray[np.int64]) -> Neighbours:
    """The (similarities, ids) that `keys` were made from."""
    return _similarity((keys >> 32).astype(np.int32)), keys.astype(np.int32)


def first_of(keys: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """The `count` smallest of each row [Q, c], c >= count, in order; leaves `keys` disordered."""
    if count < keys.shape[1]:
        keys.partition(count - 1, axis=1)
    return np.sort(keys[:, :count], axis=1)


def ordered(sims: NDArray[np.float32], ids: NDArray[np.int32]) -> Neighbours:
    """Each row of (sims, ids) [Q, c] put in the order of rankings."""
    return read(np.sort(keys(sims, ids), axis=1))


def best(sims: NDArray[np.float32], k: int) -> Neighbours:
    """The `k` largest of each row [Q, N], in the order of rankings, the columns being the ids."""
    count = sims.shape[1]
    if k >= count:
        return ordered(sims, np.arange(count, dtype=np.int32))
    chosen = np.empty((len(sims), k), np.float32), np.empty((len(sims), k), np.int32)
    rows = max(1, CACHED // count)
    for start in range(0, len(sims), rows):
        part = slice(start, start + rows)
        chosen[0][part], chosen[1][part] = _best(sims[part], k)
    return chosen


def _best(sims: NDArray[np.float32], k: int) -> Neighbours:
    negative = -sims
    columns = np.argpartition(negative, k - 1, axis=1)[:, :k].astype(np.int32)
    values = np.take_along_axis(sims, columns, axis=1)
    # Which of the columns that tie with the last one were taken is chance: choose those again.
    last = values.min(axis=1, keepdims=True)
    for row in np.flatnonzero((sims >= last).sum(axis=1) > k):
        above, equal = np.flatnonzero(sims[row] > last[row]), np.flatnonzero(sims[row] == last[row])
        columns[row] = np.concatenate([above, equal[: k - len(above)]])
        values[row] = sims[row, columns[row]]
    return ordered(values, columns)


def _descending(sims: NDArray[np.float32]) -> NDArray[np.int32]:
    """An integer for each similarity, larger for smaller ones."""
    # 0 - 0.0 is 0.0: both zeros are one similarity.
    return _in_order((np.float32(0) - sims).view(np.int32))


def _similarity(descending: NDArray[np.int32]) -> NDArray[np.float32]:
    """What `_descending` was made from."""
    return np.float32(0) - _in_order(descending).view(np.float32)


def _in_order(bits: NDArray[np.int32]) -> NDArray[np.int32]:
    """IEEE floats order as their bits do, negative ones in reverse. Its own inverse."""
    return bits ^ ((bits >> 31) & np.int32(0x7FFFFFFF))


def rank(
    scores: NDArray[np.float32], k: int, global_order: NDArray[np.int32] | None = None
) -> Neighbours:
    """The `k` best of each row of scores [Q, N].

    Args:
      scores: of a diffusion, 0 where it reached nothing.
      k: at most N.
      global_order: ids [Q, m] by another measure, in which the rows at 0 are put; None leaves
        them in the order of their ids. m: at least k + the non-zero scores of any row, or N.
    """
    sims, ids = best(scores, k)
    if global_order is not None:
        for row, order in enumerate(global_order):
            zero = sims[row] == 0
            ids[row, zero] = order[scores[row, order] == 0][: zero.sum()]
    return sims, ids


def strictly_descending(scores: NDArray[np.float32]) -> NDArray[np.float32]:
    """Scores [Q, k], best first, with equal ones set apart by the least step downwards.

        s'_1 = s_1,  s'_i = min(s_i, s'_(i-1) - max(ulp(s'_(i-1)), 2^-126))

    For tools that sort by score and break ties in their own way: theirs is then this order. In
    float32, and without subnormal numbers, which some of them flush to zero.
    """
    apart = np.array(scores, np.float32)  # a copy
    least = np.finfo(np.float32).tiny
    for place in range(1, apart.shape[1]):
        before = apart[:, place - 1]
        step = np.maximum(np.spacing(np.abs(before)), least)
        np.minimum(apart[:, place], before - step, out=apart[:, place])
    return apart


def scores_in_order(
    ids: NDArray[np.int32], scores: NDArray[np.float32] | None
) -> NDArray[np.float32]:
    """Scores [Q, k] that no two results share, best first.

    Args:
      ids: [Q, k] of a ranking.
      scores: what it orders by, [Q, k]; None where that is no number: then minus the place.
    """
    if scores is None:
        return np.broadcast_to(-np.arange(ids.shape[1], dtype=np.float32), ids.shape)
    return strictly_descending(scores)
