"""Photographs of a split as batches of one static shape, decoded ahead of their use, in order.

Workers are threads: PIL decodes and resizes without holding the interpreter's lock, so threads
keep all cores busy, pass arrays without copying them between processes, and do not fork a process
in which JAX runs.
"""

import collections
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from jaxret.data.dataset import Split
from jaxret.data.images import BadImage, to_pixels


@dataclass(frozen=True)
class Batch:
    """Photographs ready for the encoder.

    Attributes:
        images: uint8 [B, H, W, 3]; always B, rows from `count` on are zero.
        indices: int64 [count], which photographs of the split these are.
    """

    images: np.ndarray
    indices: np.ndarray

    @property
    def count(self) -> int:
        return len(self.indices)


def usable_cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def batches(
    split: Split,
    image_size: int,
    batch_size: int,
    indices: Sequence[int] | None = None,
    crop: bool = True,
    workers: int | None = 0,
    on_bad: str = "fail",
    bad: list[tuple[str, str]] | None = None,
) -> Iterator[Batch]:
    """Batches of `split` in the order of `indices`; only the last may count fewer than B.

    Args:
        split: the photographs.
        image_size: S, pixels a side.
        batch_size: B.
        indices: which ones, in order; None is all. Each host gives its own part.
        crop: cut each photograph to its box first.
        workers: threads that decode ahead; 0 decodes in the caller's thread, None is one a core.
        on_bad: "fail" raises the `BadImage`; "skip" leaves the photograph out.
        bad: where (name, sentence) of what was left out is appended, in order.

    Raises:
        BadImage: an unreadable photograph, with on_bad="fail".
    """
    if on_bad not in ("fail", "skip"):
        raise ValueError(f"on_bad is 'fail' or 'skip', not {on_bad!r}.")
    threads = usable_cores() if workers is None else workers
    wanted = range(len(split)) if indices is None else indices

    def load(index: int) -> np.ndarray:
        box = split.boxes[index] if crop else None
        return to_pixels(split.read(index), split.names[index], image_size, box)

    images: list[np.ndarray] = []
    found: list[int] = []
    for index, future in _ahead(load, wanted, threads, window=batch_size + 2 * threads):
        try:
            images.append(future.result())
        except BadImage as error:
            if on_bad == "fail":
                raise
            if bad is not None:
                bad.append((error.name, str(error)))
            continue
        found.append(index)
        if len(found) == batch_size:
            yield _batch(images, found, batch_size)
            images, found = [], []
    if found:
        yield _batch(images, found, batch_size)


def _batch(images: list[np.ndarray], indices: list[int], batch_size: int) -> Batch:
    whole = np.zeros((batch_size, *images[0].shape), np.uint8)
    np.stack(images, out=whole[: len(images)])
    return Batch(whole, np.asarray(indices, np.int64))


def _ahead(load, indices, workers: int, window: int) -> Iterator[tuple[int, Future]]:
    """Each index with its future result, in order; at most `window` wait to be taken."""
    if workers == 0:
        for index in indices:
            yield index, _done(load, index)
        return
    waiting: collections.deque[tuple[int, Future]] = collections.deque()
    pool = ThreadPoolExecutor(workers, thread_name_prefix="jaxret-decode")
    try:
        for index in indices:
            waiting.append((index, pool.submit(load, index)))
            if len(waiting) >= window:
                yield waiting.popleft()
        while waiting:
            yield waiting.popleft()
    finally:  # also when the caller stops early or an error passes through
        pool.shutdown(wait=True, cancel_futures=True)


def _done(load, index: int) -> Future:
    future: Future = Future()
    try:
        future.set_result(load(index))
    except BadImage as error:
        future.set_exception(error)
    return future
