"""Descriptors of one's own, searched with distractors behind them that no memory holds.

python -m jaxret.main --features=core --distractor_features=distractors

The distractors stand behind the database: their ids begin at N, and they answer nothing. Rankings
end after DEPTH results of a query.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np

from jaxret.data.dataset import Box, Dataset
from jaxret.descriptors.feature_shards import FeatureShards, names_of
from jaxret.errors import UserError
from jaxret.evaluation.measures import evaluate_by
from jaxret.functional.settings import RankingSettings
from jaxret.pipeline import Evaluation, ranking_settings
from jaxret.ranking.placement import rank_on
from jaxret.ranking.rankings import Ranked
from jaxret.ranking.streamed.search import RANKINGS, rank_streamed, streams
from jaxret.ranking.streamed.shards import Shards
from jaxret.report.notebook import NotebookResults
from jaxret.report.results import Results
from jaxret.report.write import write_report
from jaxret.runs import ranked_lists
from jaxret.runs.feature_files import own_settings
from jaxret.runs.given import read_given
from jaxret.runs.run import dataset_row, environment
from jaxret.runtime import parallel
from jaxret.runtime.timing import Clock
from jaxret.settings import ALL, Settings
from jaxret.stages.cached_results import Top
from jaxret.stages.context import workdir_of
from jaxret.stages.figures import figure

DEPTH = 1000  # ILIAS's
METRICS = (f"map@{DEPTH}", f"oracle@{DEPTH}")


def run_beside(
    features: str | Path,
    query_features: str | Path | None,
    truth: str | Path | None,
    distractors: str,
    settings: Settings,
    report: bool = True,
) -> Results:
    """`feature_files.run_given` over the database and the distractors.

    Args:
      features, query_features, truth: as there.
      distractors: a folder of --tars, or .npy in a folder or by a pattern.
      settings: rankings and their numbers.
      report: whether the report is written into the workdir.

    Raises:
      UserError: see `Distractors.of` and `Distractors.rank`, `given.read_given`.
    """
    start, clock = time.perf_counter(), Clock()
    behind = Distractors.of(distractors, settings)
    given = read_given(features, query_features, truth)
    dataset = replace(
        given.dataset,
        database=JoinedNames(given.dataset.database.names, behind),
        metrics=tuple(dict.fromkeys((*given.dataset.metrics, *METRICS))),
        depth=DEPTH,
        notes=(*given.dataset.notes, behind.note(settings.ranking)),
    )
    with clock.timed("ranking"), rank_on(settings.rank_on):
        how = ranking_settings(settings, DEPTH)
        ranked = behind.rank(given.queries, given.database, settings.ranking, how)
    found = _evaluation(settings, dataset, ranked)
    names = {"model": given.name, "dataset": dataset.name}
    dim = given.database.shape[1]
    made = {"features": given.source, "ground_truth": given.truth, "distractors": distractors}
    results = NotebookResults(
        settings={**own_settings([settings]), **made},
        models=[{"name": given.name, "source": given.source}],
        datasets=[dataset_row(found)],
        figures=[
            {
                **names,
                **figure(ranking, one, replace(dataset, metrics=()), protocol, dim),
                **_of_lists(ranking, one, dataset, protocol),
            }
            for ranking, one in ranked.items()
            for protocol in dataset.protocols
        ],
        environment=environment(),
        timings=clock.seconds(),
        notes=["The descriptors are ranked as they are given, L2-normalised."],
    )
    if settings.save_ranks and parallel.is_first():
        file = ranked_lists.file_name(*names.values())
        ranked_lists.save_ranks(found, file, workdir_of(settings))
    results.timings["all"] = time.perf_counter() - start
    if report and parallel.is_first():
        write_report(results, (), workdir_of(settings))
    return results


def _evaluation(settings: Settings, dataset: Dataset, ranked: Mapping[str, Ranked]) -> Evaluation:
    """The lists in the form that `ranked_lists` saves."""
    saved = settings.saved_ranks(len(dataset.database))
    first = {name: Top(one.ids[:, :saved], scores=one.scores) for name, one in ranked.items()}
    sizes = len(dataset.queries), len(dataset.database)
    return Evaluation(settings, dataset, top=first, sizes=sizes)


def _of_lists(ranking: str, one: Ranked, dataset: Dataset, protocol: str) -> dict[str, float]:
    """The metrics of rankings that end, by the similarities that they came with."""
    assert one.scores is not None and dataset.ground_truth is not None
    ties = one.scores.__getitem__ if ranking == "G" else None
    sure, truth = one.scores[:, 0], dataset.ground_truth
    return evaluate_by(dataset.metrics, one.ids, truth, protocol, sure, ties)


@dataclass(frozen=True, eq=False)
class Distractors:
    """Shards of descriptors that are searched behind a database."""

    shards: Shards

    @classmethod
    def of(cls, place: str, settings: Settings) -> "Distractors":
        """Those of a folder of --tars, once it is whole, or of any .npy.

        Raises:
          UserError: see `FeatureShards.files` and `Shards.of`; or settings that need all rows.
        """
        if settings.whitening_file or isinstance(settings.pca_dim, int):
            raise UserError(
                "--distractor_features are searched as they are: whiten when they are made, with "
                "--tars, and leave out --pca_dim and --whitening here."
            )
        if settings.save_ranks == ALL:
            raise UserError(
                f"Beside --distractor_features rankings end after {DEPTH} results: say "
                f"--save_ranks=NUMBER, not {ALL}."
            )
        folder = Path(place).expanduser()
        if folder.is_dir() and any(folder.glob("*.shards")):
            return cls(Shards.of(FeatureShards(folder).files()))
        return cls(Shards.of(place))

    def __len__(self) -> int:
        return len(self.shards)

    def rank(
        self, queries: np.ndarray, database: np.ndarray, names: Sequence[str], how: RankingSettings
    ) -> dict[str, Ranked]:
        """The rankings of `names` that stream, over the database and all distractors.

        Raises:
          UserError: none of them does, or the dimensions differ.
        """
        rankings = [name for name in names if streams(name)]
        if not rankings:
            raise UserError(
                f"{','.join(names)} needs every database row, too much with --distractor_features: "
                f"ask for --ranking={','.join(RANKINGS)}."
            )
        together = Shards.of([database, *(part.path or part.array for part in self.shards.parts)])
        return rank_streamed(queries, together, rankings, how, DEPTH)

    def note(self, asked: Sequence[str]) -> str:
        left = [name for name in asked if not streams(name)]
        return (
            f"{len(self)} distractors in {len(self.shards.parts)} shards are searched behind the "
            f"database; rankings end after {DEPTH} results, what is beyond counts as not found"
            + (f"; not run: {', '.join(left)}." if left else ".")
        )


@dataclass(frozen=True, eq=False)
class _Names(Sequence[str]):
    """Names of a database, then of distractors, each shard's read when one is asked for."""

    own: Sequence[str]
    behind: Shards

    def __len__(self) -> int:
        return len(self.own) + len(self.behind)

    def __getitem__(self, row):
        if isinstance(row, slice):
            return [self[one] for one in range(*row.indices(len(self)))]
        if row < len(self.own):
            return self.own[row]
        shard, place = self.behind.place(row - len(self.own))
        part = self.behind.parts[shard]
        names = _names_of_file(part.path) if part.path else None
        return names[place] if names else f"{Path(part.name).stem}:{place}"


@lru_cache(maxsize=64)
def _names_of_file(path: Path) -> Sequence[str] | None:
    """Of --tars, else None."""
    try:
        return names_of(path)
    except FileNotFoundError:
        return None


@dataclass(frozen=True, eq=False)
class JoinedNames:
    """A `Split` of which only the names are there."""

    own: Sequence[str]
    distractors: Distractors

    @property
    def names(self) -> Sequence[str]:
        return _Names(self.own, self.distractors.shards)

    @property
    def boxes(self) -> Sequence[Box | None]:
        return ()

    def __len__(self) -> int:
        return len(self.names)

    def read(self, index: int) -> bytes:
        raise UserError(f"The photograph {self.names[index]!r} is not here, only its descriptor.")

    def fingerprint(self) -> str:
        return f"{len(self)} names"
