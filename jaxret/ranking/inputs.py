"""What every ranking function does with the arrays that it is given: check, convert, say.

Descriptors are rows: [N, D] database, [Q, D] queries. A row that is NaN, infinite or zero has no
direction and would be ranked as if nothing had happened, so it is an error that names the row.
"""

from __future__ import annotations

import math

import jax
import numpy as np
from absl import logging
from numpy.typing import ArrayLike, NDArray

from jaxret.errors import UserError
from jaxret.runtime.threads import in_threads

# Rows whose length is farther from 1 than this are normalised again, and the user is told when
# the difference is more than half precision explains.
UNIT_TOLERANCE = 1e-5
SAID_TOLERANCE = 1e-3

SURELY_NOT_ZERO = 1e-30  # a squared length

BLOCK = 16384  # rows at once, so that a memory-mapped file of any size passes in bounded memory


def as_descriptors(rows: ArrayLike, what: str, dimension: int | None = None) -> NDArray[np.float32]:
    """`rows` as a contiguous float32 [N, D] array, without a copy where it already is one.

    Args:
      rows: NumPy or JAX array of any real dtype, any memory order.
      what: how messages call it, "database" or "queries".
      dimension: D that it must have, or None.

    Raises:
      UserError: not two-dimensional, not real numbers, another D, or a row that is not finite or
        is zero (the first such row is named).
    """
    return measured(rows, what, dimension)[0]


def measured(
    rows: ArrayLike, what: str, dimension: int | None = None
) -> tuple[NDArray[np.float32], tuple[float, float]]:
    """As `as_descriptors`, and the lengths of the shortest and the longest row."""
    array = np.asarray(rows)
    check_form(array, what, dimension)
    with np.errstate(over="ignore"):
        array = np.ascontiguousarray(array, dtype=np.float32)
    squares = _squared_lengths(array)
    # Squares run over and under where the numbers themselves do not.
    suspects = np.flatnonzero(~np.isfinite(squares) | (squares < SURELY_NOT_ZERO))
    _refuse_bad_rows(array, suspects, what)
    return array, _range(squares)


def check_form(array: np.ndarray | jax.Array, what: str, dimension: int | None) -> None:
    """Refuses what is no matrix of real numbers, or one of another dimension."""
    if array.ndim != 2 or array.shape[1] == 0:
        raise UserError(
            f"The {what} descriptors have shape {array.shape}; give a matrix [rows, dimensions], "
            "one descriptor a row."
        )
    # JAX's bfloat16 has kind "V" in NumPy: let the conversion decide what is a number.
    if array.dtype.kind in "cSUOMmb":
        raise UserError(f"The {what} descriptors are of type {array.dtype}; give real numbers.")
    if dimension is not None and array.shape[1] != dimension:
        raise UserError(
            f"The {what} descriptors have {array.shape[1]} dimensions but the database has "
            f"{dimension}; use descriptors of the same model and whitening."
        )


def lengths(rows: NDArray[np.float32]) -> tuple[float, float]:
    """Those of the shortest and the longest of `rows` [N, D]; of none (1, 1)."""
    return _range(_squared_lengths(rows))


def unit_rows(rows: ArrayLike, what: str, dimension: int | None = None) -> NDArray[np.float32]:
    """As `as_descriptors`, and L2-normalised; says so where the rows given were not."""
    array = as_descriptors(rows, what, dimension)
    unit, lengths = normalised(array)
    if len(lengths):
        say_normalised(lengths.min(), lengths.max(), what)
    return unit


def unit_in_place(rows: NDArray[np.float32], what: str, dimension: int | None = None) -> None:
    """As `unit_rows`, in the array that is given: a contiguous float32 one of the caller's own."""
    as_descriptors(rows, what, dimension)
    shortest, longest = 1.0, 1.0
    for start in range(0, len(rows), BLOCK):
        part = rows[start : start + BLOCK]
        part[:], lengths = normalised(part)
        shortest, longest = min(shortest, lengths.min()), max(longest, lengths.max())
    say_normalised(shortest, longest, what)


def say_normalised(shortest: float, longest: float, what: str) -> None:
    """Tells the user of rows whose lengths were farther from 1 than half precision explains."""
    if max(1 - shortest, longest - 1) > SAID_TOLERANCE:
        logging.warning(
            "The %s descriptors are not L2-normalised (lengths %.3g to %.3g): normalised here.",
            what,
            shortest,
            longest,
        )


def bad_row(row: int, is_zero: bool, what: str) -> UserError:
    """The error of the first row that has no direction."""
    fault = "is zero" if is_zero else "holds NaN or infinite values"
    return UserError(
        f"Row {row} of the {what} descriptors {fault}; leave that photograph out or extract its "
        "descriptor again."
    )


def normalised(rows: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """(`rows` [N, D] at length 1, their lengths [N, 1]); `rows` itself where they have it."""
    lengths = np.empty((len(rows), 1), np.float64)  # squares of float32 can exceed float32
    for start in range(0, len(rows), BLOCK):
        part = rows[start : start + BLOCK]
        lengths[start : start + BLOCK, 0] = np.einsum("nd,nd->n", part, part, dtype=np.float64)
    lengths = np.sqrt(lengths)
    if np.max(np.abs(lengths - 1), initial=0) <= UNIT_TOLERANCE:
        return rows, lengths
    unit = np.empty(rows.shape, np.float32)
    for start in range(0, len(rows), BLOCK):
        stop = start + BLOCK
        unit[start:stop] = rows[start:stop] / lengths[start:stop]
    return unit, lengths


def _range(squares: NDArray[np.float32]) -> tuple[float, float]:
    if not len(squares):
        return 1.0, 1.0
    return math.sqrt(squares.min()), math.sqrt(squares.max())


def _squared_lengths(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    squares = np.empty(len(rows), np.float32)

    def one(start: int) -> None:
        part = rows[start : start + BLOCK]
        np.einsum("nd,nd->n", part, part, out=squares[start : start + BLOCK])

    if len(rows) <= BLOCK:
        one(0)
    else:
        in_threads(one, range(0, len(rows), BLOCK))
    return squares


def _refuse_bad_rows(array: NDArray[np.float32], suspects: NDArray[np.int64], what: str) -> None:
    for start in range(0, len(suspects), BLOCK):
        rows = suspects[start : start + BLOCK]
        peaks = np.abs(array[rows]).max(axis=1)
        bad = np.flatnonzero(~np.isfinite(peaks) | (peaks == 0))
        if len(bad):
            raise bad_row(int(rows[bad[0]]), bool(peaks[bad[0]] == 0), what)
