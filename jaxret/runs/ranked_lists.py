"""Ranked lists as data: who was found for which query, in the workdir's folder `rankings`.

rankings/MODEL-DATASET-RANKING.csv   the first results of every query, with --save_ranks=NUMBER
rankings/MODEL-DATASET-RANKING.npy   ids of whole rankings, with --save_ranks=all
rankings/MODEL-DATASET-RANKING.json  similarities by name, with --save_ranks_as=json (or pickle)

In the .npy ids are places in the database as the ground truth counts them, -1 at the end of a row
for photographs that could not be read; `jaxret.evaluate` takes it. Where a run has several
dimensions, each has its own files: MODEL-DATASET-DIM-RANKING; poolings, layers, sizes and scales
likewise.
"""

import csv
import io
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from jaxret import data
from jaxret.data.dataset import Dataset
from jaxret.defaults import OTHER_RANKINGS
from jaxret.descriptors.saving import write_array
from jaxret.evaluation import protocols
from jaxret.pipeline import Evaluation
from jaxret.ranking_names import step_names
from jaxret.report.tables.plain import one_line
from jaxret.report.variants import scales_text
from jaxret.runs import similarity_files
from jaxret.runtime.artifacts import write_text
from jaxret.settings import ALL, Settings
from jaxret.stages.cached_results import Top

FOLDER = "rankings"
SEARCHES = frozenset(("G", "DBA", "AQE", "AQEwD"))  # steps that order by similarity
POSITIVE, NEGATIVE, JUNK = "positive", "negative", "junk"


def file_names(every: Sequence[Settings]) -> list[str]:
    """What the files of each evaluation begin with: model and dataset, and what tells them apart.

    No two evaluations of a run have the same.
    """
    names = [file_name(one.label, _called(one.dataset)) for one in every]
    alike: dict[str, list[Settings]] = {}
    for name, one in zip(names, every, strict=True):
        alike.setdefault(name, []).append(one)
    names = [
        "-".join([name, *_differing(one, alike[name])])
        for name, one in zip(names, every, strict=True)
    ]
    seen: Counter[str] = Counter()
    for place, name in enumerate(names):  # two folders of one name
        seen[name] += 1
        names[place] = name if seen[name] == 1 else f"{name}-{seen[name]}"
    return names


def _differing(one: Settings, alike: Sequence[Settings]) -> list[str]:
    """The dimension, and what else the evaluations of one model on one dataset do not share."""
    if len(alike) == 1:
        return []
    others = [
        name
        for name in ("pooling", "layers", "image_size", "scales")
        if len({getattr(other, name) for other in alike}) > 1
    ]
    values = [getattr(one, name) for name in ("pca_dim", *others)]
    texts = [scales_text(v) if isinstance(v, tuple) else str(v or "default") for v in values]
    return [text.replace("/", "_") for text in texts]


def _called(dataset: str) -> str:
    """A known name, or that of the folder."""
    return dataset if dataset in data.names() else Path(dataset).expanduser().resolve().name


def file_name(model: str, dataset: str) -> str:
    """MODEL-DATASET as a file name on every system: letters, digits, and . _ + -"""
    return "-".join(re.sub(r"[^\w.+-]+", "_", name).strip("_.") for name in (model, dataset))


def save_ranks(found: Evaluation, name: str, workdir: Path) -> None:
    """Writes the ranked lists of one evaluation, as its settings ask.

    Args:
      found: with the results of each ranking.
      name: of `file_names`.
      workdir: where the folder `rankings` is.
    """
    for ranking, top in found.top.items() if found.settings.save_ranks else ():
        path = workdir / FOLDER / file_name(name, ranking)
        count = found.settings.saved_ranks(len(found.dataset.database))
        form = found.settings.save_ranks_as
        if form in similarity_files.ENDINGS:
            similarity_files.write(path, form, found.dataset, ranking, top, count)
        elif found.settings.save_ranks == ALL:
            write_array(path.with_name(path.name + ".npy"), whole_ids(top, found))
        else:
            write_text(
                path.with_name(path.name + ".csv"), to_csv(found.dataset, ranking, top, count)
            )


def whole_ids(top: Top, found: Evaluation) -> np.ndarray:
    """Ids [Q, N] as the whole dataset counts them; a query that was not read has a row of -1."""
    kept, asked = (
        np.setdiff1d(np.arange(size), found.unread.get(key, ()))
        for key, size in (("database", found.sizes[1]), ("queries", found.sizes[0]))
    )
    ids = np.full(found.sizes, -1, np.int32)
    ids[asked, : top.ids.shape[1]] = kept[top.ids]  # fewer where the dataset has a depth
    return ids


def to_csv(dataset: Dataset, ranking: str, top: Top, count: int) -> str:
    """One line a result: query, rank from 1, photograph, what it is ordered by, and what is right.

    A column for each protocol says positive, negative or junk. Junk keeps its rank here; the
    metrics take it out first.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    steps = step_names(ranking)
    is_global = ranking not in OTHER_RANKINGS and SEARCHES.issuperset(steps)
    measure = "similarity" if is_global else "score"
    writer.writerow(["query", "rank", "photograph", measure, *dataset.protocols])
    names = dataset.database.names  # perhaps a hundred million
    for query, ids in enumerate(top.ids[:, :count]):
        judged = list(_judgements(dataset, query))
        for place, image in enumerate(ids.tolist()):
            value = "" if top.scores is None else f"{top.scores[query, place]:.6g}"
            said = [one.get(image, NEGATIVE) for one in judged]
            asked = one_line(dataset.queries.names[query])
            writer.writerow([asked, place + 1, one_line(names[image]), value, *said])
    return text.getvalue()


def _judgements(dataset: Dataset, query: int) -> Iterator[dict[int, str]]:
    """What each protocol says of the database's photographs, where it says anything."""
    for protocol in dataset.protocols:
        assert dataset.ground_truth is not None  # a dataset without one has no protocols
        positives, junk = protocols.split(
            protocols.get(protocol), dataset.ground_truth[query], query
        )
        judged = {int(image): JUNK for ids in junk for image in ids}
        yield judged | {int(image): POSITIVE for ids in positives for image in ids}
