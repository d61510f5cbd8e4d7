"""Descriptors that were made elsewhere: ranked and evaluated with no model and no photographs.

python -m jaxret.main --features=database.npy --query_features=queries.npy \
        --ground_truth=gnd.pkl
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import jax
import numpy as np

from jaxret.convert.descriptor_files import Rows, read_rows
from jaxret.data.dataset import Dataset, FileSplit, printable
from jaxret.data.ground_truth import files
from jaxret.data.ground_truth.files import GroundTruth
from jaxret.data.loose_names import LooseNames
from jaxret.data.photographs import GROUND_TRUTH_FILE
from jaxret.descriptors import saving
from jaxret.descriptors.pooling import l2_normalize
from jaxret.descriptors.whitening import PCAWhitening
from jaxret.errors import UserError
from jaxret.pipeline import Evaluation, figure, ranking_settings
from jaxret.ranking.placement import rank_on
from jaxret.ranking.rankings import rank_all
from jaxret.report.notebook import NotebookResults
from jaxret.report.results import Results
from jaxret.report.write import write_report
from jaxret.runs import ranked_lists
from jaxret.runs.run import environment
from jaxret.runtime.timing import Clock
from jaxret.settings import TRUE_DIM, Settings
from jaxret.stages.cached_results import Top
from jaxret.stages.context import workdir_of
from jaxret.stages.whitening import of_file


def run_given(
    features: str | Path,
    query_features: str | Path | None,
    truth: str | Path | None,
    settings: Settings,
    report: bool = True,
) -> Results:
    """All rankings of somebody's descriptors under the protocols of a ground truth.

    Args:
      features: [N, D] in a file of any form (`convert.descriptor_files`), rows in the order of the
        ground truth's imlist unless the file names them; or a folder of `--save_descriptors`.
      query_features: [Q, D], likewise, of its qimlist; None for that of the folder.
      truth: .pkl, .mat or .json in the form of the benchmarks; None for that of the folder.
      settings: rankings and their numbers; with a `pca_dim` or a file as `whitening` the
        descriptors are L2-normalised and whitened first.
      report: whether the report is written into the workdir.

    Raises:
      UserError: a file cannot be read, or does not fit the others.
    """
    start, clock = time.perf_counter(), Clock()
    given = _Given.of(features, query_features, truth)
    known = files.read(given.truth)
    rows = _read(given.features, known.imlist, "imlist", given.truth)
    query_rows = _read(given.query_features, known.qimlist, "qimlist", given.truth)
    queries, database = query_rows.vectors, rows.vectors
    if queries.shape[1] != database.shape[1]:
        raise UserError(
            f"{query_rows.source} has {queries.shape[1]} numbers a row and {rows.source} has "
            f"{database.shape[1]}: both must come from one encoder."
        )
    dim = settings.pca_dim if settings.pca_dim == TRUE_DIM else database.shape[1]
    if settings.whitening_file or isinstance(settings.pca_dim, int):
        queries, database = (np.asarray(l2_normalize(rows)) for rows in (queries, database))
        with clock.timed("whitening"):
            learnt = _whitening(database, settings)
            queries, database = np.asarray(learnt(queries)), np.asarray(learnt(database))
        dim = learnt.dim
    with clock.timed("ranking"), rank_on(settings.rank_on):
        saved = settings.saved_ranks(len(database))
        how = ranking_settings(settings)
        ranked = rank_all(queries, database, settings.ranking, how, scored=saved)

    dataset = _dataset(known, given.truth)
    names = {"model": given.name, "dataset": dataset.name}
    results = NotebookResults(
        settings={**_own(settings), "features": rows.source, "ground_truth": str(given.truth)},
        models=[{"name": names["model"], "source": rows.source}],
        datasets=[
            {
                "name": dataset.name,
                "database": len(database),
                "queries": len(queries),
                "query_names": list(known.qimlist),
                "skipped": [],
                "notes": [],
            }
        ],
        figures=[
            {**names, **figure(ranking, one, dataset, protocol, dim)}
            for ranking, one in ranked.items()
            for protocol in dataset.protocols
        ],
        environment=environment(),
        timings=clock.seconds(),
        notes=[_whitening_note(settings)],
    )
    if saved and jax.process_index() == 0:
        first = {one: Top(r.ids[:, :saved], scores=r.scores) for one, r in ranked.items()}
        sizes = len(queries), len(database)
        found = Evaluation(settings, dataset, top=first, sizes=sizes)
        ranked_lists.save_ranks(
            found, ranked_lists.file_name(*names.values()), workdir_of(settings)
        )
    results.timings["all"] = time.perf_counter() - start
    if report and jax.process_index() == 0:
        write_report(results, (), workdir_of(settings))
    return results


@dataclass(frozen=True)
class _Given:
    """The three files, each as it was named or as a folder of `--save_descriptors` holds it."""

    features: str
    query_features: str
    truth: Path
    name: str  # what tables call whoever made them

    @classmethod
    def of(
        cls, features: str | Path, queries: str | Path | None, truth: str | Path | None
    ) -> "_Given":
        folder = Path(features).expanduser()
        name = Path(str(features).partition("#")[0]).stem
        if folder.is_dir():
            name = folder.absolute().name
            features = folder / saving.DATABASE
            queries = folder / saving.QUERIES if queries is None else queries
            truth = folder / GROUND_TRUTH_FILE if truth is None else truth
        if queries is None or truth is None:
            raise UserError(
                "--features=FILE, --query_features and --ground_truth go together; a folder of "
                "--save_descriptors is enough alone."
            )
        if not Path(truth).expanduser().exists() and folder.is_dir():
            raise UserError(f"{folder} holds no {GROUND_TRUTH_FILE}: say --ground_truth.")
        return cls(str(features), str(queries), Path(truth).expanduser(), name)


def _read(place: str, names: Sequence[str], which: str, truth: Path) -> Rows:
    """The rows of one file, if they fit the ground truth, in the order of its names."""
    said = f"names in {which} of {truth}"
    rows = read_rows(place, len(names), said)
    rows = replace(rows, names=rows.names or _names_beside(Path(place)))
    if rows.names is not None:
        return _in_order(rows, names, said)
    if len(rows.vectors) != len(names):
        raise UserError(
            f"{place} has {len(rows.vectors)} rows, but the {which} of {truth} names {len(names)} "
            "photographs: one row each, in that order."
        )
    return rows


def _names_beside(path: Path) -> tuple[str, ...] | None:
    """The names.txt of a folder of descriptors."""
    beside = {saving.DATABASE: saving.NAMES, saving.QUERIES: saving.QUERY_NAMES}.get(path.name)
    if beside is None or not path.with_name(beside).is_file():
        return None
    return tuple(path.with_name(beside).read_text("utf-8").splitlines())


def _in_order(rows: Rows, names: Sequence[str], said: str) -> Rows:
    """The rows whose names are asked for; as they are where they stand in that order."""
    assert rows.names is not None
    if len(rows.names) != len(rows.vectors):
        raise UserError(
            f"{rows.source} has {len(rows.vectors)} rows, {len(rows.names)} names lie beside it."
        )
    if list(rows.names) == [printable(name) for name in names]:
        return rows
    place = {name: number for number, name in enumerate(rows.names)}
    if len(place) < len(rows.names):
        raise UserError(f"{rows.source} has rows of one name, and not the {said} in their order.")
    loose = LooseNames(lambda: place)
    found = [name if name in place else loose.find(name) for name in map(printable, names)]
    missing = [name for name, one in zip(names, found, strict=True) if one is None]
    if missing:
        raise UserError(
            f"{rows.source} has no row of {len(missing)} of the {len(names)} {said}, such as "
            f"{missing[0]!r}."
        )
    order = [place[name] for name in found if name is not None]
    return replace(rows, vectors=rows.vectors[order], names=tuple(names))


def _dataset(known: GroundTruth, truth: Path) -> Dataset:
    """The ground truth as a dataset of which only the names are there."""
    return Dataset(
        name=_name_of(truth),
        version="features",
        database=FileSplit(truth.parent, tuple(known.imlist)),
        queries=FileSplit(truth.parent, tuple(known.qimlist)),
        ground_truth=known.gnd,
        protocols=known.protocols,
    )


def _name_of(truth: Path) -> str:
    """By the file, or by its folder where every folder's is called so."""
    if truth.name == GROUND_TRUTH_FILE:
        return truth.absolute().parent.name or truth.stem
    return truth.stem.removeprefix("gnd_")


def _own(settings: Settings) -> dict[str, object]:
    """The settings that count here: those of the ranking."""
    wanted = ("rank", "pca_dim", "whitening", "aqe", "dba", "dfs")
    return {k: v for k, v in settings.key().items() if k.startswith(wanted)}


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
