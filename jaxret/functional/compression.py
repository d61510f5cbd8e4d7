"""Search in a compressed database: queries stay whole, database rows are codes.

    score(q, i) = q . decode(code_i)

Rows are decoded a block at a time and multiplied, which for many queries at once is faster than
tables of partial distances, and the same sum. A codec is a pytree of its learnt arrays;
`jaxret.ranking.compression` learns them.
"""

from functools import partial
from typing import NamedTuple, Protocol

import jax
import jax.numpy as jnp
from jax import lax

from jaxret.functional.neighbours import Neighbours, best
from jaxret.functional.precision import HIGHEST, widest, working

NUMBERS_AT_ONCE = 1 << 24  # of decoded rows, and of similarities: 64 MiB each
LEVELS = 256  # that a byte tells apart


class Codec(Protocol):
    """What turns rows [N, D] into codes [N, B] and back."""

    def turn(self, rows: jax.Array) -> jax.Array:
        """Rows as `encode` and `decode` know them: rotated, where the codec rotates."""

    def encode(self, rows: jax.Array) -> jax.Array:
        """Of turned rows [N, D] the codes [N, B]."""

    def decode(self, codes: jax.Array) -> jax.Array:
        """Float32 [N, D], turned."""


class Half(NamedTuple):
    """Float16: two bytes a dimension."""

    def turn(self, rows: jax.Array) -> jax.Array:
        return rows

    def encode(self, rows: jax.Array) -> jax.Array:
        return rows.astype(jnp.float16)

    def decode(self, codes: jax.Array) -> jax.Array:
        return codes.astype(jnp.float32)


class Scalar(NamedTuple):
    """A byte a dimension: 256 levels between the least and the largest value of each.

    Attributes:
      least: [D].
      step: [D], between two levels.
    """

    least: jax.Array
    step: jax.Array

    def turn(self, rows: jax.Array) -> jax.Array:
        return rows

    def encode(self, rows: jax.Array) -> jax.Array:
        levels = jnp.round((rows - self.least[None]) / self.step[None])
        return jnp.clip(levels, 0, LEVELS - 1).astype(jnp.uint8)

    def decode(self, codes: jax.Array) -> jax.Array:
        return self.least[None] + self.step[None] * codes.astype(jnp.float32)


class Product(NamedTuple):
    """Product quantisation (Jegou et al., TPAMI 2011): a byte names the nearest of 256 centres.

    Attributes:
      rotation: [D, D], orthogonal; rows are turned by x R.
      centres: [M, 256, D / M], of the M parts of a turned row.
    """

    rotation: jax.Array
    centres: jax.Array

    def turn(self, rows: jax.Array) -> jax.Array:
        return jnp.matmul(rows, self.rotation, precision=HIGHEST)

    def encode(self, rows: jax.Array) -> jax.Array:
        parts, _, width = self.centres.shape
        pieces = rows.reshape(len(rows), parts, width).transpose(1, 0, 2)

        def nearest(piece: tuple[jax.Array, jax.Array]) -> jax.Array:
            rows, centres = piece
            # |x - c|^2 = |x|^2 - 2 (x . c - |c|^2 / 2)
            half = jnp.square(centres).sum(axis=1)[None] / 2
            closeness = jnp.matmul(rows, centres.T, precision=HIGHEST) - half
            return closeness.argmax(axis=1).astype(jnp.uint8)

        # One part after the other: [N, 256] numbers at a time.
        return lax.map(nearest, (pieces, self.centres)).T

    def decode(self, codes: jax.Array) -> jax.Array:
        parts = jnp.arange(len(self.centres), dtype=jnp.int32)[None]
        return self.centres[parts, codes.astype(jnp.int32)].reshape(len(codes), -1)


class Binary(NamedTuple):
    """A bit a dimension: the sign of the turned value (Gong and Lazebnik, CVPR 2011).

    Attributes:
      rotation: [D, D], orthogonal.
    """

    rotation: jax.Array

    def turn(self, rows: jax.Array) -> jax.Array:
        return jnp.matmul(rows, self.rotation, precision=HIGHEST)

    def encode(self, rows: jax.Array) -> jax.Array:
        return jnp.packbits(rows > 0, axis=1)

    def decode(self, codes: jax.Array) -> jax.Array:
        bits = jnp.unpackbits(codes, axis=1, count=len(self.rotation))
        return 2 * bits.astype(jnp.float32) - 1


@jax.jit
def encode(codec: Codec, rows: jax.Array) -> jax.Array:
    """Rows [N, D], L2-normalised, as codes [N, B]."""
    return codec.encode(codec.turn(rows.astype(jnp.float32)))


@jax.jit
def decode(codec: Codec, codes: jax.Array) -> jax.Array:
    """What codes [N, B] still say, turned: float32 [N, D]."""
    return codec.decode(codes)


@partial(jax.jit, static_argnames="k")
def top_k_codes(queries: jax.Array, codec: Codec, codes: jax.Array, k: int) -> Neighbours:
    """The `k` rows of largest inner product of the query and what its code says, best first.

    Args:
      queries: [Q, D], rows L2-normalised, not compressed.
      codec: that made the codes.
      codes: [N, B].
      k: static, at most N.

    Returns:
      (scores float32 [Q, k], ids int32 [Q, k]); the order is that of `top_k`, of scores in float32.
    """
    queries = codec.turn(queries.astype(jnp.float32))
    count, (asked, dim) = len(codes), queries.shape
    size = min(count, max(k, NUMBERS_AT_ONCE // max(dim, asked)))
    blocks = -(-count // size)
    padded = jnp.pad(codes, ((0, blocks * size - count), (0, 0)))

    def step(found: Neighbours, block: tuple[jax.Array, jax.Array]):
        start, codes = block
        sims = jnp.matmul(queries, codec.decode(codes).T, precision=HIGHEST)
        ids = start + jnp.arange(size, dtype=jnp.int32)
        sims = jnp.where((ids < count)[None], sims, -jnp.inf)
        # Those found have the smaller ids: columns are in the order that ties want.
        sims, columns = best(jnp.concatenate([found[0], sims], axis=1), k)
        known = jnp.concatenate([found[1], jnp.broadcast_to(ids[None], (asked, size))], axis=1)
        return (sims, jnp.take_along_axis(known, columns, axis=1)), None

    nothing = jnp.full((asked, k), -jnp.inf, jnp.float32), jnp.full((asked, k), -1, jnp.int32)
    starts = size * jnp.arange(blocks, dtype=jnp.int32)
    return lax.scan(step, nothing, (starts, padded.reshape(blocks, size, -1)))[0]


@partial(jax.jit, static_argnames="first")
def rescored(queries: jax.Array, database: jax.Array, found: Neighbours, first: int) -> Neighbours:
    """What a search has found, its first results in the order of their whole descriptors.

    Args:
      queries: [Q, D].
      database: [N, D], rows L2-normalised, not compressed.
      found: (scores, ids) of a search in codes, each [Q, k].
      first: how many are scored again, static; those behind stay.

    Returns:
      (scores, ids), each [Q, k]: similarities of the first, then scores of the codes, shifted where
      they would be larger.
    """

    def one(query: jax.Array, ids: jax.Array) -> Neighbours:
        sims = widest(_products, query, database[ids])
        falling, ids = lax.sort((-sims, ids), num_keys=2)
        return -falling, ids

    sims, ids = found
    queries, database = working(queries), working(database)
    at_once = max(1, NUMBERS_AT_ONCE // max(1, first * database.shape[1]))
    again = lax.map(lambda pair: one(*pair), (queries, ids[:, :first]), batch_size=at_once)
    rest = sims[:, first:].astype(again[0].dtype)
    if rest.shape[1]:  # scores fall on: those behind begin where the first end
        last = again[0][:, -1:]
        rest = jnp.minimum(rest - jnp.maximum(rest[:, :1] - last, 0), last)
    behind = rest, ids[:, first:]
    return jax.tree.map(lambda *parts: jnp.concatenate(parts, axis=1), again, behind)


def _products(query: jax.Array, rows: jax.Array) -> jax.Array:
    return jnp.matmul(rows, query, precision=HIGHEST).astype(jnp.float32)
