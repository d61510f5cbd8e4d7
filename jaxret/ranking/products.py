"""Inner products of many pairs, fast and of known error, for `jaxret.ranking.screening`.

float32 by BLAS, or bfloat16 with float32 sums by XLA: where the processor has matrix units for it
(AMX), seven times as many products in the same time.
"""

from __future__ import annotations

import functools
import threading
import time
from typing import Protocol

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from ml_dtypes import bfloat16
from numpy.typing import NDArray

from jaxret.ranking.scratch import Scratch

PART = 256  # queries
CONVERTED = 512  # rows converted at once, so that they stay in the caches
# Converting the database costs as much as the products of some forty queries.
FEWEST_QUERIES, FEWEST_ROWS = 64, 1 << 14
# A length whose products, or what their rounding loses, come near the ends of float32.
SHORTEST, LONGEST = 1e-15, 1e15


class Products(Protocol):
    """Inner products of a fixed set of queries [Q, D], `PART` of them at once.

    What a thread is given lies in memory of that thread, which its next call may use again.

    Attributes:
      settled: whether they are float32's own, or have to be made again for what they find.
    """

    settled: bool

    def prepared(self, rows: NDArray[np.float32]) -> NDArray:
        """Database rows [B, D] in the form that `of` takes."""

    def of(self, first: int, rows: NDArray) -> NDArray[np.float32]:
        """[q, B]: of the part that begins at query `first`, with prepared rows."""

    def error(self, longest: float) -> NDArray[np.float32]:
        """float32 [Q]: what they may be off by, if no database row is longer than `longest`."""


class Float32Products:
    """By BLAS: the float32 products that are asked for."""

    settled = True

    def __init__(self, queries: NDArray[np.float32]) -> None:
        self._queries = queries
        self._scratch = Scratch()

    def prepared(self, rows: NDArray[np.float32]) -> NDArray:
        return rows

    def of(self, first: int, rows: NDArray) -> NDArray[np.float32]:
        queries = self._queries[first : first + PART]
        out = self._scratch.array("products", (len(queries), len(rows)), np.float32)
        return np.matmul(queries, rows.T, out=out)

    def error(self, longest: float) -> NDArray[np.float32]:
        return np.zeros(len(self._queries), np.float32)


class Bfloat16Products:
    """By XLA: both sides rounded to bfloat16, sums in float32."""

    settled = False

    def __init__(self, queries: NDArray[np.float32]) -> None:
        starts = range(0, len(queries), PART)
        self._parts = [_rounded(queries[i : i + PART], Scratch()) for i in starts]
        rounded = [part.view(np.uint16).astype(np.uint32) << 16 for part in self._parts]
        self._lengths = _lengths(queries)
        self._lost = _lengths(queries - np.concatenate(rounded).view(np.float32))
        self._scratch = Scratch()
        self._outputs = _Outputs()

    def prepared(self, rows: NDArray[np.float32]) -> NDArray:
        return _rounded(rows, self._scratch)

    def of(self, first: int, rows: NDArray) -> NDArray[np.float32]:
        return self._outputs.product(self._parts[first // PART], rows)

    def error(self, longest: float) -> NDArray[np.float32]:
        """Never more, by Cauchy and Schwarz.

        |q.d - q'.d'| <= |q - q'| |d| + |q'| |d - d'|, and bfloat16 keeps eight binary digits:
        |d - d'| <= 2^-8 |d|. To that the rounding of D partial sums in float32.
        """
        dim = self._parts[0].shape[1]
        kept = self._lengths + self._lost
        error = longest * (self._lost + kept * (2.0**-8 + dim * np.finfo(np.float32).eps))
        apt = (
            (self._lengths > SHORTEST) & (self._lengths < LONGEST) & (SHORTEST < longest < LONGEST)
        )
        return np.where(apt, error, np.inf).astype(np.float32)


def bfloat16_pays(queries: NDArray[np.float32], database_rows: int) -> bool:
    """Whether screening in bfloat16 is worth what it costs besides: much work, apt hardware."""
    if len(queries) < FEWEST_QUERIES or database_rows < FEWEST_ROWS:
        return False
    return jax.default_backend() == "cpu" and _bfloat16_is_fast()


@functools.cache
def _bfloat16_is_fast() -> bool:
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
    return 2 * min(pair[0] for pair in rest) < min(pair[1] for pair in rest)


@jax.jit
def _product(queries: jax.Array, rows: jax.Array) -> jax.Array:
    return lax.dot_general(
        queries, rows, (((1,), (1,)), ((), ())), preferred_element_type=jnp.float32
    )


@functools.partial(jax.jit, donate_argnums=2, keep_unused=True)
def _product_into(queries: jax.Array, rows: jax.Array, out: jax.Array) -> jax.Array:
    """The product, in the memory of `out`."""
    return _product(queries, rows)


class _Outputs(threading.local):
    """Memory of a thread for products, by shape; while a product is in use, other memory."""

    def __init__(self) -> None:
        self._kept: dict[tuple[int, int], jax.Array] = {}

    def product(self, queries: NDArray, rows: NDArray) -> NDArray[np.float32]:
        shape = len(queries), len(rows)
        used = self._kept.pop(shape, None)
        out = jnp.empty(shape, jnp.float32) if used is None else used
        self._kept[shape] = _product_into(queries, rows, out)
        return np.asarray(self._kept[shape])


def _lengths(rows: NDArray[np.float32]) -> NDArray[np.float64]:
    return np.linalg.norm(rows.astype(np.float64), axis=1)


def _rounded(rows: NDArray[np.float32], scratch: Scratch) -> NDArray:
    """`rows` in bfloat16. On their bits: ml_dtypes converts four times slower."""
    rounded = scratch.array("rounded", rows.shape, bfloat16)
    bits = scratch.array("bits", (min(CONVERTED, len(rows)), rows.shape[1]), np.uint32)
    for start in range(0, len(rows), CONVERTED):
        part = rows[start : start + CONVERTED].view(np.uint32)
        there = bits[: len(part)]
        np.add(part, np.uint32(0x8000), out=there)  # what makes cutting off rounding
        np.right_shift(there, np.uint32(16), out=there)
        np.copyto(rounded[start : start + CONVERTED].view(np.uint16), there, casting="unsafe")
    return rounded
