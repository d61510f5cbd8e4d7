"""The mutual nearest-neighbour graph that diffusion runs on.

    a_ij = max(sim_ij, 0) ** gamma   where i is among j's nearest and j among i's, else 0
    S    = D^-1/2 A D^-1/2,          D = diag(A 1)

Iscen et al., CVPR 2017, eq. (1)-(3); Yang et al., AAAI 2019. Kept as lists of neighbours, never as
an N x N matrix.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from jaxret.ranking.ordering import Neighbours


@dataclass(frozen=True)
class Graph:
    """S as padded lists: S[i, neighbours[i, s]] = weights[i, s] for s < degrees[i].

    Attributes:
      neighbours: int32 [N, slots]; past the degree the node itself.
      weights: float32 [N, slots]; past the degree 0.
      degrees: int32 [N]; 0 is an isolated node.
    """

    neighbours: NDArray[np.int32]
    weights: NDArray[np.float32]
    degrees: NDArray[np.int32]

    @property
    def isolated(self) -> NDArray[np.bool_]:
        return self.degrees == 0


def mutual_graph(nearest: Neighbours, gamma: float) -> Graph:
    """The graph over each node's nearest others.

    Args:
      nearest: (similarities, ids), each [N, kd - 1]: the node itself left out, best first.
      gamma: exponent of the affinity.
    """
    sims, ids = nearest
    mutual = _mutual(ids)
    affinity = np.where(mutual, np.maximum(sims, 0), 0).astype(np.float32) ** np.float32(gamma)
    # An isolated node has no edge to scale: 1 keeps its 0 / 0 away.
    sums = affinity.sum(axis=1)
    scale = 1 / np.sqrt(np.where(sums > 0, sums, 1), dtype=np.float32)
    weights = (affinity * scale[:, None] * scale[ids]).astype(np.float32)
    return packed(ids, weights)


def _mutual(ids: NDArray[np.int32], block: int = 8192) -> NDArray[np.bool_]:
    """[N, k]: whether i is in the list of its s-th neighbour."""
    mutual = np.empty(ids.shape, np.bool_)
    for start in range(0, len(ids), block):
        part = ids[start : start + block]
        nodes = np.arange(start, start + len(part), dtype=np.int32)[:, None]
        for slot in range(ids.shape[1]):
            mutual[start : start + block, slot] = (ids[part[:, slot]] == nodes).any(axis=1)
    return mutual


def packed(ids: NDArray[np.int32], weights: NDArray[np.float32]) -> Graph:
    """Drops the edges of weight 0 and moves the others to the front of their lists."""
    degrees = (weights > 0).sum(axis=1).astype(np.int32)
    slots = max(1, int(degrees.max(initial=0)))
    nodes = np.arange(len(ids), dtype=np.int32)[:, None]
    if ids.shape[1] == 0:  # a single node
        return Graph(nodes, np.zeros(nodes.shape, np.float32), degrees)
    order = np.argsort(weights <= 0, axis=1, kind="stable")[:, :slots]
    weights = np.take_along_axis(weights, order, axis=1)
    neighbours = np.take_along_axis(ids, order, axis=1)
    return Graph(
        np.where(weights > 0, neighbours, nodes), np.where(weights > 0, weights, 0), degrees
    )
