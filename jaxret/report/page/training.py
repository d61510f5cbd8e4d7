"""The page of a training run: what was learnt from what, its curves, and how to judge it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from markupsafe import Markup

from jaxret.report.figures.plots import Plot, training_curve
from jaxret.report.page.html import environment

Row = Mapping[str, float]


@dataclass(frozen=True)
class LearningPage:
    """What the page shows.

    Attributes:
        title: Of the page.
        settings: By name.
        losses: Rows with "step", "loss", "learning_rate".
        retrieval: Rows with "step" and the mAP by protocol, as fractions; may be empty.
        epochs: How often each photograph was seen.
        views: A picture of what the network was shown, as a data URI; empty for none.
        command: What evaluates the learnt encoder.
    """

    title: str
    settings: Mapping[str, Any]
    losses: Sequence[Row]
    retrieval: Sequence[Row]
    epochs: float
    views: str
    command: str
    plots: Mapping[str, Plot] = field(default_factory=dict)

    @property
    def protocols(self) -> list[str]:
        return [name for name in self.retrieval[0] if name != "step"] if self.retrieval else []

    def html(self) -> str:
        """One self-contained page: no script, no outside resource."""
        template = environment().get_template("learning.html.j2")
        return template.render(page=self, drawn=[Markup(plot.svg) for plot in self.plots.values()])


def curves(losses: Sequence[Row], retrieval: Sequence[Row]) -> dict[str, Plot]:
    """The plots of a run by the name of their file."""
    steps = [row["step"] for row in losses]
    drawn = {
        "loss": training_curve("Loss", steps, [("loss", [r["loss"] for r in losses])], "loss"),
        "learning_rate": training_curve(
            "Learning rate",
            steps,
            [("learning rate", [row["learning_rate"] for row in losses])],
            "learning rate",
        ),
    }
    if retrieval:
        protocols = [name for name in retrieval[0] if name != "step"]
        drawn["retrieval"] = training_curve(
            "mAP of the held-out part",
            [row["step"] for row in retrieval],
            [(name, [100 * row[name] for row in retrieval]) for name in protocols],
            "mAP, percent",
        )
    return drawn
