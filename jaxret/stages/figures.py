"""What a report states of one ranking: its figures, what made the descriptors, what they cost."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from jaxret.data.dataset import Dataset
from jaxret.evaluation.measures import evaluate_by
from jaxret.evaluation.metrics import evaluate as measure
from jaxret.ranking.rankings import Ranked
from jaxret.runtime.artifacts import Store
from jaxret.settings import Settings
from jaxret.stages.cached_results import DEPTH, SCORED, Top
from jaxret.stages.features import Features
from jaxret.stages.poolings import name_of


def figure(
    ranking: str,
    ranked: Ranked,
    dataset: Dataset,
    protocol: str,
    dim: int | str,
    descriptors: tuple[np.ndarray, np.ndarray] | None = None,
) -> dict[str, Any]:
    """One cell of the tables, as plain data; model and dataset are put in by who knows them.

    `descriptors` of queries and database give the similarity of results: how sure the first one is,
    and which of those that global search orders are tied.
    """
    truth = dataset.ground_truth
    assert truth is not None  # a dataset without one has no protocols
    measured = measure(ranked.ids, truth, protocol)
    measured |= _own_metrics(dataset, ranking, ranked.ids, protocol, descriptors)
    return {
        "dim": dim,
        "ranking": ranking,
        "protocol": protocol,
        **{key: _plain(value) for key, value in measured.items()},
        "isolated_queries": ranked.isolated,
    }


def _own_metrics(
    dataset: Dataset,
    ranking: str,
    ids: np.ndarray,
    protocol: str,
    descriptors: tuple[np.ndarray, np.ndarray] | None,
) -> dict[str, float]:
    """What the dataset's makers evaluate it by."""
    truth = dataset.ground_truth or []
    if descriptors is None or not dataset.metrics or not ids.shape[1]:
        return evaluate_by(dataset.metrics, ids, truth, protocol)
    queries, database = descriptors
    sure = np.einsum("qd,qd->q", queries, database[ids[:, 0]], dtype=np.float32)

    def similarities(query: int) -> np.ndarray:
        return database[ids[query]] @ queries[query]

    ties = similarities if ranking == "G" else None
    return evaluate_by(dataset.metrics, ids, truth, protocol, sure, ties)


def _plain(value: Any) -> Any:
    """Numbers and lists of numbers, None where a value does not exist."""
    if isinstance(value, np.ndarray | list | tuple):
        return [_plain(one) for one in value]
    number = value.item() if isinstance(value, np.generic) else value
    return None if number != number else number


def top(
    ranking: str, ranked: Ranked, queries: np.ndarray, database: np.ndarray, saved: int = 0
) -> Top:
    """The first results; global search alone orders by the similarity of the descriptors."""
    ids = ranked.ids[:, : max(DEPTH, saved)]
    if ranking != "G":
        return Top(ids, scores=ranked.scores)
    nearest = database[ids[:, :SCORED]]  # (Q, SCORED, D)
    similarities = np.einsum("qd,qkd->qk", queries, nearest, dtype=np.float32)
    return Top(ids, similarities, ranked.scores)


def store_facts(settings: Settings, size: int) -> dict[str, Any]:
    """What a figure says of how the database was kept."""
    return {"store": settings.store, "store_rescored": settings.store_rescore, "bytes": size}


def encoder_facts(features: Sequence[Features], store: Store) -> dict[str, Any]:
    """What each figure states of the encoder that made its descriptors, and of their cost."""
    speeds = [one.speed(store) for one in features]
    rates = [rate for rate, _ in speeds if rate is not None]
    return {
        "pooling": _alike([name_of(one.identity.spec, one.settings) for one in features]),
        "layer": features[0].settings.layers,
        "pixels": _alike([one.how.image_size for one in features]),
        "scales": list(features[0].settings.scales),
        "parameters": sum(one.identity.spec.parameters for one in features),
        "photographs_per_second": (
            1 / sum(1 / rate for rate in rates) if len(rates) == len(features) else None
        ),
        "device": _alike([device for _, device in speeds]),
    }


def _alike(values: Sequence[Any]) -> Any:
    """What all members of an ensemble have, or each one's, joined by plus signs."""
    return values[0] if len(set(values)) == 1 else "+".join(map(str, values))
