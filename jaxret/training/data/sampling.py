"""Which photographs make a batch: a function of the seed and the number of the step alone.

So the place in the data is no state of its own: a run that goes on from step t sees the batches
that an undisturbed one would see.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from jaxret.training.data.labelled_photographs import NO_INSTANCE

Order = Callable[[np.random.Generator], NDArray[np.int64]]


@dataclass(frozen=True)
class Sampler:
    """Batches of positions, epoch by epoch; what fills no batch is left to the next epoch.

    Attributes:
        order: Draws the positions of one epoch.
        length: How many those are, the same in every epoch.
        batch_size: Positions a batch.
        seed: Of the draw.
    """

    order: Order
    length: int
    batch_size: int
    seed: int

    @property
    def batches_an_epoch(self) -> int:
        return self.length // self.batch_size

    def batch(self, step: int) -> tuple[int, NDArray[np.int64]]:
        """(epoch, positions [B]) of a step, counted from 0."""
        epoch, place = divmod(step, self.batches_an_epoch)
        start = place * self.batch_size
        return epoch, _epoch(self, epoch)[start : start + self.batch_size]


@lru_cache(maxsize=2)
def _epoch(sampler: Sampler, epoch: int) -> NDArray[np.int64]:
    return sampler.order(np.random.default_rng([sampler.seed, epoch]))


def shuffled(count: int, batch_size: int, seed: int) -> Sampler:
    """Every photograph once an epoch."""
    return Sampler(lambda generator: generator.permutation(count), count, batch_size, seed)


def grouped(instance: NDArray[np.int32], group: int, batch_size: int, seed: int) -> Sampler:
    """Batches of groups of photographs that show the same instance.

    Every instance gives as many groups an epoch as it fills, one at least, for which photographs
    are taken again; the photographs of no instance come in groups of their own, all different.

    Args:
        instance: [N], NO_INSTANCE where a photograph shows none.
        group: Photographs a group.
        batch_size: A multiple of `group`.
        seed: Of the draw.
    """
    members = [np.flatnonzero(instance == one) for one in np.unique(instance)]
    least = [int(one != NO_INSTANCE) for one in np.unique(instance)]
    counts = [max(len(p) // group, few) for p, few in zip(members, least, strict=True)]

    def order(generator: np.random.Generator) -> NDArray[np.int64]:
        groups = []
        for positions, count in zip(members, counts, strict=True):
            drawn = generator.permutation(positions)
            groups.append(np.resize(drawn, count * group).reshape(count, group))
        return generator.permutation(np.concatenate(groups)).reshape(-1)

    return Sampler(order, sum(counts) * group, batch_size, seed)


def labels(instance: NDArray[np.int32], positions: NDArray[np.int64]) -> NDArray[np.int32]:
    """Labels of a batch [B]; a photograph of no instance has one that no other has."""
    own = -1 - np.arange(len(positions), dtype=np.int32)
    shown = instance[positions]
    return np.where(shown == NO_INSTANCE, own, shown).astype(np.int32)
