"""What the command line does and prints: a run, a forecast, a search, descriptors of one's own."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import jax

from jaxret.cli import forecast
from jaxret.data.benchmarks import sources
from jaxret.data.dataset import Box
from jaxret.errors import UserError
from jaxret.models.weights.locations import find
from jaxret.report.results import Results
from jaxret.report.tables import plain
from jaxret.report.tables.plain import one_line
from jaxret.runs import feature_files as given_features
from jaxret.runs import plan as planning
from jaxret.runs import run as runs
from jaxret.runs import search as searching
from jaxret.runs.streamed import distractors as behind
from jaxret.runs.streamed import tar_shards
from jaxret.runtime.artifacts import Store
from jaxret.runtime.user_cache import cache_dir
from jaxret.settings import Settings
from jaxret.stages.context import RunContext, workdir_of
from jaxret.stages.encoders import check_names
from jaxret.store_flag import WHOLE

SHOWN = 5  # photographs left out of tar files that are named


@dataclass(frozen=True)
class Work:
    """What is asked for: evaluations, or a suite with what takes the place of its own values."""

    every: tuple[Settings, ...]
    suite: str | None = None
    chosen: dict[str, Sequence[Any]] = field(default_factory=dict)
    said: Sequence[str] = ()  # settings that a preset leaves as they are

    def evaluations(self) -> list[Settings]:
        return runs.evaluations(self.every, self.suite, self.chosen, self.said)[0]


def run(work: Work, download: bool, dry_run: bool) -> None:
    """Runs and ends with the tables, what there is to know, and where the report lies."""
    evaluations = work.evaluations()
    if download and not dry_run:
        fetch_missing(evaluations)
    if dry_run:
        context = RunContext(Store(workdir_of(evaluations[0])))
        plan = planning.make(evaluations, context, demand=False)
        print(forecast.describe(plan, context, evaluations))
        return
    tell = _progress if len(evaluations) > 1 else _quiet
    results = runs.run(work.every, suite=work.suite, chosen=work.chosen, tell=tell, said=work.said)
    if jax.process_index() == 0:  # one process reports for all
        _show(results, workdir_of(evaluations[0]))


def _progress(line: str) -> None:
    print(f"jaxret: {line}", file=sys.stderr, flush=True)


def _quiet(line: str) -> None:
    """The bars and the table of a single evaluation say enough."""


def _show(results: Results, workdir: Path) -> None:
    """Tables, notes, and the path of the report."""
    if text := plain.terminal_report(results):
        print(text)
    for note in _notes(results):
        print(f"- {note}")
    print(f"Report: {workdir / 'report.html'}")


def _notes(results: Results) -> list[str]:
    """The notes of the run, then those of its datasets."""
    own = list(results.notes)
    for dataset in results.datasets:
        own += [f"{dataset['name']}: {n}" for n in dataset["notes"] if n not in results.notes]
    return own


def fetch_missing(evaluations: Sequence[Settings]) -> None:
    """Fetches and converts the weights, and fetches the benchmarks, that are not here.

    Raises:
      UserError: something did not come and the run is a single evaluation; else it is said, and
        the run goes on without it.
    """
    from jaxret.cli import downloads  # late: only this needs torch

    for kind, name, settings in _wanted(evaluations):
        try:
            if kind == "model":
                folder = settings.weights_dir or cache_dir() / "weights"
                downloads.obtain_weights(name, folder, say=_progress)
            else:
                folder = settings.manual_dir or sources.manual_dir(settings.data_dir)
                downloads.obtain_dataset(name, folder, say=_progress)
        except UserError as error:
            if len(evaluations) == 1:
                raise
            _progress(f"not fetched: {name}: {error}")


def _wanted(evaluations: Sequence[Settings]) -> list[tuple[str, str, Settings]]:
    """Models and benchmarks of the evaluations that are not here, each once."""
    wanted: dict[tuple[str, str], Settings] = {}
    check_names(evaluations)
    for settings in evaluations:
        rows = [member for member in settings.members if member not in settings.checkpoints]
        for member in rows if settings.weights == "converted" else ():
            if find(member, settings.weights_dir) is None:
                wanted.setdefault(("model", member), settings)
        for name in (settings.dataset, settings.whiten_on, settings.distractors):
            if name in sources.names() and not _loads(name, settings):
                wanted.setdefault(("dataset", name), settings)
    return [(kind, name, settings) for (kind, name), settings in wanted.items()]


def _loads(name: str, settings: Settings) -> bool:
    """Whether a benchmark is there. Distractors are fetched whole; files that are here stay."""
    if name == settings.distractors:
        return False
    from jaxret import data

    try:
        data.load(name, data_dir=settings.data_dir, manual_dir=settings.manual_dir)
    except UserError:
        return False
    return True


def search(
    every: Sequence[Settings], query: str, box: Box | None, recalibration_asked: bool
) -> None:
    """Prints the first results of a search, and where the pictures are."""
    [settings] = _only(every, "--query")
    if box is not None and len(box) != 4:
        raise UserError(f"--box needs four numbers x1,y1,x2,y2, got {len(box)}.")
    settings = settings if recalibration_asked else searching.as_found(settings)
    found = searching.search(settings, query, box)
    if jax.process_index():
        return
    print(found.results.title)
    shown = zip(found.names[: searching.TOP], found.similarities, strict=False)
    for place, (name, likeness) in enumerate(shown, 1):
        print(f"{place:4d}  {likeness:6.3f}  {one_line(name)}")
    for note in found.results.notes:
        print(f"- {note}")
    print(f"Report: {workdir_of(settings) / 'report.html'}")


def describe_tars(tars: Sequence[str], every: Sequence[Settings]) -> None:
    """Describes the photographs of tar files."""
    [settings] = _only(every, "--tars")
    found = tar_shards.describe_tars(tars, settings)
    if jax.process_index() == 0:
        print(tar_shards.summary(found))
        for _, reason in found.skipped[:SHOWN]:
            print(f"- Left out: {reason}")
        if len(found.skipped) > SHOWN:
            print(f"- and {len(found.skipped) - SHOWN} more, in {found.folder}/*.npy.json.")


def evaluate_given(
    given: Sequence[str | None], every: Sequence[Settings], distractors: str | None = None
) -> None:
    """Ranks and evaluates descriptors that were made elsewhere."""
    _only(list({replace(one, store=WHOLE) for one in every}), "--features")
    features, queries, truth = given
    assert features is not None
    if distractors is None:
        results = given_features.run_given(features, queries, truth, every)
    else:
        [settings] = _only(every, "--distractor_features")
        results = behind.run_beside(features, queries, truth, distractors, settings)
    if jax.process_index() == 0:
        _show(results, workdir_of(every[0]))


def _only(every: Sequence[Settings], flag: str) -> Sequence[Settings]:
    if len(every) > 1:
        raise UserError(
            f"{flag} takes one model, one dataset and one --pca_dim, not several; likewise one "
            "pooling, layer, size and set of scales."
        )
    return every
