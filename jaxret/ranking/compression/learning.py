"""Learning how a database is compressed: levels, centres and rotations, from its descriptors."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import ArrayLike

from jaxret.functional.compression import LEVELS, Binary, Codec, Half, Product, Scalar
from jaxret.functional.precision import HIGHEST
from jaxret.ranking.inputs import unit_rows
from jaxret.store_flag import WHOLE, check

LEARNT_FROM = 1 << 16  # rows; of more, as many are drawn
ROUNDS = 25  # of k-means, and of the rotation


def learn(rows: ArrayLike, store: str, seed: int = 0) -> Codec | None:
    """A codec for descriptors like these.

    Args:
      rows: [N, D], rows L2-normalised; of more than 65,536 as many are drawn.
      store: "float16", "int8", "binary", or "pq64" for 64 bytes a photograph; "float32" compresses
        nothing and gives None.
      seed: of the draw and of the centres that k-means begins with.

    Raises:
      UserError: see `jaxret.store_flag.check` and `jaxret.ranking.inputs.unit_rows`.
    """
    whole = unit_rows(rows, "database")
    check(store, whole.shape[1])
    if store == WHOLE:
        return None
    if store == "float16":
        return Half()
    if store == "int8":
        return _levels(whole)
    draw = np.random.default_rng(seed)
    some = draw.permutation(len(whole))[:LEARNT_FROM]
    sample = jnp.asarray(whole[np.sort(some)], jnp.float32)
    start = jnp.asarray(_random_rotation(draw, whole.shape[1]), jnp.float32)
    if store == "binary":
        return _signs(sample, start)
    return _parts(sample, start, int(store.removeprefix("pq")), draw)


def _levels(rows: np.ndarray) -> Scalar:
    least, most = rows.min(axis=0), rows.max(axis=0)
    step = np.maximum((most - least) / (LEVELS - 1), np.finfo(np.float32).tiny)
    return Scalar(jnp.asarray(least, jnp.float32), jnp.asarray(step, jnp.float32))


def _random_rotation(draw: np.random.Generator, dim: int) -> np.ndarray:
    turned, triangle = np.linalg.qr(draw.normal(size=(dim, dim)))
    return turned * np.sign(np.diag(triangle))[None]


@jax.jit
def _closest_rotation(rows: jax.Array, wanted: jax.Array) -> jax.Array:
    """The orthogonal R that brings rows R nearest to `wanted` (Schoenemann, 1966)."""
    left, _, right = jnp.linalg.svd(jnp.matmul(rows.T, wanted, precision=HIGHEST))
    return jnp.matmul(left, right, precision=HIGHEST)


def _signs(rows: jax.Array, rotation: jax.Array) -> Binary:
    """Iterative quantisation: Gong and Lazebnik, CVPR 2011, section 2.2."""
    for _ in range(ROUNDS):
        turned = jnp.matmul(rows, rotation, precision=HIGHEST)
        rotation = _closest_rotation(rows, jnp.where(turned > 0, 1.0, -1.0).astype(jnp.float32))
    return Binary(rotation)


def _parts(rows: jax.Array, rotation: jax.Array, parts: int, draw: np.random.Generator) -> Product:
    """Optimised product quantisation, not parametric: Ge et al., CVPR 2013, section 3.1."""
    first = draw.permutation(len(rows))[:LEVELS]
    first = np.resize(first, LEVELS)  # fewer rows than centres: some stand twice
    codec = Product(rotation, _split(jnp.matmul(rows[first], rotation), parts))
    for _ in range(ROUNDS):
        codec = _lloyd(codec, rows)
        said = codec.decode(codec.encode(codec.turn(rows)))
        rotation = _closest_rotation(rows, said)
        codec = codec._replace(rotation=rotation)
    for _ in range(ROUNDS):
        codec = _lloyd(codec, rows)
    return codec


def _split(rows: jax.Array, parts: int) -> jax.Array:
    return rows.reshape(len(rows), parts, -1).transpose(1, 0, 2)


@jax.jit
def _lloyd(codec: Product, rows: jax.Array) -> Product:
    """One round of k-means in every part; a centre that nothing is nearest to stays."""
    turned = codec.turn(rows)
    codes = codec.encode(turned).astype(jnp.int32).T

    def means(pieces: jax.Array, codes: jax.Array, before: jax.Array) -> jax.Array:
        totals = jnp.zeros_like(before).at[codes].add(pieces)
        counts = jnp.zeros(len(before), jnp.float32).at[codes].add(1.0)[:, None]
        return jnp.where(counts > 0, totals / jnp.maximum(counts, 1), before)

    centres = jax.vmap(means)(_split(turned, len(codec.centres)), codes, codec.centres)
    return codec._replace(centres=centres)
