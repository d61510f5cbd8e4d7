"""How well the encoder finds the held-out part: R-MAC, L2, cosine, mAP."""

from collections.abc import Iterator

import jax
import numpy as np

from jaxret.data.dataset import Dataset, Split
from jaxret.data.images.loader import batches
from jaxret.descriptors.pooling import l2_normalize
from jaxret.descriptors.rmac import rmac
from jaxret.evaluation.metrics import evaluate
from jaxret.models.encoder import Encoder
from jaxret.ranking.neighbours.search import knn
from jaxret.runtime import parallel

BATCH_SIZE = 16


class Validation:
    """The held-out photographs, decoded once, and what is right."""

    def __init__(self, dataset: Dataset, image_size: int, workers: int | None) -> None:
        self.protocols = dataset.protocols
        self._truth = dataset.ground_truth
        self._queries = _pixels(dataset.queries, image_size, workers)
        self._database = _pixels(dataset.database, image_size, workers)

    def measure(self, encoder: Encoder) -> dict[str, float]:
        """MAP by protocol, as fractions."""
        queries, database = _described(encoder, self._queries), _described(encoder, self._database)
        if not (np.isfinite(queries).all() and np.isfinite(database).all()):
            return dict.fromkeys(self.protocols, float("nan"))
        _, ids = knn(queries, database, len(database))
        assert self._truth is not None
        return {one: float(evaluate(ids, self._truth, one)["map"]) for one in self.protocols}


def _pixels(split: Split, image_size: int, workers: int | None) -> np.ndarray:
    """uint8 [N, S, S, 3]; a photograph that cannot be read is left black."""
    pixels = np.zeros((len(split), image_size, image_size, 3), np.uint8)
    for batch in batches(split, image_size, BATCH_SIZE, workers=workers, on_bad="skip"):
        pixels[batch.indices] = batch.images[: batch.count]
    return pixels


def _described(encoder: Encoder, pixels: np.ndarray) -> np.ndarray:
    return np.concatenate([np.asarray(rows) for rows in _rows(encoder, pixels)])


def _rows(encoder: Encoder, pixels: np.ndarray) -> Iterator[jax.Array]:
    size = parallel.round_up(BATCH_SIZE, jax.local_device_count())
    for start in range(0, len(pixels), size):
        part = pixels[start : start + size]
        whole = np.zeros((size, *part.shape[1:]), np.uint8)
        whole[: len(part)] = part
        yield l2_normalize(rmac(encoder(whole)))[: len(part)]
