"""Photographs of a split as batches of one static shape, decoded ahead of their use, in order.

Workers are threads: PIL decodes and resizes without holding the interpreter's lock, so threads
keep all cores busy, pass arrays without copying them between processes, and do not fork a process
in which JAX runs.

Photographs of one shape share a batch. With resize="square" there is one shape, so batches are in
the order asked for; with "keep" a batch is full when B photographs of its shape are, and results
are put in order by `Batch.indices`.
"""

import collections
import contextlib
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from jaxret.data.dataset import Split
from jaxret.data.images.decode import BadImage, to_pixels
from jaxret.data.images.opening import DECODERS
from jaxret.data.images.resize import RESIZES, SIDE_MULTIPLE
from jaxret.runtime.machine import cores
from jaxret.runtime.timing import Clock

ON_BAD = ("fail", "skip")
WAITING_BATCHES = 8  # bounds the memory of photographs whose shape is rare


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


def batches(
    split: Split,
    image_size: int,
    batch_size: int,
    indices: Sequence[int] | None = None,
    crop: bool = True,
    workers: int | None = 0,
    on_bad: str = "fail",
    bad: list[tuple[str, str]] | None = None,
    resize: str = "square",
    decoder: str = "pil",
    clock: Clock | None = None,
    side_multiple: int = SIDE_MULTIPLE,
    scale: float = 1.0,
) -> Generator[Batch, None, None]:
    """Batches of `split` in the order of `indices`; only the last of a shape may hold fewer than B.

    Args:
        split: the photographs.
        image_size: S, pixels a side.
        batch_size: B.
        indices: which ones, in order; None is all. Each host gives its own part.
        crop: cut each photograph to its box first.
        workers: threads that decode ahead; 0 decodes in the caller's thread, None is one a core.
        on_bad: "fail" raises the `BadImage`; "skip" leaves the photograph out.
        bad: where (name, sentence) of what was left out is appended, in order.
        resize: of RESIZES; see `resize`.
        decoder: "pil" or "simplejpeg"; see `images.to_pixels`.
        clock: told how long the threads read and decoded.
        side_multiple, scale: see `images.to_pixels`.

    Raises:
        BadImage: an unreadable photograph, with on_bad="fail".
    """
    for value, known in ((on_bad, ON_BAD), (resize, RESIZES), (decoder, DECODERS)):
        if value not in known:
            raise ValueError(f"{value!r} is not one of {', '.join(known)}.")

    told = clock or Clock()

    def load(index: int) -> np.ndarray:
        box = split.boxes[index] if crop else None
        name = split.names[index]
        with told.timed("read"):
            encoded = split.read(index)
        with told.timed("decode"):
            return to_pixels(encoded, name, image_size, box, resize, decoder, side_multiple, scale)

    threads = cores() if workers is None else workers
    wanted = range(len(split)) if indices is None else indices
    waiting = _ByShape(batch_size)
    window = batch_size + 2 * threads
    with contextlib.closing(_ahead(load, wanted, threads, window)) as ahead:
        for index, future in ahead:
            try:
                image = future.result()
            except BadImage as error:
                if on_bad == "fail":
                    raise
                if bad is not None:
                    bad.append((error.name, str(error)))
                continue
            yield from waiting.add(index, image)
    yield from waiting.rest()


class _ByShape:
    """Photographs that wait for others of their shape."""

    def __init__(self, batch_size: int) -> None:
        self._batch_size = batch_size
        self._groups: dict[tuple[int, ...], list[tuple[int, np.ndarray]]] = {}

    def add(self, index: int, image: np.ndarray) -> Iterator[Batch]:
        """The batch that this photograph fills, or the largest one when too many wait."""
        group = self._groups.setdefault(image.shape, [])
        group.append((index, image))
        if len(group) == self._batch_size:
            yield self._take(image.shape)
        elif sum(map(len, self._groups.values())) > WAITING_BATCHES * self._batch_size:
            yield self._take(max(self._groups, key=lambda shape: len(self._groups[shape])))

    def rest(self) -> Iterator[Batch]:
        for shape in list(self._groups):
            yield self._take(shape)

    def _take(self, shape: tuple[int, ...]) -> Batch:
        indices, images = zip(*self._groups.pop(shape), strict=True)
        return _batch(images, indices, self._batch_size)


def _batch(images: Sequence[np.ndarray], indices: Sequence[int], batch_size: int) -> Batch:
    whole = np.zeros((batch_size, *images[0].shape), np.uint8)
    np.stack(images, out=whole[: len(images)])
    return Batch(whole, np.asarray(indices, np.int64))


def _ahead(load, indices, workers: int, window: int) -> Generator[tuple[int, Future], None, None]:
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
