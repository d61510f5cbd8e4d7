"""The ranking functions over `jaxret.functional`: checks on the devices, nothing to the host.

The checks bring four numbers to the host; beyond them only what the caller asks for as NumPy.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import ArrayLike

from jaxret import functional
from jaxret.functional import compression
from jaxret.functional.lengths import at_length_one, lengths
from jaxret.functional.neighbours import Neighbours
from jaxret.functional.ranking import Machine, OneDevice, offline_rows
from jaxret.functional.settings import DiffusionSettings
from jaxret.functional.sharded import Spread
from jaxret.ranking import inputs
from jaxret.ranking.compression.index import CompressedIndex
from jaxret.ranking.diffusion.device import LARGEST_UNGROUPED, Grouped
from jaxret.ranking.placement import mesh_of, placed


@dataclass(frozen=True)
class Devices:
    """The devices of some arrays, and what works on them."""

    spread: OneDevice | Spread

    @classmethod
    def of(cls, *arrays: ArrayLike) -> Devices:
        mesh = mesh_of(*arrays)
        return cls(Spread(mesh) if mesh else OneDevice())

    def rows(self, rows: ArrayLike, what: str, dimension: int | None = None) -> jax.Array:
        """As `jaxret.ranking.inputs.as_descriptors`, on the devices."""
        return self._checked(rows, what, dimension)[0]

    def unit_rows(self, rows: ArrayLike, what: str, dimension: int | None = None) -> jax.Array:
        """As `jaxret.ranking.inputs.unit_rows`, on the devices."""
        array, shortest, longest = self._checked(rows, what, dimension)
        inputs.say_normalised(shortest, longest, what)
        if max(1 - shortest, longest - 1) <= inputs.UNIT_TOLERANCE:
            return array
        return at_length_one(array)

    def _checked(
        self, rows: ArrayLike, what: str, dimension: int | None
    ) -> tuple[jax.Array, float, float]:
        given = rows if isinstance(rows, jax.Array) else np.asarray(rows)
        inputs.check_form(given, what, dimension)
        if isinstance(given, np.ndarray):
            with np.errstate(over="ignore"):
                given = given.astype(np.float32, copy=False)
        mesh = self.spread.mesh if isinstance(self.spread, Spread) else None
        array = placed(given, mesh).astype(jnp.float32)
        if not len(array):
            return array, 1.0, 1.0
        bad, is_zero, shortest, longest = jax.device_get(_condition(array))
        if bad >= 0:
            raise inputs.bad_row(int(bad), bool(is_zero), what)
        return array, float(shortest), float(longest)

    def top_k(self, queries: jax.Array, database: jax.Array, k: int) -> Neighbours:
        return self.spread.top_k(queries, database, k)

    def answer(
        self, index: CompressedIndex, database: jax.Array, rescored: int
    ) -> Callable[[jax.Array, int], Neighbours]:
        """The search in codes that lie on the devices; see `CompressedIndex.order`."""
        mesh = self.spread.mesh if isinstance(self.spread, Spread) else None
        codec = jax.tree.map(lambda array: placed(array, mesh), index.codec)
        codes = placed(index.codes, mesh)

        def search(queries: jax.Array, k: int) -> Neighbours:
            found = compression.top_k_codes(queries, codec, codes, k)
            return compression.rescored(queries, database, found, rescored) if rescored else found

        return search

    def others(self, database: jax.Array, k: int) -> Neighbours:
        """Each row's k nearest others."""
        return functional.others(self.top_k(database, database, k + 1))

    def offline(self, nodes: jax.Array, settings: DiffusionSettings) -> tuple[jax.Array, jax.Array]:
        """(lists, offline rows) of every node."""
        nearest = self.others(nodes, settings.list_length - 1)
        return offline_rows(nearest, settings, self.for_diffusion(len(nodes)))

    def for_diffusion(self, nodes: int) -> Machine:
        """Who diffuses a graph of so many nodes."""
        if nodes <= LARGEST_UNGROUPED:
            return self.spread
        return Grouped(self.spread)


@jax.jit
def _condition(rows: jax.Array) -> tuple[jax.Array, ...]:
    """(first row without a direction or -1, whether it is zero, shortest and longest length)."""
    peaks = jnp.abs(rows).max(axis=1)
    bad = ~jnp.isfinite(peaks) | (peaks == 0)
    first = jnp.where(bad.any(), bad.argmax().astype(jnp.int32), -1)
    long = lengths(rows)
    return first, peaks[first] == 0, long.min(), long.max()
