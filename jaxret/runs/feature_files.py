"""Descriptors that were made elsewhere: ranked and evaluated with no model and no photographs.

python -m jaxret.main --features=database.npy --query_features=queries.npy \
        --ground_truth=gnd.pkl
"""

import time
from pathlib import Path

import jax
import numpy as np

from jaxret.data.dataset import Dataset, FileSplit
from jaxret.data.ground_truth import files
from jaxret.data.ground_truth.files import GroundTruth
from jaxret.descriptors.pooling import l2_normalize
from jaxret.descriptors.whitening import PCAWhitening
from jaxret.errors import UserError
from jaxret.pipeline import figure, ranking_settings
from jaxret.ranking.placement import rank_on
from jaxret.ranking.rankings import rank_all
from jaxret.report.notebook import NotebookResults
from jaxret.report.results import Results
from jaxret.report.write import write_report
from jaxret.runs.run import environment
from jaxret.runtime.timing import Clock
from jaxret.settings import TRUE_DIM, Settings
from jaxret.stages.context import workdir_of


def run_given(
    features: str | Path,
    query_features: str | Path,
    truth: str | Path,
    settings: Settings,
    report: bool = True,
) -> Results:
    """All rankings of somebody's descriptors under the protocols of a ground truth.

    Args:
      features: .npy of shape [N, D], rows in the order of the ground truth's imlist.
      query_features: .npy of shape [Q, D], rows in the order of its qimlist.
      truth: .pkl, .mat or .json in the form of the benchmarks.
      settings: rankings and their numbers; with a `pca_dim` the descriptors are whitened first.
      report: whether the report is written into the workdir.

    Raises:
      UserError: a file cannot be read, or does not fit the others.
    """
    start, clock = time.perf_counter(), Clock()
    known = files.read(truth)
    database = _read(features, len(known.imlist), "imlist", truth)
    queries = _read(query_features, len(known.qimlist), "qimlist", truth)
    if queries.shape[1] != database.shape[1]:
        raise UserError(
            f"{query_features} has {queries.shape[1]} numbers a row and {features} has "
            f"{database.shape[1]}: both must come from one encoder."
        )
    dim = settings.pca_dim if settings.pca_dim == TRUE_DIM else database.shape[1]
    if isinstance(settings.pca_dim, int):
        queries, database = (np.asarray(l2_normalize(rows)) for rows in (queries, database))
        with clock.timed("whitening"):
            learnt = PCAWhitening.fit(database, settings.pca_dim)
            queries, database = np.asarray(learnt(queries)), np.asarray(learnt(database))
        dim = settings.pca_dim
    with clock.timed("ranking"), rank_on(settings.rank_on):
        ranked = rank_all(queries, database, settings.ranking, ranking_settings(settings))

    dataset = _dataset(known, Path(truth))
    names = {"model": Path(features).stem, "dataset": dataset.name}
    results = NotebookResults(
        settings={**_own(settings), "features": str(features), "ground_truth": str(truth)},
        models=[{"name": names["model"], "source": str(features)}],
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
    results.timings["all"] = time.perf_counter() - start
    if report and jax.process_index() == 0:
        write_report(results, (), workdir_of(settings))
    return results


def _read(path: str | Path, count: int, which: str, truth: str | Path) -> np.ndarray:
    """The rows of one file, as float32, if they fit the ground truth."""
    try:
        rows = np.load(Path(path).expanduser(), allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        reason = str(error).split("\n")[0][:200]
        raise UserError(f"{path} cannot be read as a NumPy array (.npy): {reason}.") from error
    if not isinstance(rows, np.ndarray) or rows.ndim != 2 or rows.dtype.kind not in "fiu":
        found = f"{rows.dtype} {list(rows.shape)}" if isinstance(rows, np.ndarray) else "an archive"
        raise UserError(f"{path} must hold numbers [photographs, dimension], but holds {found}.")
    if len(rows) != count:
        raise UserError(
            f"{path} has {len(rows)} rows, but the {which} of {truth} names {count} photographs: "
            "one row each, in that order."
        )
    return rows.astype(np.float32)


def _dataset(known: GroundTruth, truth: Path) -> Dataset:
    """The ground truth as a dataset of which only the names are there."""
    return Dataset(
        name=truth.stem.removeprefix("gnd_"),
        version="features",
        database=FileSplit(truth.parent, tuple(known.imlist)),
        queries=FileSplit(truth.parent, tuple(known.qimlist)),
        ground_truth=known.gnd,
        protocols=known.protocols,
    )


def _own(settings: Settings) -> dict[str, object]:
    """The settings that count here: those of the ranking."""
    wanted = ("rank", "pca_dim", "aqe", "dba", "dfs")
    return {k: v for k, v in settings.key().items() if k.startswith(wanted)}


def _whitening_note(settings: Settings) -> str:
    if isinstance(settings.pca_dim, int):
        return f"PCA-whitening to {settings.pca_dim} dimensions was learnt on the database."
    return "The descriptors are ranked as they are given, L2-normalised (--pca_dim whitens them)."
