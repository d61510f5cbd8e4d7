"""Exact neighbours, expansion and ranking over shards that no host and no device holds.

Several processes (`--multihost`) take equal runs of rows, each through its own devices or cores,
and bring together k results a query at the end: every process calls the same function with the same
queries and shards, and every process gets the whole result.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils
from numpy.typing import ArrayLike, NDArray

from jaxret import defaults
from jaxret.errors import UserError
from jaxret.functional.settings import RankingSettings, positive_integer
from jaxret.functional.weights import ALPHA, QUERY_WEIGHTS, check
from jaxret.ranking import expansion
from jaxret.ranking.inputs import (
    UNIT_TOLERANCE,
    as_descriptors,
    measured,
    normalised,
    unit_rows,
)
from jaxret.ranking.neighbours.index import Index
from jaxret.ranking.ordering import Neighbours, first_of, keys, read
from jaxret.ranking.placement import on_device
from jaxret.ranking.rankings import Ranked, Recipe
from jaxret.ranking.streamed.device import DeviceStream
from jaxret.ranking.streamed.host import HostStream
from jaxret.ranking.streamed.shards import BLOCK_NUMBERS, Shards
from jaxret.runtime import parallel
from jaxret.runtime.threads import in_threads

RANKINGS = ("G", "G+AQE")
_STEPS = {"G", "AQE"}  # what needs no neighbours of the database's own rows
AT_ONCE = 512  # rows, so that what they become stays in the caches
_SAID = 1024  # bytes of an error that processes tell each other


def knn_streamed(
    queries: ArrayLike,
    database: Any,
    k: int,
    *,
    unit: bool = False,
    block_size: int | None = None,
) -> Neighbours:
    """The `k` database rows of largest inner product with each query, best first, as `knn`.

    The shards are read once, in blocks; the order is that of `knn` over all rows in memory,
    whatever the shards, blocks and processes.

    Args:
      queries: [Q, D].
      database: what `Shards.of` takes: files, a folder, a pattern, arrays, [rows, D] each.
      k: neighbours a query; more than N gives N.
      unit: L2-normalise the rows as they pass, as rankings do: those stored in float16 have lengths
        that are off by some 1e-4.
      block_size: rows a block, None for 2**26 numbers; two are in memory.

    Returns:
      (similarities float32 [Q, k], ids int32 [Q, k]); ids count through the shards in their order.

    Raises:
      UserError: see `Shards.of` and `as_descriptors`; a row that is NaN, infinite or zero.
    """
    shards = Shards.of(database)
    asked = as_descriptors(queries, "query", shards.dim)
    k = min(positive_integer(k, "k"), len(shards))
    size = block_size or max(1, BLOCK_NUMBERS // shards.dim)
    here, count = jax.process_index(), jax.process_count()
    start, stop = (len(shards) * part // count for part in (here, here + 1))
    error: UserError | None = None
    found = np.full((len(asked), k), -np.inf, np.float32), np.zeros((len(asked), k), np.int32)
    try:
        found = _passed(asked, shards, k, unit, (start, stop, min(size, max(1, stop - start))))
    except UserError as own:
        error = own
    return _of_all(found, error)


def expand_queries_streamed(
    queries: ArrayLike,
    database: Any,
    n: int = defaults.AQE_N,
    weights: str = "none",
    alpha: float = ALPHA,
) -> NDArray[np.float32]:
    """`expand_queries` over shards: one pass, and the n rows of each query that it found.

    Args:
      database: what `Shards.of` takes; rows are L2-normalised as they pass.

    Returns:
      float32 [Q, D], rows L2-normalised.
    """
    check(n, weights, QUERY_WEIGHTS)
    shards = Shards.of(database)
    asked = unit_rows(queries, "query", shards.dim)
    if n == 0:
        return asked
    return _expanded(asked, shards, knn_streamed(asked, shards, n, unit=True), weights, alpha)


def streams(ranking: str) -> bool:
    """Whether `rank_streamed` takes a ranking: G, or with AQE or AQEwD, whatever their numbers.

    Raises:
      UserError: it cannot be read.
    """
    return {"G"} <= Recipe.of(ranking, RankingSettings()).names <= _STEPS


def rank_streamed(
    queries: ArrayLike,
    database: Any,
    rankings: Sequence[str] = RANKINGS,
    settings: RankingSettings | None = None,
    k: int = 1000,
) -> dict[str, Ranked]:
    """`rank_all` over shards, for the rankings that `streams` says yes to: the `k` first of each.

    The first pass serves G and the neighbours of AQE; each AQE takes one more.

    Raises:
      UserError: another ranking; see `knn_streamed`.
    """
    for name in rankings:
        if not streams(name):
            raise UserError(
                f"{name} has steps that need every database row; over a streamed database there "
                "are G, G+AQE and G+AQEwD."
            )
    plain = settings or RankingSettings()
    recipes = {name: Recipe.of(name, plain) for name in rankings}
    shards, block_size = Shards.of(database), plain.block_size
    asked, k = unit_rows(queries, "query", shards.dim), min(k, len(shards))
    found, clock = {}, time.perf_counter
    begun = clock()
    most = max([k, *(one.looked_at for one in recipes.values())])
    nearest = knn_streamed(asked, shards, most, unit=True, block_size=block_size)
    for name, recipe in recipes.items():
        sims, ids = _first(nearest, k)
        if "AQE" in recipe.names:
            how, near = recipe.settings, _first(nearest, recipe.expanded_by)
            expanded = _expanded(asked, shards, near, how.aqe_weights, how.aqe_alpha)
            sims, ids = knn_streamed(expanded, shards, k, unit=True, block_size=block_size)
        found[name] = Ranked(ids, None, clock() - begun, sims)
        begun = clock()
    return found


def _first(found: Neighbours, k: int) -> Neighbours:
    return found[0][:, :k], found[1][:, :k]


def _expanded(
    queries: NDArray[np.float32],
    shards: Shards,
    near: Neighbours,
    weights: str,
    alpha: float,
) -> NDArray[np.float32]:
    ids, places = np.unique(near[1], return_inverse=True)
    rows, _ = normalised(shards.rows(ids))
    of_rows = np.reshape(places, near[1].shape).astype(np.int32)
    return expansion.expand(queries, rows, (near[0], of_rows), weights, alpha)


def _passed(
    queries: NDArray[np.float32],
    shards: Shards,
    k: int,
    unit: bool,
    rows: tuple[int, int, int],
) -> Neighbours:
    """What rows [start, stop), `size` at a time, bring this process's cores or devices."""
    start, stop, size = rows
    if on_device(queries):
        devices = DeviceStream(queries, k, size, unit)
        for first, block in shards.blocks(start, stop, size):
            devices.add(block, first)
        if (bad := devices.bad()) is not None:
            raise _bad_row(shards, bad)
        return devices.found()
    cores = HostStream(queries, k)
    for first, block in shards.blocks(start, stop, size):
        cores.add(_checked(block, first, shards, unit), first)
    return cores.found()


def _checked(block: NDArray[Any], first: int, shards: Shards, unit: bool) -> Index:
    """A block as float32, every row of it with a direction."""
    rows = block
    if block.dtype != np.float32:
        rows = np.empty(block.shape, np.float32)

        def convert(start: int) -> None:
            rows[start : start + AT_ONCE] = block[start : start + AT_ONCE]

        in_threads(convert, range(0, len(rows), AT_ONCE))
    try:
        rows, lengths = measured(rows, "database")
    except UserError:
        bad = ~np.isfinite(rows).all(axis=1) | ~rows.any(axis=1)
        raise _bad_row(shards, first + int(bad.argmax())) from None
    if not unit or max(1 - lengths[0], lengths[1] - 1) <= UNIT_TOLERANCE:
        return Index(rows, lengths)
    _to_length_one(rows)
    return Index.unchecked(rows)


def _to_length_one(rows: NDArray[np.float32]) -> None:
    """`inputs.normalised`, in threads and in place: a block is memory of its own."""

    def one(start: int) -> None:
        part = slice(start, start + AT_ONCE)
        wide = rows[part].astype(np.float64)
        rows[part] = wide / np.sqrt(np.einsum("nd,nd->n", wide, wide))[:, None]

    in_threads(one, range(0, len(rows), AT_ONCE))


def _bad_row(shards: Shards, row: int) -> UserError:
    number, place = shards.place(row)
    return UserError(
        f"Row {place} of {shards.parts[number].name} is zero or holds NaN or infinite values; "
        "leave that photograph out or extract its descriptor again."
    )


def _of_all(found: Neighbours, error: UserError | None) -> Neighbours:
    """What all processes found together; the error of the first that has one, in all of them."""
    if not parallel.several():
        if error is not None:
            raise error
        return found
    said = np.zeros(_SAID, np.uint8)
    text = str(error or "").encode()[:_SAID]
    said[: len(text)] = np.frombuffer(text, np.uint8)
    for one in multihost_utils.process_allgather(said):
        if one.any():
            raise UserError(bytes(one[one != 0]).decode(errors="replace"))
    every = multihost_utils.process_allgather(found)  # [P, Q, k] each
    sims, ids = (np.concatenate(list(array), axis=1) for array in every)
    return read(first_of(keys(sims, ids), found[0].shape[1]))
