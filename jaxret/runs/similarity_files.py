"""Ranked lists with their scores in the forms that ILIAS's evaluation reads.

    .json  {query: {photograph: similarity}}
    .pkl   {"query_ids", "db_ids", "sims" float32 [Q, k], "ranks" int64 [Q, k] into db_ids}

knn_search/src/utils.py of ilias-vrg/ilias writes them, evaluation/evaluate.py reads them. Global
search gives its similarities as they are, in which that evaluation counts ties as one step; other
rankings have orders of their own among equal scores, which are set apart by the least step.
"""

import json
import pickle
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from jaxret.data.dataset import Dataset
from jaxret.ranking.ordering import scores_in_order
from jaxret.runtime.artifacts import atomic_write, write_text
from jaxret.stages.cached_results import Top

ENDINGS = {"json": ".json", "pickle": ".pkl"}


def write(path: Path, form: str, dataset: Dataset, ranking: str, top: Top, count: int) -> None:
    """Writes the first results of every query, whole or not at all.

    Args:
      path: without an ending.
      form: of `ENDINGS`.
      dataset: what the ids of `top` count.
      ranking: "G" is ordered by similarity alone.
      top: the results, with the scores of at least `count`, or none.
      count: results a query.
    """
    ids, scores = _first(ranking, top, count)
    queries, database = _unlike(dataset.queries.names), dataset.database.names
    target = path.with_name(path.name + ENDINGS[form])
    if form == "json":
        found = {
            query: dict(zip((database[i] for i in row), map(float, values), strict=True))
            for query, row, values in zip(queries, ids.tolist(), scores, strict=True)
        }
        write_text(target, json.dumps(found, indent=0))
        return
    used, ranks = np.unique(ids, return_inverse=True)
    content = {
        "query_ids": list(queries),
        "db_ids": [database[i] for i in used.tolist()],
        "sims": scores,
        "ranks": ranks.reshape(ids.shape).astype(np.int64),
    }
    with atomic_write(target) as file:
        pickle.dump(content, file, protocol=4)


def _first(ranking: str, top: Top, count: int) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Ids and scores [Q, k] of the first results."""
    ids = np.asarray(top.ids[:, :count])
    scores = None if top.scores is None else np.asarray(top.scores[:, :count], np.float32)
    if ranking == "G" and scores is not None:
        return ids, scores
    return ids, scores_in_order(ids, scores)


def _unlike(names: Sequence[str]) -> list[str]:
    """Names of queries; the second of one photograph is NAME#2, since each needs one of its own."""
    times = Counter[str]()
    unlike = []
    for name in names:
        times[name] += 1
        unlike.append(name if times[name] == 1 else f"{name}#{times[name]}")
    return unlike
