"""Batch-norm recalibration over a whole split, on all devices of all processes, kept on disk.

Block t of the pass is the photographs t B .. (t + 1) B - 1 of the split, whatever the number of
devices: each process decodes its part of a block, and the statistics are those of the whole block
(`jaxret.models.batch_norm`). A photograph that cannot be read is left out of its block.
"""

import contextlib
from collections.abc import Generator, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jaxret.data.dataset import Split
from jaxret.data.images.loader import Batch, batches
from jaxret.models.batch_norm import recalibrate
from jaxret.models.encoder import Encoder
from jaxret.models.spec import ModelSpec
from jaxret.models.weights.bn_statistics import load_statistics, save_statistics
from jaxret.runtime import parallel
from jaxret.runtime.artifacts import Store

_STAGE_VERSION = 1  # raise it when the same key would give other statistics


@dataclass(frozen=True)
class Recalibration:
    """How the pass is made.

    Attributes:
      momentum: share of a block in the running statistics; None for the cumulative average.
      batch_size: B, photographs a block.
      image_size: pixels a side.
      on_bad_image: "fail" or "skip".
      workers: threads that decode; None is one a core.
    """

    momentum: float | None
    batch_size: int
    image_size: int
    on_bad_image: str
    workers: int | None = None

    def key(self, split: Split) -> dict[str, Any]:
        return {
            "stage": _STAGE_VERSION,
            "momentum": self.momentum,
            "batch_size": self.batch_size,
            "image_size": self.image_size,
            "split": split.fingerprint(),
        }


def stored_statistics(
    spec: ModelSpec, weights: str, split: Split, how: Recalibration, store: Store
) -> tuple[Path, dict[str, Any]]:
    """The file of a pass over `split`, there or not, and the key that names its folder.

    Args:
      spec: the network.
      weights: digest of the encoder that the pass starts from.
    """
    key = {"network": spec.function(), "weights": weights, **how.key(split)}
    return store.place("statistics", key) / "batch_stats.npz", key


def recalibrated(encoder: Encoder, split: Split, how: Recalibration, store: Store) -> Encoder:
    """The encoder with batch-norm statistics of `split`, from the store where they lie there.

    Raises:
      BadImage: an unreadable photograph, with on_bad_image="fail".
    """
    path, key = stored_statistics(encoder.spec, encoder.digest(), split, how, store)
    if not path.exists():
        store.folder("statistics", key)
        mesh = parallel.global_mesh()
        with contextlib.closing(_blocks(split, how)) as blocks:
            passed = recalibrate(
                replace(encoder, variables=parallel.replicated(encoder.variables, mesh)),
                blocks,
                how.momentum,
                lambda rows: parallel.rows_of_all(rows, mesh),
            )
        if jax.process_index() == 0:
            save_statistics(path, passed)
    parallel.wait_for_files([path])
    return load_statistics(path, encoder)


def _blocks(
    split: Split, how: Recalibration
) -> Generator[tuple[np.ndarray, np.ndarray], None, None]:
    """This process's part of each block: images [R, S, S, 3] and which of them count, [R]."""
    rows = parallel.rows_a_process(how.batch_size)
    first = rows * jax.process_index()
    parts = [
        range(min(start + first, stop), min(start + first + rows, stop))
        for start in range(0, len(split), how.batch_size)
        for stop in [min(start + how.batch_size, len(split))]
    ]
    readable = batches(
        split,
        how.image_size,
        batch_size=1,
        indices=[index for part in parts for index in part],
        workers=how.workers,
        on_bad=how.on_bad_image,
    )
    with contextlib.closing(readable):
        yield from _dealt(readable, parts, rows, how.image_size)


def _dealt(
    readable: Iterator[Batch], parts: list[range], rows: int, image_size: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    photograph = next(readable, None)
    for part in parts:
        images = np.zeros((rows, image_size, image_size, 3), np.uint8)
        counts = np.zeros(rows, bool)
        while photograph is not None and int(photograph.indices[0]) in part:
            row = int(photograph.indices[0]) - part.start
            images[row], counts[row] = photograph.images[0], True
            photograph = next(readable, None)
        yield images, counts
