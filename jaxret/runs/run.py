"""Many evaluations as one run: sweeps, the paper's suites, and the report over all of them."""

import datetime
import importlib.metadata
import platform
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax

import jaxret
from jaxret import presets
from jaxret.defaults import OTHER_SUITES
from jaxret.errors import UserError
from jaxret.pipeline import Evaluation, evaluate
from jaxret.report.notebook import NotebookResults
from jaxret.report.results import Results
from jaxret.report.write import write_report
from jaxret.runs import plan as planning
from jaxret.runs import ranked_lists, records
from jaxret.runs.query_pictures import sheets
from jaxret.runtime.artifacts import Store, WorkdirError
from jaxret.settings import RANDOM, Settings
from jaxret.stages.context import INCOMPLETE, RunContext, workdir_of

_VERSIONS_OF = ("jax", "jaxlib", "flax", "numpy", "scipy", "pillow", "tensorflow-datasets")
Tell = Callable[[str], None]


def run(
    settings: Settings | Sequence[Settings],
    report: bool = True,
    suite: str | None = None,
    chosen: dict[str, Sequence[Any]] | None = None,
    tell: Tell = lambda line: None,
    said: Collection[str] = (),
) -> Results:
    """Runs one evaluation, several, or a suite, and writes one report over them into the workdir.

    What lies in the workdir is reused: descriptors, whitenings, ranked lists.

    Args:
      settings: one evaluation each; of a suite, what its evaluations have in common.
      report: whether results.json, .csv, report.md, .tex and report.html are written.
      suite: "table1", "table2", "table3" or "paper"; "encoders" or "poolings".
      chosen: values of model, dataset, pca_dim or ranking that take the place of the suite's own.
      tell: given each line about what is missing and what is being done.
      said: settings that the preset of a suite's evaluations leaves as they are.

    Returns:
      The figures as plain data; a notebook shows them as tables.

    Raises:
      UserError: what the user can put right, in one sentence.
    """
    every, left_out = evaluations(settings, suite, chosen, said)
    start = time.perf_counter()
    workdir = workdir_of(every[0])
    context = RunContext(Store(workdir))
    names = ranked_lists.file_names(every)
    every = [_saved_apart(one, name, len(every)) for one, name in zip(every, names, strict=True)]
    plan = planning.make(every, context)
    for sentence in plan.missing:
        tell(f"Missing: {sentence}")
    found = execute(plan, context, tell, single=len(every) == 1)
    if jax.process_index() == 0:
        for one in found:
            ranked_lists.save_ranks(one, names[every.index(one.settings)], workdir)
            records.record(one.settings, workdir)
    results = gather(every, found, context)
    results.gaps = [*plan.gaps, *left_out]
    if suite and suite not in OTHER_SUITES:
        results.suite = suite
        _name_as_the_paper(results)
    results.title = _title(suite, every[0])
    preset = _preset_note(results.preset)
    results.notes = [*_warnings(suite, every[0], found), *preset, *results.notes]
    if not results.suite:
        results.notes += dict.fromkeys(f"Not run: {_gap_text(gap)}" for gap in results.gaps)
    results.timings["all"] = time.perf_counter() - start
    if report and jax.process_index() == 0:
        write_report(results, sheets(found, results), workdir)
    return results


def _saved_apart(settings: Settings, name: str, count: int) -> Settings:
    """With a folder of its own for its descriptors, where the run has several evaluations."""
    if settings.save_descriptors is None or count == 1:
        return settings
    return replace(settings, save_descriptors=str(Path(settings.save_descriptors) / name))


def evaluations(
    settings: Settings | Sequence[Settings],
    suite: str | None,
    chosen: dict[str, Sequence[Any]] | None = None,
    said: Collection[str] = (),
) -> tuple[list[Settings], list[dict[str, Any]]]:
    """The evaluations of a run, and the gaps of a suite that was not asked for as a whole."""
    every = [settings] if isinstance(settings, Settings) else list(settings)
    if suite is None:
        return every, []
    from jaxret.runs import own_suites, paper_suites

    def expanded(base: Settings) -> paper_suites.Expansion:
        if suite in OTHER_SUITES:
            return own_suites.expand(suite, base, chosen, said)
        return paper_suites.expand(suite, base, chosen)

    # What a suite has no values of, such as poolings and sizes, is swept over the whole of it.
    own = {name: getattr(every[0], name) for name in ("model", "dataset", "pca_dim")}
    parts = list(map(expanded, dict.fromkeys(replace(one, **own) for one in every)))
    each_once = dict.fromkeys(one for part in parts for one in part.evaluations)
    return list(each_once), list(parts[0].gaps)


def execute(
    plan: planning.Plan, context: RunContext, tell: Tell, single: bool = False
) -> list[Evaluation]:
    """Every stage of the plan; what fails becomes a gap, unless there is nothing beside it."""
    failed: set[int] = set()
    for together in () if single else plan.passes:  # a single evaluation makes them itself
        features = together.features
        name, dataset = features.identity.name, features.dataset.name
        if together.missing(context.store):
            tell(f"features of {name} on {dataset}")
        try:
            context.describe(together)
        except WorkdirError:
            raise
        except UserError as error:
            failed |= {id(one) for needed in together.needed_by.values() for one in needed}
            _fail(plan, {"model": name, "dataset": dataset}, error, tell)
    found = []
    for number, settings in enumerate(plan.evaluations, 1):
        if any(id(f) in failed for f in planning.features_of(settings, context)):
            continue
        tell(f"[{number}/{len(plan.evaluations)}] {_evaluation_text(settings)}")
        try:
            found.append(evaluate(settings, context))
        except WorkdirError:
            raise
        except UserError as error:
            if single:
                raise
            dataset = context.dataset(settings.dataset, settings).name
            place: dict[str, Any] = {"model": settings.label, "dataset": dataset}
            place |= {"dim": settings.pca_dim} if settings.pca_dim else {}
            _fail(plan, place, error, tell)
    if not found:
        raise UserError(str(plan.gaps[-1]["reason"]))
    return found


def _fail(plan: planning.Plan, place: dict[str, Any], error: UserError, tell: Tell) -> None:
    plan.gaps.append({**place, "reason": str(error)})
    tell(f"Not run: {_gap_text(plan.gaps[-1])}")


def _gap_text(gap: dict[str, Any]) -> str:
    place = ", ".join(str(value) for key, value in gap.items() if key != "reason")
    return f"{place}: {gap['reason']}"


def _evaluation_text(settings: Settings) -> str:
    """Model and dataset, and what was said of the descriptor."""
    said = {
        "dimension": settings.pca_dim,
        "pooling": settings.pooling,
        "layer": settings.layers,
        "pixels": settings.image_size,
    }
    parts = [f", {name} {value}" for name, value in said.items() if value is not None]
    return f"{settings.label} on {settings.dataset}{''.join(parts)}"


# Findings -> results


def gather(every: Sequence[Settings], found: Sequence[Evaluation], context: RunContext) -> Results:
    """All evaluations' findings in one, what is common to several stated once."""
    results = NotebookResults(settings=_settings(every), environment=environment())
    results.preset = presets.stated(*(one.settings for one in found))
    for one in found:
        under = presets.mark(one.settings)
        figures = [{**figure, **under} for figure in one.figures]
        results.figures += [figure for figure in figures if figure not in results.figures]
        results.notes += [note for note in one.notes if note not in results.notes]
        results.models += [row for row in one.models if row not in results.models]
        row = dataset_row(one)
        results.datasets += [row] if row not in results.datasets else []
    made = {one.settings.label for one in found if not one.reused}
    reused = list(
        dict.fromkeys(label for one in found if (label := one.settings.label) not in made)
    )
    if reused:
        results.notes.append(
            f"Features of {', '.join(reused)} were reused from {context.store.root}."
        )
    results.timings = context.clock.seconds()
    return results


def _settings(every: Sequence[Settings]) -> dict[str, Any]:
    """The settings by name; those that differ between the evaluations as lists."""
    keys = [one.key() for one in every]
    settings = dict(keys[0])
    for name in settings:
        values = list(dict.fromkeys(key[name] for key in keys))
        if len(values) > 1:
            settings[name] = list(values)
    settings["ranking"] = list(dict.fromkeys(r for one in every for r in one.ranking))
    if len(every) == 1:
        settings["digest"] = every[0].digest()
    return settings


def _preset_note(preset: dict[str, Any]) -> list[str]:
    if not preset:
        return []
    changes = "; ".join(preset["deviations"])
    assumed = ", ".join(preset["assumed"])
    return [
        f"Preset {preset['name']}: {preset['title']}. "
        + (f"Deviations: {changes}." if changes else "No deviation.")
        + (f" Assumed, as no source states them: {assumed}." if assumed else "")
    ]


def dataset_row(found: Evaluation) -> dict[str, Any]:
    dataset = found.dataset
    return {
        "name": dataset.name,
        "version": dataset.version,
        "database": len(dataset.database),
        "queries": len(dataset.queries),
        "query_names": list(dataset.queries.names),
        "skipped": [name for name, _ in found.skipped],
        "left_out": [f"{name}: {reason}" for name, reason in dataset.left_out],
        "notes": list(dataset.notes),
        **({"metrics": list(dataset.metrics)} if dataset.metrics else {}),
    }


def _name_as_the_paper(results: Results) -> None:
    """Stand-ins take the rows of the models that they stand for; the notes say what they are."""
    for row in (*results.figures, *results.gaps):
        if "model" in row:
            row["model"] = row["model"].removesuffix(RANDOM)


def _title(suite: str | None, settings: Settings) -> str:
    if suite is None:
        return ""
    from jaxret.runs import own_suites, paper_suites

    stand_ins = " with stand-ins" if settings.weights == "random" else ""
    return (own_suites.TITLES.get(suite) or paper_suites.get(suite).title) + stand_ins


def _warnings(suite: str | None, settings: Settings, found: Sequence[Evaluation]) -> list[str]:
    """What a reader must know before the first figure."""
    notes = [note for one in found for note in one.dataset.notes if note.startswith(INCOMPLETE)]
    if suite and settings.weights == "random":
        notes.insert(
            0,
            "STAND-INS: every model has random weights; the figures say nothing about the models.",
        )
    return list(dict.fromkeys(notes))


def environment() -> dict[str, Any]:
    return {
        "jaxret": jaxret.__version__,
        "python": platform.python_version(),
        **{name: importlib.metadata.version(name) for name in _VERSIONS_OF},
        "platform": platform.platform(),
        "devices": [f"{device.platform}: {device.device_kind}" for device in jax.devices()],
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    }
