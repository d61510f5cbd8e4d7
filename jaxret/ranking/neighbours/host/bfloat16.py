"""Rows rounded to bfloat16, their inner products by XLA, and whether that is fast here."""

from __future__ import annotations

import functools
import threading
import time

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from ml_dtypes import bfloat16
from numpy.typing import NDArray

from jaxret.ranking.neighbours.host.buffers import Buffers, aligned
from jaxret.runtime.threads import in_threads

CONVERTED = 1024  # rows converted at once, so that they stay in the caches
MEASURED = 512  # rows whose loss is measured at once: float64 takes more room in the caches
FEWEST_ROWS = 1 << 14  # a smaller database is searched before it is known how
# How many times as fast as in float32 products have to be, so that there is time for what they
# cost besides: conversion, and scoring candidates again.
WORTH_IT = 1.5


def suits(database_rows: int) -> bool:
    """Whether to look for candidates by bfloat16 products: much work, apt hardware."""
    return database_rows >= FEWEST_ROWS and jax.default_backend() == "cpu" and _is_fast()


@functools.cache
def _is_fast() -> bool:
    """Measured once a process: some 0.1 s. Results do not depend on it, only time does."""
    shapes = (256, 512), (1024, 512)

    def seconds(arrays: list[jax.Array]) -> float:
        # Of the processor, not of the day: the machine may be busy. Too coarse for one product.
        start = time.process_time()
        for _ in range(10):
            _product(*arrays).block_until_ready()
        return time.process_time() - start

    wide = [jnp.ones(shape, jnp.float32) for shape in shapes]
    narrow = [array.astype(jnp.bfloat16) for array in wide]
    _, *rest = [(seconds(narrow), seconds(wide)) for _ in range(3)]  # the first ones compile
    return WORTH_IT * min(pair[0] for pair in rest) < min(pair[1] for pair in rest)


@jax.jit
def _product(queries: jax.Array, rows: jax.Array) -> jax.Array:
    return lax.dot_general(
        queries, rows, (((1,), (1,)), ((), ())), preferred_element_type=jnp.float32
    )


@functools.partial(jax.jit, donate_argnums=2, keep_unused=True)
def _product_into(queries: jax.Array, rows: jax.Array, out: jax.Array) -> jax.Array:
    """The product, in the memory of `out`."""
    return _product(queries, rows)


class Multiplier(threading.local):
    """Products in memory of the thread, by shape; while a product is in use, in other memory."""

    def __init__(self) -> None:
        self._kept: dict[tuple[int, int], jax.Array] = {}

    def product(self, queries: NDArray, rows: NDArray) -> NDArray[np.float32]:
        """Inner products [q, B], summed in float32, of bfloat16 queries and rows."""
        shape = len(queries), len(rows)
        used = self._kept.pop(shape, None)
        out = jnp.empty(shape, jnp.float32) if used is None else used
        self._kept[shape] = _product_into(queries, rows, out)
        return np.asarray(self._kept[shape])


def rounded(rows: NDArray[np.float32], buffers: Buffers) -> NDArray:
    """`rows` [B, D] in bfloat16, in memory of `buffers`."""
    there = buffers.array("rounded", rows.shape, bfloat16)
    _round(rows, there, buffers)
    return there


def lost(rows: NDArray[np.float32], rounded_rows: NDArray) -> NDArray[np.float64]:
    """[B]: lengths of the differences between rows and their rounded form, both [B, D]."""
    widened = (rounded_rows.view(np.uint16).astype(np.uint32) << 16).view(np.float32)
    return lengths(rows - widened)


def lengths(rows: NDArray[np.float32]) -> NDArray[np.float64]:
    """[B]: of rows [B, D]."""
    return np.linalg.norm(rows.astype(np.float64), axis=1)


def kept(rows: NDArray[np.float32]) -> tuple[NDArray, float]:
    """(rows [N, D] in bfloat16, the largest of what they have `lost`)."""
    there = aligned(rows.shape, bfloat16)
    most = np.zeros(-(-len(rows) // MEASURED))
    buffers = Buffers()

    def convert(start: int) -> None:
        part = slice(start, start + MEASURED)
        _round(rows[part], there[part], buffers)
        most[start // MEASURED] = lost(rows[part], there[part]).max()

    in_threads(convert, range(0, len(rows), MEASURED))
    return there, float(most.max(initial=0))


def _round(rows: NDArray[np.float32], there: NDArray, buffers: Buffers) -> None:
    """Fills `there` [B, D]. On the bits: ml_dtypes converts four times slower."""
    bits = buffers.array("bits", (min(CONVERTED, len(rows)), rows.shape[1]), np.uint32)
    for start in range(0, len(rows), CONVERTED):
        part = rows[start : start + CONVERTED].view(np.uint32)
        carried = bits[: len(part)]
        np.add(part, np.uint32(0x8000), out=carried)  # what makes cutting off rounding
        np.right_shift(carried, np.uint32(16), out=carried)
        np.copyto(there[start : start + CONVERTED].view(np.uint16), carried, casting="unsafe")
