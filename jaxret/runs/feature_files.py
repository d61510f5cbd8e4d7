"""Descriptors that were made elsewhere: ranked and evaluated with no model and no photographs.

python -m jaxret.main --features=database.npy --query_features=queries.npy \
        --ground_truth=gnd.pkl
"""

import itertools
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jaxret.data.dataset import Dataset
from jaxret.descriptors.pooling import l2_normalize
from jaxret.descriptors.whitening import PCAWhitening
from jaxret.pipeline import Evaluation, not_ranked, ranking_settings, rankings_of
from jaxret.ranking.inputs import unit_in_place
from jaxret.ranking.placement import rank_on
from jaxret.ranking.rankings import Ranked, rank_all
from jaxret.report.notebook import NotebookResults
from jaxret.report.results import Results
from jaxret.report.write import write_report
from jaxret.runs import ranked_lists
from jaxret.runs.given import read_given
from jaxret.runs.run import dataset_row, environment
from jaxret.runtime.timing import Clock
from jaxret.settings import TRUE_DIM, Settings
from jaxret.stages import storing
from jaxret.stages.cached_results import Top
from jaxret.stages.context import workdir_of
from jaxret.stages.figures import figure, store_facts
from jaxret.stages.whitening import of_file


def run_given(
    features: str | Path,
    query_features: str | Path | None,
    truth: str | Path | None,
    settings: Settings | Sequence[Settings],
    report: bool = True,
) -> Results:
    """All rankings of somebody's descriptors under the protocols of a ground truth.

    What the ground truth's dataset is evaluated by is counted: mAP and mP@k, or metrics of its own.

    Args:
      features: [N, D] in a file of any form (`convert.descriptor_files`), or in several; see
        `given.read_given`.
      query_features: [Q, D], likewise, of its qimlist; None for that of a folder.
      truth: .pkl, .mat or .json in the form of the benchmarks, or ILIAS's lists of ids; None for
        that of a folder of `--save_descriptors`.
      settings: rankings and their numbers; with a `pca_dim` or a file as `whitening` the
        descriptors are L2-normalised and whitened first. Of several, which differ in their `store`
        alone, one after the other.
      report: whether the report is written into the workdir.

    Raises:
      UserError: a file cannot be read, or does not fit the others.
    """
    start, clock = time.perf_counter(), Clock()
    every = [settings] if isinstance(settings, Settings) else list(settings)
    settings = every[0]
    given = read_given(features, query_features, truth)
    dataset, queries, database = given.dataset, given.queries, given.database
    asked = rankings_of(settings, dataset)
    notes = [_whitening_note(settings), *not_ranked(settings, asked, dataset)]
    saved = settings.saved_ranks(len(database))
    dim = settings.pca_dim if settings.pca_dim == TRUE_DIM else database.shape[1]
    if settings.whitening_file or isinstance(settings.pca_dim, int):
        queries, database = (np.asarray(l2_normalize(rows)) for rows in (queries, database))
        with clock.timed("whitening"):
            learnt = _whitening(database, settings)
            queries, database = (np.array(learnt(rows)) for rows in (queries, database))
        dim = learnt.dim
    with clock.timed("ranking"), rank_on(settings.rank_on):
        unit_in_place(database, "database")  # they may be most of the memory
        unit_in_place(queries, "query", database.shape[1])
        ranked = [_Ranked.of(queries, database, dataset, one, asked, saved) for one in every]

    results = NotebookResults(
        settings={**own_settings(every), "features": given.source, "ground_truth": given.truth},
        models=[{"name": given.name, "source": given.source}],
        datasets=[dataset_row(ranked[0].found)],
        figures=[figure for one in ranked for figure in one.figures(given.name, queries, dim)],
        environment=environment(),
        timings=clock.seconds(),
        notes=list(dict.fromkeys([*notes, *(note for one in ranked for note in one.notes)])),
    )
    for one in ranked if saved and jax.process_index() == 0 else ():
        name = ranked_lists.file_name(given.name + one.settings.store_mark, dataset.name)
        ranked_lists.save_ranks(one.found, name, workdir_of(settings))
    results.timings["all"] = time.perf_counter() - start
    if report and jax.process_index() == 0:
        write_report(results, (), workdir_of(settings))
    return results


@dataclass(frozen=True)
class _Ranked:
    """The rankings of one way to keep the database.

    Attributes:
      known: descriptors of the database [N, D], or what its codes say of them.
      size: bytes a photograph.
      found: the first results.
    """

    settings: Settings
    rankings: dict[str, Ranked]
    known: np.ndarray
    size: int
    notes: tuple[str, ...]
    found: Evaluation

    @classmethod
    def of(
        cls,
        queries: np.ndarray,
        database: np.ndarray,
        dataset: Dataset,
        settings: Settings,
        rankings: Sequence[str],
        saved: int,
    ) -> "_Ranked":
        kept = storing.stored(database, None, settings)
        how = ranking_settings(settings, dataset.depth)
        ranked = rank_all(queries, database, rankings, how, scored=saved, stored=kept)
        of_rankings = (storing.ranking_notes(one, kept) for one in rankings)
        notes = (*storing.notes(database, kept, settings), *itertools.chain(*of_rankings))
        first = {one: Top(r.ids[:, :saved], scores=r.scores) for one, r in ranked.items()}
        found = Evaluation(settings, dataset, top=first, sizes=(len(queries), len(database)))
        known, size = storing.descriptors(database, kept), storing.size(database, kept)
        return cls(settings, ranked, known, size, notes, found)

    def figures(self, name: str, queries: np.ndarray, dim: int | str) -> Iterator[dict[str, Any]]:
        """One a ranking and protocol."""
        dataset = self.found.dataset
        names = {"model": name + self.settings.store_mark, "dataset": dataset.name}
        for ranking, one in self.rankings.items():
            for protocol in dataset.protocols:
                facts = figure(ranking, one, dataset, protocol, dim, (queries, self.known))
                yield {**names, **facts, **store_facts(self.settings, self.size)}


def own_settings(every: Sequence[Settings]) -> dict[str, object]:
    """The settings that count here: those of the ranking."""
    wanted = ("rank", "pca_dim", "whitening", "store", "aqe", "dba", "dfs")
    own = {k: v for k, v in every[0].key().items() if k.startswith(wanted)}
    return own if len(every) == 1 else {**own, "store": [one.store for one in every]}


def _whitening(database: np.ndarray, settings: Settings) -> PCAWhitening:
    """That of a file, or learnt on the database."""
    if settings.whitening_file:
        return of_file(settings)[0]
    assert isinstance(settings.pca_dim, int)
    return PCAWhitening.fit(database, settings.pca_dim, floor=settings.whitening_floor)


def _whitening_note(settings: Settings) -> str:
    if settings.whitening_file:
        return of_file(settings)[1][0]
    if isinstance(settings.pca_dim, int):
        return f"PCA-whitening to {settings.pca_dim} dimensions was learnt on the database."
    return "The descriptors are ranked as they are given, L2-normalised (--pca_dim whitens them)."
