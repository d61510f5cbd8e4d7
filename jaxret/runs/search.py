"""One photograph to search with, any dataset or folder to search in, no ground truth needed.

The descriptors of a folder are kept photograph by photograph, so that only new or changed ones are
described next time. For that the encoder must be the same whatever the folder holds: a search
leaves batch norm as it is unless recalibration is asked for (`as_found`).
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import jax
import numpy as np

from jaxret.data.dataset import Box, Dataset, Split, without
from jaxret.data.photographs import LEFT_OUT
from jaxret.data.query import query_split
from jaxret.descriptors import saving
from jaxret.descriptors.saving import write_array
from jaxret.descriptors.shards import Descriptors
from jaxret.pipeline import Evaluation, ranking_settings
from jaxret.ranking.placement import rank_on
from jaxret.ranking.rankings import rank_all
from jaxret.report.figures.pictures import picture_sheet
from jaxret.report.notebook import NotebookResults
from jaxret.report.results import Results
from jaxret.report.write import write_report
from jaxret.runs import records
from jaxret.runs.ranked_lists import FOLDER, file_name, file_names
from jaxret.runs.run import dataset_row, environment
from jaxret.runtime.artifacts import Store
from jaxret.settings import ALL, Settings
from jaxret.stages.context import INCOMPLETE, RunContext, workdir_of
from jaxret.stages.encoders import check_names, model_row, origin_note
from jaxret.stages.features import Features
from jaxret.stages.whitening import database_of, whiten

TOP = 10


@dataclass(frozen=True)
class Found:
    """The first results of a search.

    Attributes:
      names: of the photographs, best first.
      similarities: cosine of the descriptors of query and photograph.
      results: the run as plain data, without figures.
    """

    names: tuple[str, ...]
    similarities: tuple[float, ...]
    results: Results


def as_found(settings: Settings) -> Settings:
    """The settings with batch norm left as the checkpoint has it."""
    return replace(settings, bn_recalibration="none")


def search(
    settings: Settings,
    query: str | Path,
    box: Box | None = None,
    top: int | None = None,
    report: bool = True,
) -> Found:
    """Ranks the photographs of `settings.dataset` by their likeness to one photograph.

    Args:
      settings: the first of its rankings is used; diffusion in its inductive form, since nobody
        knew the query beforehand.
      query: the photograph.
      box: the part asked for, x1, y1, x2, y2 in pixels of the upright photograph.
      top: results; None is what `settings.save_ranks` says, and 10 where it says nothing.
      report: whether report.html and the other files are written into the workdir.

    Raises:
      UserError: the photograph cannot be read, the box is outside of it, or there is nothing to
        search in.
    """
    start = time.perf_counter()
    asked = query_split(query, box)
    check_names([settings])
    as_asked, settings = settings, replace(settings, dfs="inductive")
    if box is not None and settings.query_crop is None:
        settings = replace(settings, query_crop="bbox")
    context = RunContext(Store(workdir_of(settings)))
    dataset = context.dataset(settings.dataset, settings)
    features = context.members(settings)

    described = [database_of(one, context) for one in features]
    each = list(zip(_of_query(asked, features, context), described, strict=True))
    whitened = whiten(each, features, settings, context)
    rows, database, notes = whitened.queries, whitened.database, whitened.notes
    ranking = settings.ranking[0]
    with context.clock.timed("ranking"), rank_on(settings.rank_on):
        kept = context.store.root / "diffusion"
        ranked = rank_all(rows, database, (ranking,), ranking_settings(settings), kept)
        count = settings.saved_ranks(len(database)) or TOP
        ids = ranked[ranking].ids[:, : top or count]
    similarities = np.einsum("qd,qkd->qk", rows, database[ids])

    found = Evaluation(
        settings,
        _searched(dataset, asked, described[0]),
        [model_row(one.identity, settings) for one in features],
        skipped=list(described[0].skipped),
        notes=[
            *filter(None, (origin_note(one.identity) for one in features)),
            _what_was_made(described, context),
            *notes,
        ],
    )
    if settings.save_descriptors and jax.process_index() == 0:
        saving.save(Path(settings.save_descriptors).expanduser(), rows, database, found.dataset)
    names = tuple(found.dataset.database.names[int(i)] for i in ids[0])
    results = _results(found, context)
    results.found = [
        {"rank": place, "photograph": name, "similarity": float(likeness)}
        for place, (name, likeness) in enumerate(zip(names, similarities[0], strict=True), 1)
    ]
    results.timings["all"] = time.perf_counter() - start
    if report and jax.process_index() == 0:
        shown = ids[:, :TOP], similarities[:, :TOP]
        sheet = picture_sheet(found.dataset, shown[0], similarities=shown[1])
        sheet = replace(sheet, model=settings.label, ranking=ranking)
        write_report(results, [sheet], context.store.root)
        records.record(replace(as_asked, ranking=(ranking,)), context.store.root)
        if settings.save_ranks == ALL:
            write_array(_ids_file(found, ranking, context), ids.astype(np.int32))
    return Found(names, tuple(map(float, similarities[0])), results)


def _ids_file(found: Evaluation, ranking: str, context: RunContext) -> Path:
    """The whole ranking as ids, which count the photographs that could be read."""
    [name] = file_names([found.settings])
    return context.store.root / FOLDER / f"{file_name(name, ranking)}.npy"


def _of_query(asked: Split, features: Sequence[Features], context: RunContext) -> list[Descriptors]:
    """The query under every member; an unreadable one ends the search, whatever the folder may."""
    strict = [replace(one, how=replace(one.how, on_bad_image="fail")) for one in features]
    return [context.descriptors(one, asked) for one in strict]


def _searched(dataset: Dataset, asked: Split, described: Descriptors) -> Dataset:
    """The dataset as searched: its readable photographs, this query, no ground truth."""
    unread = np.setdiff1d(np.arange(len(dataset.database)), described.indices)
    notes = tuple(note for note in dataset.notes if note.startswith((INCOMPLETE, LEFT_OUT)))
    plain = replace(dataset, queries=asked, ground_truth=None, protocols=(), notes=notes)
    return without(plain, unread, ())


def _what_was_made(described: Sequence[Descriptors], context: RunContext) -> str:
    made, whole = max(one.made for one in described), len(described[0].indices)
    if not made:
        return f"All {whole} photographs were reused from {context.store.root}."
    kept = max(whole - made, 0)
    return f"{made} new or changed photographs were described, {kept} were reused."


def _results(found: Evaluation, context: RunContext) -> Results:
    [query] = found.dataset.queries.names
    skipped = [f"Left out: {reason}" for _, reason in found.skipped]
    return NotebookResults(
        title=f"Search for {query} in {found.dataset.name}",
        settings={**found.settings.key(), "digest": found.settings.digest()},
        models=found.models,
        datasets=[dataset_row(found)],
        timings=context.clock.seconds(),
        environment=environment(),
        notes=[*found.dataset.notes, *found.notes, *skipped],
    )
