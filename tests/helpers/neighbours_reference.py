"""Exact neighbours once more: all products in float64, rounded, and a stable sort of each row."""

import numpy as np


def by_stable_sort(queries, database, k):
    sims = (queries.astype(np.float64) @ database.astype(np.float64).T).astype(np.float32)
    ids = np.argsort(-sims, axis=1, kind="stable")[:, :k]
    return np.take_along_axis(sims, ids, axis=1), ids
