"""Many evaluations as one run: sweeps, and the report over all of them."""

import datetime
import importlib.metadata
import platform
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax

import jaxret
from jaxret.artifacts import Store
from jaxret.pipeline import Evaluation, default_workdir, evaluate
from jaxret.report import pictures, tables
from jaxret.report.results import Results
from jaxret.report.write import write_report
from jaxret.settings import Settings

_VERSIONS_OF = ("jax", "jaxlib", "flax", "numpy", "scipy", "pillow", "tensorflow-datasets")


def run(settings: Settings | Sequence[Settings], report: bool = True) -> Results:
    """Runs one evaluation or several and writes one report over them into the workdir.

    Descriptors that lie in the workdir are reused.

    Args:
      settings: one evaluation each.
      report: whether results.json, .csv, report.md and report.html are written.

    Returns:
      The figures as plain data; a notebook shows them as tables.

    Raises:
      UserError: what the user can put right, in one sentence.
    """
    every = [settings] if isinstance(settings, Settings) else list(settings)
    start = time.perf_counter()
    workdir = Path(every[0].workdir) if every[0].workdir else default_workdir()
    found = [evaluate(one, Store(workdir)) for one in every]
    results = _results(found)
    results.timings["all"] = time.perf_counter() - start
    if report and jax.process_index() == 0:
        write_report(results, _sheets(found), workdir)
    return results


def run_and_report(every: Sequence[Settings]) -> None:
    """`run` for the terminal: ends with the table, what there is to know, and the report's path."""
    results = run(every)
    if jax.process_index() > 0:
        return  # one process reports for all
    print(tables.terminal_report(results))
    for note in results.notes:
        print(f"- {note}")
    workdir = Path(every[0].workdir) if every[0].workdir else default_workdir()
    print(f"Report: {workdir / 'report.html'}")


def _results(found: Sequence[Evaluation]) -> Results:
    """All evaluations' findings in one, what is common to several stated once."""
    results = Results(settings=found[0].settings.key(), environment=_environment())
    results.settings["digest"] = found[0].settings.digest()
    for one in found:
        results.figures += one.figures
        results.notes += [note for note in one.notes if note not in results.notes]
        results.models += [row for row in one.models if row not in results.models]
        row = _dataset_row(one)
        results.datasets += [row] if row not in results.datasets else []
        for stage, seconds in one.clock.seconds().items():
            results.timings[stage] = results.timings.get(stage, 0.0) + seconds
    return results


def _dataset_row(found: Evaluation) -> dict[str, Any]:
    dataset = found.dataset
    return {
        "name": dataset.name,
        "version": dataset.version,
        "database": len(dataset.database),
        "queries": len(dataset.queries),
        "query_names": list(dataset.queries.names),
        "skipped": [name for name, _ in found.skipped],
        "notes": list(dataset.notes),
    }


def _sheets(found: Sequence[Evaluation]) -> list[Any]:
    """Picture sheets of each evaluation's first ranking, under its middle protocol."""
    sheets = []
    for one in found:
        ranking = one.settings.ranking[0]
        protocol = one.dataset.protocols[len(one.dataset.protocols) // 2]
        [figure] = [f for f in one.figures if (f["ranking"], f["protocol"]) == (ranking, protocol)]
        sheets.append(pictures.picture_sheet(one.dataset, one.ranked[ranking].ids, figure))
    return sheets


def _environment() -> dict[str, Any]:
    return {
        "jaxret": jaxret.__version__,
        "python": platform.python_version(),
        **{name: importlib.metadata.version(name) for name in _VERSIONS_OF},
        "platform": platform.platform(),
        "devices": [f"{device.platform}: {device.device_kind}" for device in jax.devices()],
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    }
