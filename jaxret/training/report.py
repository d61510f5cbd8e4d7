"""The report of a training run: curves as CSV and PNG, and one page."""

import base64
import shlex
from pathlib import Path

from jaxret.report.page.training import LearningPage, curves
from jaxret.runtime.artifacts import atomic_write, write_text
from jaxret.training.curves import Curves
from jaxret.training.settings import TrainSettings

VIEWS = "views.jpg"


def write_report(
    workdir: Path,
    settings: TrainSettings,
    found: Curves,
    batches_an_epoch: int,
    command: str | None = None,
) -> Path:
    """Writes curves as CSV and PNG and report.html into the workdir; returns the page's path.

    `command` evaluates what was learnt; None for that of an encoder.
    """
    found.write(workdir)
    plots = curves(found.losses, found.retrieval)
    for name, plot in plots.items():
        with atomic_write(workdir / f"{name}.png") as file:
            file.write(plot.png)
    page = LearningPage(
        title=_title(settings),
        settings=settings.key(),
        losses=found.losses,
        retrieval=found.retrieval,
        epochs=settings.steps / batches_an_epoch,
        views=_as_uri(workdir / VIEWS),
        command=command or evaluation_command(workdir),
        plots=plots,
    )
    write_text(workdir / "report.html", page.html())
    return workdir / "report.html"


def _title(settings: TrainSettings) -> str:
    if settings.train == "head":
        return f"A linear layer behind {settings.model} learnt with {settings.head_loss}"
    return f"{settings.model} learnt with {settings.loss}"


def evaluation_command(workdir: Path) -> str:
    return f"python -m jaxret.main --checkpoint={shlex.quote(str(workdir))} --dataset=DATASET"


def _as_uri(picture: Path) -> str:
    if not picture.exists():
        return ""
    return "data:image/jpeg;base64," + base64.b64encode(picture.read_bytes()).decode()
