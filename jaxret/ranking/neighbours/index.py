"""A database to search in, with what searches in it need to know."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from jaxret.ranking.inputs import UNIT_TOLERANCE, lengths, measured
from jaxret.ranking.neighbours.host import bfloat16


@dataclass(frozen=True, eq=False)
class Index:
    """A database made ready for one search after another: see `Index.of`.

    Attributes:
      rows: float32 [N, D].
      lengths: of the shortest and the longest row.
      rounded: the rows in bfloat16, or None.
      lost: length of the longest difference between a row and its rounded form, or None.
    """

    rows: NDArray[np.float32]
    lengths: tuple[float, float]
    rounded: NDArray | None = None
    lost: float | None = None

    @classmethod
    def of(cls, database: ArrayLike) -> Index:
        """Checks the rows once and, where that makes searches faster, keeps them rounded too.

        Args:
          database: [N, D]; not copied where it is float32, and not to be changed afterwards.

        Raises:
          UserError: see `jaxret.ranking.inputs.as_descriptors`.
        """
        index = cls(*measured(database, "database"))
        if not bfloat16.suits(len(index.rows)):
            return index
        return cls(index.rows, index.lengths, *bfloat16.kept(index.rows))

    @classmethod
    def unchecked(cls, rows: NDArray[np.float32]) -> Index:
        """Of rows that have passed the checks, for a single search."""
        return cls(rows, lengths(rows))

    @property
    def longest(self) -> float:
        """Length of the longest row."""
        return self.lengths[1]

    @property
    def is_unit(self) -> bool:
        """Whether all rows are L2-normalised."""
        return max(abs(length - 1) for length in self.lengths) <= UNIT_TOLERANCE
