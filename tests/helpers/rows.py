"""Descriptors to rank: random, clustered, and all that rankings have stumbled over."""

import numpy as np


def unit(count, dim=16, seed=0):
    return at_length_one(np.random.default_rng(seed).normal(size=(count, dim)))


def at_length_one(rows):
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def clustered(count, dim, seed=0):
    rng = np.random.default_rng(seed)
    centres = unit(12, dim, seed)[rng.integers(0, 12, count)]
    return at_length_one(centres + 0.3 * unit(count, dim, seed + 1))


def two_components(queries, count, dim):
    """(queries, database) in two subspaces orthogonal to each other."""
    half = dim // 2
    at_home = np.arange(dim)[None] < half
    rows = [unit(queries, dim), unit(count, dim, seed=1)]
    return [at_length_one(x * (at_home == (np.arange(len(x)) % 3 > 0)[:, None])) for x in rows]


def with_isolated_nodes(queries, count, dim):
    """(queries, database): the first query and the first three rows are near to nothing."""
    axes = np.eye(dim, dtype=np.float32)
    database = at_length_one(axes[0] + 0.05 * unit(count, dim))
    database[:3] = axes[5:8]
    asked = database[-queries:].copy()
    asked[0] = at_length_one((database[-1] + axes[5])[None])[0]
    return asked, database
