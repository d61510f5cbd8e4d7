"""Search by a photograph of one's own, in the datasets of the workdir: as `jaxret.main --query`.

What the second search needs again stays in memory: encoder, whitening, descriptors. Results come
in steps: global search first, then what the ranking makes of it.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np

from jaxret import functional
from jaxret.data.dataset import Dataset, FileSplit, Split, printable
from jaxret.descriptors.describer import describe_alone
from jaxret.descriptors.shards import Descriptors
from jaxret.descriptors.whitening import PCAWhitening
from jaxret.errors import UserError
from jaxret.explore.catalogue import Entry
from jaxret.explore.indexing import Indexing
from jaxret.explore.stored import Recent, Stored
from jaxret.explore.uploads import Upload
from jaxret.pipeline import ranking_settings
from jaxret.ranking.placement import rank_on
from jaxret.ranking.rankings import rank_all
from jaxret.settings import TRUE_DIM, Settings
from jaxret.stages.features import Features, joined
from jaxret.stages.whitening import apply, database_of, whitening

SHOWN = 100  # results
INDEXES_KEPT = 2  # in memory, each with its encoder

SUPERGLOBAL, K_RECIPROCAL = "G+SuperGlobal", "G+k-reciprocal"
# What a photograph that nobody knew beforehand can be ranked by; diffusion in its inductive form.
RANKINGS = ("G", "G+AQE", "G+DFS", "G+AQE+DFS", SUPERGLOBAL, K_RECIPROCAL)

Plain = dict[str, Any]


@dataclass(frozen=True)
class Index:
    """A dataset under one encoder, ready to be searched in.

    Attributes:
      rows: of the readable photographs, [N, D].
      numbers: their places in the dataset, [N].
      features: of each member of the encoder.
      describe: a photograph to its descriptor, [1, C], of each.
      whiten: None where descriptors are not whitened.
    """

    dataset: Dataset
    rows: np.ndarray
    numbers: np.ndarray
    features: tuple[Features, ...]
    describe: tuple[Callable[[Split], np.ndarray], ...]
    whiten: PCAWhitening | None

    def query(self, photograph: Split) -> np.ndarray:
        """The descriptor of a photograph, [1, D]."""
        parts = [Descriptors(one(photograph), np.zeros(1, np.int64), ()) for one in self.describe]
        return apply(joined(parts, self.features), self.whiten)


class Searching:
    """All searches of the page; many threads may ask, one is served at a time."""

    def __init__(self, stored: Stored, indexing: Indexing) -> None:
        self._stored, self._indexing = stored, indexing
        self._indexes = Recent(INDEXES_KEPT)

    def search(self, entry: Entry, upload: Upload, box: Any, ranking: str) -> Iterator[Plain]:
        """What is done, and what was found, step by step.

        Raises:
          UserError: there is no such ranking, the box lies outside, or the index is not there.
        """
        if ranking not in RANKINGS:
            raise UserError(f"There is no ranking {ranking!r} here, only {', '.join(RANKINGS)}.")
        photograph = upload.split(box)
        # A lock a step: each may run in another thread, and others' steps may come between.
        one_at_a_time = self._stored.one_at_a_time
        yield {"doing": "reading the index"}
        with one_at_a_time:
            index = self._index(entry)
        yield {"doing": "describing the photograph"}
        with one_at_a_time:
            row = index.query(photograph)
        yield {"doing": "searching"}
        with one_at_a_time:
            first = _ranked(index, row, "G", entry.settings)
        yield {"ranking": "G", **_found(index, row, first)}
        if ranking != "G":
            yield {"doing": f"ranking by {ranking}"}
            folder = self._stored.context.store.root / "diffusion"
            with one_at_a_time:
                ids = _reranked(index, row, first, ranking, entry.settings, folder)
            yield {"ranking": ranking, **_found(index, row, ids)}

    def _index(self, entry: Entry) -> Index:
        if entry.name in self._indexes:  # as it was read: files that came since are not in it
            return self._indexes.get(entry.name, lambda: self._read(entry))
        if count := self._indexing.missing(entry):
            raise UserError(
                f"{count} photographs of {entry.dataset_label} are not described by "
                f"{entry.label} yet: make the index first."
            )
        return self._indexes.get(entry.name, lambda: self._read(entry))

    def _read(self, entry: Entry) -> Index:
        settings, context = entry.settings, self._stored.context
        features = self._stored.features(entry)
        described = [database_of(one, context) for one in features]
        rows = joined(described, features)
        learnt = None
        if settings.pca_dim != TRUE_DIM:
            learnt, _ = whitening(rows, features, settings, context)
        rows = apply(rows, learnt)
        describe = tuple(self._describer(one) for one in features)
        numbers = described[0].indices
        return Index(features[0].dataset, rows, numbers, tuple(features), describe, learnt)

    def _describer(self, features: Features) -> Callable[[Split], np.ndarray]:
        context = self._stored.context
        loaded = context.encoders.load(features.identity.name, features.settings)
        encoder = features.describing(loaded, context.store)
        # a box that was drawn is meant, whatever is done with the queries of the dataset
        how = replace(features.how, crop=True)
        return describe_alone(encoder, how, features.settings.scales, features.normalizes)


def _ranked(
    index: Index, row: np.ndarray, ranking: str, settings: Settings, folder: Path | None = None
) -> np.ndarray:
    """Ids [N] of the rows, best first."""
    how = ranking_settings(replace(settings, dfs="inductive"))
    with rank_on(settings.rank_on):
        ranked = rank_all(row, index.rows, (ranking,), how, folder)
    return np.asarray(ranked[ranking].ids[0])


def _reranked(
    index: Index,
    row: np.ndarray,
    first: np.ndarray,
    ranking: str,
    settings: Settings,
    folder: Path,
) -> np.ndarray:
    """Ids [N] by a ranking that is more than global search."""
    if ranking not in (SUPERGLOBAL, K_RECIPROCAL):
        return _ranked(index, row, ranking, settings, folder)
    rows, ids = (jnp.asarray(one) for one in (index.rows, first[None].astype(np.int32)))
    query = jnp.asarray(row)
    if ranking == K_RECIPROCAL:
        return np.asarray(functional.k_reciprocal(query, rows, ids)[0])
    # its maximum is meant for descriptors that are nowhere negative
    aggregation = "mean" if (index.rows < 0).any() else "max"
    return np.asarray(functional.superglobal(query, rows, ids, aggregation=aggregation)[0])


def _found(index: Index, row: np.ndarray, ids: np.ndarray) -> Plain:
    """The first results as plain data, with the cosine of the descriptors."""
    shown = ids[:SHOWN]
    numbers = index.numbers[shown].tolist()
    names = index.dataset.database.names
    return {
        "numbers": numbers,
        "names": [names[number] for number in numbers],
        "similarities": (index.rows[shown] @ row[0]).astype(np.float64).tolist(),
        "of": len(index.rows),
    }


def folder_of(dataset: Dataset, number: int) -> str:
    """The folder in which a photograph lies, or what it is kept in; to be shown, never opened."""
    split = dataset.database
    if isinstance(split, FileSplit):
        return printable(str(split.path(number).parent.absolute()))
    return f"the prepared photographs of {dataset.name}"
