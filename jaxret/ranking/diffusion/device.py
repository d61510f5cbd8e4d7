"""Diffusion of graphs so large that a node should not be solved over all rows."""

from __future__ import annotations

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from jaxret.functional.diffusion import Graph
from jaxret.functional.neighbours import Neighbours
from jaxret.functional.ranking import Machine
from jaxret.ranking.diffusion.device_grouping import close_order
from jaxret.ranking.diffusion.graph import packed
from jaxret.ranking.diffusion.solver import Solver

# Above it the lists of sixteen close nodes are so much shorter than the graph that the work of
# grouping pays.
LARGEST_UNGROUPED = 30_000


@dataclass(frozen=True)
class Grouped:
    """Groups of close nodes, each solved on the union of its lists.

    Attributes:
      machine: finds the neighbours.
    """

    machine: Machine

    def top_k(self, queries: jax.Array, database: jax.Array, k: int) -> Neighbours:
        return self.machine.top_k(queries, database, k)

    def diffuse(
        self, graph: Graph, lists: jax.Array, alpha: float, tolerance: float, rounds: int
    ) -> jax.Array:
        order = close_order(lists[:, 1:], (graph.weights > 0).sum(axis=1, dtype=jnp.int32))
        # The unions differ in size, which shapes must not: they are made on the host.
        ids, weights, members = jax.device_get((graph.ids, graph.weights, lists))
        there = packed(ids, weights)
        mesh = Mesh(np.array(sorted(lists.devices(), key=lambda device: device.id)), ("nodes",))
        solver = Solver(there, alpha, tolerance, rounds, mesh=mesh)
        found = solver.solve(members, order)
        return jax.device_put(found, lists.sharding)
