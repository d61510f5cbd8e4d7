"""How much each neighbour counts in the averages of AQE and DBA."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
from numpy.typing import NDArray

from jaxret.errors import UserError

ALPHA = 3.0  # Radenovic et al., TPAMI 2018: sim ** 3
CANCELLED = 1e-6  # a sum shorter than this has no direction: opposite vectors cancelled out

# A query's weights under the names that the database's have.
QUERY_WEIGHTS = {"none": "uniform", "linear": "gordo", "alpha": "alpha"}
DATABASE_WEIGHTS = ("gordo", "linear", "uniform", "alpha")


def line_of_weights(weights: str, n: int) -> tuple[int, NDArray[np.float64] | None]:
    """(a row's own weight, those of its n neighbours); None where similarities say them.

    Whole numbers, so that their sums with rows of float32 are all but exact in float64.
    """
    falling = np.arange(n, 0, -1, dtype=np.float64)
    lines = {
        "uniform": (1, np.ones(n, np.float64)),
        "gordo": (n, falling),  # (n - r) / n beside the row's own 1
        "linear": (n + 1, falling),
        "alpha": (1, None),
    }
    return lines[weights]


def check(n: int, weights: str, known: Collection[str]) -> None:
    """Refuses unknown weights and an n that is no whole number of neighbours."""
    if weights not in known:
        raise UserError(f"Unknown weights {weights!r}. Known: {', '.join(known)}.")
    if isinstance(n, bool) or int(n) != n or n < 0:
        raise UserError(f"n is {n}; give a whole number of neighbours, 0 or more.")
