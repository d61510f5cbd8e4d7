"""The two steps of a ranking that cost most, spread over a mesh of devices and hosts.

Rows of the database are dealt out for `top_k`, nodes for `diffuse`; JAX's collectives bring
together what the devices found. The results are the same as those of one device.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
from jax import lax
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from jaxret.functional import diffusion, neighbours
from jaxret.functional.diffusion import Graph
from jaxret.functional.neighbours import Neighbours
from jaxret.functional.precision import working


@dataclass(frozen=True)
class Spread:
    """`top_k` and `diffuse` over a mesh of one axis; what they take and give is on every device."""

    mesh: Mesh

    def top_k(self, queries: jax.Array, database: jax.Array, k: int) -> Neighbours:
        return _top_k(queries, database, k=min(k, len(database)), mesh=self.mesh)

    def diffuse(
        self, graph: Graph, lists: jax.Array, alpha: float, tolerance: float, rounds: int
    ) -> jax.Array:
        return _diffuse(graph, lists, alpha, tolerance, rounds, mesh=self.mesh)


@partial(jax.jit, static_argnames=("k", "mesh"))
def _top_k(queries: jax.Array, database: jax.Array, *, k: int, mesh: Mesh) -> Neighbours:
    axis, devices = mesh.axis_names[0], mesh.size
    count = len(database)
    share = -(-count // devices)

    def search(queries: jax.Array, rows: jax.Array) -> Neighbours:
        first = lax.axis_index(axis).astype(jnp.int32) * share
        sims, ids = neighbours.top_k_of_first(queries, rows, min(k, share), count - first)
        ids = ids + first
        # Each device goes on with its part of the queries and what all devices found for them. The
        # candidates stand in the order of the devices: equal ones in the order of their ids.
        sims, ids = (lax.all_to_all(array, axis, 0, 1, tiled=True) for array in (sims, ids))
        return neighbours.best_of((sims, ids), k)

    found = jax.shard_map(
        search, mesh=mesh, in_specs=(P(), P(axis)), out_specs=P(axis), check_vma=False
    )(_padded(working(queries), devices), _padded(working(database), devices))
    return jax.tree.map(partial(_everywhere, len(queries), mesh), found)


@partial(jax.jit, static_argnames=("alpha", "tolerance", "rounds", "mesh"))
def _diffuse(graph, lists, alpha: float, tolerance: float, rounds: int, *, mesh: Mesh) -> jax.Array:
    axis = mesh.axis_names[0]
    solve = partial(diffusion.diffuse, alpha=alpha, tolerance=tolerance, rounds=rounds)
    found = jax.shard_map(
        solve, mesh=mesh, in_specs=(P(), P(axis)), out_specs=P(axis), check_vma=False
    )(graph, _padded(lists, mesh.size))
    return _everywhere(len(lists), mesh, found)


def _padded(rows: jax.Array, devices: int) -> jax.Array:
    return jnp.pad(rows, ((0, -len(rows) % devices), (0, 0)))


def _everywhere(count: int, mesh: Mesh, rows: jax.Array) -> jax.Array:
    return lax.with_sharding_constraint(rows, NamedSharding(mesh, P()))[:count]
