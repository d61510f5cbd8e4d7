"""The offline stage of diffusion after Yang et al., AAAI 2019.

Node i of the database: the i-th column of (I - alpha S)^-1, truncated to the node's `truncation`
nearest after S was normalised on the whole graph ("late truncation").
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from jaxret.functional.settings import DiffusionSettings
from jaxret.ranking.diffusion.graph import mutual_graph
from jaxret.ranking.diffusion.grouping import close_order
from jaxret.ranking.diffusion.solver import Solver
from jaxret.ranking.inputs import BLOCK
from jaxret.ranking.neighbours.search import others
from jaxret.ranking.ordering import Neighbours


@dataclass(frozen=True)
class Rows:
    """The sparse offline matrix: node i holds scores[i] at the nodes ids[i], itself first.

    Attributes:
      ids: int32 [nodes, n] a shard, in the order of the nodes; in memory or mapped from files.
      scores: float32 likewise.
    """

    ids: Sequence[NDArray[np.int32]]
    scores: Sequence[NDArray[np.float32]]

    def __len__(self) -> int:
        return sum(len(shard) for shard in self.ids)

    def row(self, node: int) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """(ids [n], scores [n]) of one node."""
        shard, place = divmod(node, len(self.ids[0]))
        return self.ids[shard][place], self.scores[shard][place]

    def whole(self) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """(ids [N, n], scores [N, n])."""
        if len(self.ids) == 1:
            return self.ids[0], self.scores[0]
        return np.concatenate(self.ids), np.concatenate(self.scores)


@dataclass(frozen=True)
class Lists:
    """What diffusion needs to know of every node's neighbours.

    Attributes:
      members: int32 [N, n], the node itself first, then its nearest others.
      near_sims, near_ids: [N, kd - 1], its nearest others, from which the graph is made.
    """

    members: NDArray[np.int32]
    near_sims: NDArray[np.float32]
    near_ids: NDArray[np.int32]

    @classmethod
    def of(cls, nearest: Neighbours, settings: DiffusionSettings, first: int = 0) -> Lists:
        """Of nodes `first` on, from (similarities, ids) that hold the node itself somewhere.

        Each [N, m], m = `settings.list_length` or the size of the graph.
        """
        sims, ids = nearest
        blocks = ((sims[i : i + BLOCK], ids[i : i + BLOCK]) for i in range(0, len(ids), BLOCK))
        return cls.collect(blocks, len(ids), ids.shape[1], settings, first)

    @classmethod
    def collect(
        cls,
        blocks: Iterable[Neighbours],
        count: int,
        length: int,
        settings: DiffusionSettings,
        first: int = 0,
    ) -> Lists:
        """As `of` from blocks of rows, `count` in all, of lists of `length`."""
        width = min(settings.kd, length) - 1
        lists = cls(
            np.empty((count, min(settings.truncation, length)), np.int32),
            np.empty((count, width), np.float32),
            np.empty((count, width), np.int32),
        )
        start = 0
        for block in blocks:
            sims, ids = others(block, first + start)
            stop = start + len(ids)
            lists.members[start:stop, 0] = np.arange(first + start, first + stop)
            lists.members[start:stop, 1:] = ids[:, : lists.members.shape[1] - 1]
            lists.near_sims[start:stop] = sims[:, :width]
            lists.near_ids[start:stop] = ids[:, :width]
            start = stop
        return lists


def diffuse(lists: Lists, settings: DiffusionSettings, block_size: int | None = None) -> Rows:
    """Diffuses every node of a graph."""
    solver, degrees = solver_of((lists.near_sims, lists.near_ids), settings, block_size)
    order = close_order(lists.members[:, 1:], degrees)
    return Rows([lists.members], [solver.solve(lists.members, order)])


def solver_of(
    nearest: Neighbours, settings: DiffusionSettings, block_size: int | None
) -> tuple[Solver, NDArray[np.int32]]:
    graph = mutual_graph(nearest, settings.gamma)
    solver = Solver(graph, settings.alpha, settings.tolerance, settings.rounds, block_size)
    return solver, graph.degrees
