"""A database held as codes, and searches in it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
from numpy.typing import ArrayLike, NDArray

from jaxret.descriptors.pooling import l2_normalize
from jaxret.errors import UserError
from jaxret.functional import compression
from jaxret.functional.compression import Binary, Codec, Half, Product, Scalar
from jaxret.functional.precision import HIGHEST
from jaxret.functional.settings import positive_integer
from jaxret.ranking.compression.learning import learn
from jaxret.ranking.inputs import BLOCK, unit_rows
from jaxret.ranking.ordering import Neighbours, ordered
from jaxret.runtime.artifacts import read_arrays, write_arrays

CODECS: dict[str, type[Any]] = {kind.__name__: kind for kind in (Half, Scalar, Product, Binary)}
QUERIES_AT_ONCE = 256
FORMAT_VERSION = 1


@dataclass(frozen=True)
class CompressedIndex:
    """Codes of a database.

    Attributes:
      codec: how they are read.
      codes: [N, B].
    """

    codec: Codec
    codes: NDArray

    @classmethod
    def fit(
        cls, database: ArrayLike, store: str, *, learnt_on: ArrayLike | None = None, seed: int = 0
    ) -> CompressedIndex:
        """Codes of `database` [N, D] by a codec learnt on it, or on other descriptors.

        Args:
          database: rows L2-normalised (else they are normalised); may be memory-mapped.
          store: see `learn`; "float32" is an error here.
          learnt_on: [M, D], None for the database itself.
          seed: see `learn`.

        Raises:
          UserError: see `learn`.
        """
        if store == "float32":
            raise UserError('store="float32" compresses nothing: use jaxret.Index.')
        codec = learn(database if learnt_on is None else learnt_on, store, seed)
        assert codec is not None
        rows = unit_rows(database, "database")
        parts = [np.asarray(compression.encode(codec, rows[part])) for part in _blocks(len(rows))]
        return cls(codec, np.concatenate(parts))

    @property
    def bytes_a_row(self) -> int:
        """What a photograph's descriptor takes."""
        return self.codes.itemsize * self.codes.shape[1]

    def search(
        self,
        queries: ArrayLike,
        k: int,
        *,
        exact: ArrayLike | None = None,
        candidates: int | None = None,
    ) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
        """The `k` nearest by what the codes say, best first; ties to the smaller id.

        Args:
          queries: [Q, D].
          k: more than N gives N columns.
          exact: the descriptors [N, D] themselves, on disk perhaps: the first `candidates` are put
            in the order of their exact similarities.
          candidates: how many are scored again, at least `k`; None for 10 k.

        Returns:
          (similarities [Q, k], ids int32 [Q, k]).

        Raises:
          UserError: see `jaxret.ranking.inputs.unit_rows`.
        """
        positive_integer(k, "k")
        asked = unit_rows(queries, "queries")
        wanted = k if exact is None else max(k, candidates or 10 * k)
        find = partial(self._nearest, k=min(wanted, len(self.codes)))
        starts = range(0, max(len(asked), 1), QUERIES_AT_ONCE)  # of none, one block of none
        found = [find(asked[start : start + QUERIES_AT_ONCE]) for start in starts]
        sims, ids = (np.concatenate(parts) for parts in zip(*found, strict=True))
        if exact is not None:
            sims, ids = _exactly(asked, exact, ids)
        return sims[:, :k], ids[:, :k]

    def order(
        self, queries: NDArray[np.float32], k: int, exact: ArrayLike | None, first: int
    ) -> Neighbours:
        """The `k` nearest by the codes, the `first` of them put in the order of `exact`."""
        sims, ids = self.search(queries, k)
        if exact is not None and first:
            sims[:, :first], ids[:, :first] = _exactly(queries, exact, ids[:, :first])
            if first < ids.shape[1]:  # scores fall on: those behind begin where the first end
                last, behind = sims[:, first - 1 : first], sims[:, first:]
                behind -= np.maximum(behind[:, :1] - last, 0)
                np.minimum(behind, last, out=behind)  # what the difference was rounded by
        return sims, ids

    def _nearest(self, queries: NDArray[np.float32], k: int) -> Neighbours:
        found = compression.top_k_codes(jnp.asarray(queries), self.codec, self.codes, k)
        return np.asarray(found[0]), np.asarray(found[1])

    def decoded(self) -> NDArray[np.float32]:
        """[N, D]: what the codes still say in the database's own axes, L2-normalised.

        So that averages and graphs, which want cosines, can be made of it.
        """
        rotation = getattr(self.codec, "rotation", None)
        parts = []
        for part in _blocks(len(self.codes)):
            rows = compression.decode(self.codec, self.codes[part])
            if rotation is not None:
                rows = jnp.matmul(rows, rotation.T, precision=HIGHEST)
            parts.append(np.asarray(l2_normalize(rows)))
        return np.concatenate(parts)

    def save(self, path: str | Path) -> None:
        """Writes an .npz, whole or not at all."""
        arrays = {f"codec_{name}": np.asarray(array) for name, array in self._learnt().items()}
        kind = np.array(type(self.codec).__name__)
        version = np.array(FORMAT_VERSION)
        write_arrays(Path(path), format_version=version, kind=kind, codes=self.codes, **arrays)

    @classmethod
    def load(cls, path: str | Path) -> CompressedIndex:
        """Reads what `save` wrote.

        Raises:
          UserError: the file holds something else.
        """
        stored = read_arrays(Path(path))
        kind = CODECS.get(str(stored.get("kind", "")))
        if kind is None or int(stored.get("format_version", 0)) != FORMAT_VERSION:
            raise UserError(
                f"{path} is no compressed index of format {FORMAT_VERSION}: make it again."
            )
        arrays = {name: jnp.asarray(stored[f"codec_{name}"]) for name in kind._fields}
        return cls(kind(**arrays), stored["codes"])

    def _learnt(self) -> dict[str, Any]:
        return self.codec._asdict()  # type: ignore[attr-defined]


def _blocks(count: int) -> Iterator[slice]:
    return (slice(start, start + BLOCK) for start in range(0, count, BLOCK))


def _exactly(queries, database, ids) -> Neighbours:
    sims = np.empty(ids.shape, np.float32)
    for one, query, row in zip(sims, queries, ids, strict=True):
        one[:] = np.asarray(database[row], np.float64) @ query.astype(np.float64)
    return ordered(sims, ids)
