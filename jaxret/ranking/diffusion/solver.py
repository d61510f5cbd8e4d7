"""Feeds the conjugate gradients: which nodes together, on which core or device."""

from __future__ import annotations

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from numpy.typing import NDArray

from jaxret.ranking.diffusion import conjugate_gradients
from jaxret.ranking.diffusion.graph import Graph
from jaxret.ranking.diffusion.grouping import GROUP, components
from jaxret.runtime.threads import free_bytes, in_threads


class Solver:
    """Diffuses nodes of one graph; made once, used for every shard of nodes.

    Node i with list T_i (itself first): (I - alpha S)[T_i, T_i] f = e_0.

    On the CPU each core takes a group of nodes at a time, in tiles that stay in its caches. On
    accelerators many groups lie side by side, spread over the devices of a mesh.
    """

    def __init__(
        self,
        graph: Graph,
        alpha: float,
        tolerance: float,
        rounds: int,
        block_size: int | None = None,
        mesh: Mesh | None = None,
    ) -> None:
        """Puts the graph where the work will be.

        Args:
          graph: S.
          alpha: weight of S.
          tolerance: residual that ends a node, relative to the right-hand side.
          rounds: rounds that end a node whatever its residual.
          block_size: nodes at once on accelerators, None for what their memory allows.
          mesh: one axis of devices to spread over, None for all accelerators of this process, or
            the cores where it has none.
        """
        self.place, neighbours, weights = _by_degree(graph)
        self.component = components(graph)
        self.rule = (tolerance, rounds)
        if mesh is None and jax.default_backend() != "cpu":
            mesh = Mesh(np.array(jax.local_devices()), ("nodes",))
        self.mesh = mesh
        self.block_size = block_size
        where = NamedSharding(mesh, PartitionSpec()) if mesh else jax.local_devices()[0]
        self.tables = jax.device_put((neighbours, np.float32(alpha) * weights), where)

    def solve(
        self, lists: NDArray[np.int32], order: NDArray[np.int64] | None = None
    ) -> NDArray[np.float32]:
        """The f of every list's first node: float32 [M, n] for `lists` int32 [M, n].

        Consecutive runs of `GROUP` lists in `order` are solved together.
        """
        order = np.arange(len(lists)) if order is None else order
        scores = np.empty(lists.shape, np.float32)
        size = GROUP * self._groups_at_once(*lists.shape)

        def one(start: int) -> None:
            part = order[start : start + size]
            found = np.asarray(self._solve(self._placed(lists[part], size)))
            scores[part] = found.reshape(size, -1)[: len(part)]

        starts = range(0, len(lists), size)
        if self.mesh:
            for start in starts:
                one(start)
        else:
            in_threads(one, starts)
        return scores

    def solve_everywhere(self, b: NDArray[np.float32]) -> NDArray[np.float32]:
        """(I - alpha S) x = b on the whole graph: x float32 [N, Q] for `b` [N, Q]."""
        lengths = np.linalg.norm(b, axis=0)
        unit = b / np.where(lengths > 0, lengths, 1)
        placed = np.zeros((len(self.place), b.shape[1]), np.float32)
        placed[self.place[:-1]] = unit
        found = np.asarray(conjugate_gradients.solve_everywhere(*self.tables, placed, *self.rule))
        return found[self.place[:-1]] * lengths

    def _groups_at_once(self, count: int, length: int) -> int:
        if not self.mesh:
            return 1
        devices = self.mesh.size
        if self.block_size:
            groups = -(-self.block_size // GROUP)
        else:
            capacity = min(len(self.place), GROUP * length)
            # x, r, p, q, mask and two temporaries a node; an integer and a float table a slot,
            # twice while they are gathered.
            held = 4 * capacity * (7 * GROUP + 4 * self.tables[0].shape[1])
            groups = devices * max(1, free_bytes(self.mesh.devices.flat[0]) // 4 // held)
        groups = min(groups, -(-count // GROUP))
        return -(-groups // devices) * devices

    def _placed(self, lists: NDArray[np.int32], size: int) -> NDArray[np.int32]:
        """[size / GROUP, GROUP, n]: lists by falling degree, padded, the unreachable left out."""
        nobody = len(self.place) - 1
        reached = self.component[lists] == self.component[lists[:, :1]]
        placed = np.full((size, lists.shape[1]), nobody, np.int32)
        placed[: len(lists)] = np.where(reached, self.place[lists], nobody)
        return placed.reshape(-1, GROUP, lists.shape[1])

    def _solve(self, groups: NDArray[np.int32]) -> jax.Array:
        rows = _unions(groups, len(self.place) - 1)
        if self.mesh is None:
            return conjugate_gradients.solve_lists(*self.tables, rows[0], groups[0], *self.rule)
        spread = NamedSharding(self.mesh, PartitionSpec(self.mesh.axis_names[0]))
        there = jax.device_put((rows, groups), spread)
        return conjugate_gradients.solve_many_lists(*self.tables, *there, *self.rule)


def _by_degree(graph: Graph) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.float32]]:
    """(place of each node, neighbours, weights) with the nodes in the order of falling degree.

    The rows of a tile then need about as many slots as each other. One more row, nobody, has
    weight 0 and value 0: padding points there.
    """
    count, slots = graph.neighbours.shape
    order = np.argsort(-graph.degrees, kind="stable")
    place = np.empty(count + 1, np.int32)
    place[order] = np.arange(count)
    place[count] = count
    width = -(-slots // conjugate_gradients.SLOTS) * conjugate_gradients.SLOTS
    neighbours = np.full((count + 1, width), count, np.int32)
    weights = np.zeros((count + 1, width), np.float32)
    weights[:count, :slots] = graph.weights[order]
    used = graph.weights[order] > 0
    neighbours[:count, :slots] = np.where(used, place[graph.neighbours[order]], count)
    return place, neighbours, weights


def _unions(groups: NDArray[np.int32], nobody: int) -> NDArray[np.int32]:
    """[groups, capacity]: ascending union of each group's lists, then at least one nobody.

    Few capacities, powers of two, since each is compiled for.
    """
    unions = []
    for lists in groups:
        found = np.zeros(nobody + 1, np.bool_)
        found[lists] = True
        unions.append(np.flatnonzero(found[:nobody]))
    longest = max(len(union) for union in unions)
    limit = -(-(nobody + 1) // conjugate_gradients.TILE) * conjugate_gradients.TILE
    capacity = min(limit, max(conjugate_gradients.TILE, 1 << longest.bit_length()))
    rows = np.full((len(groups), capacity), nobody, np.int32)
    for row, union in zip(rows, unions, strict=True):
        row[: len(union)] = union
    return rows
