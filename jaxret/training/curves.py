"""What a run went through: loss a step, retrieval now and then; as CSV, so that it can go on."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from jaxret.runtime.artifacts import csv_text, write_text

LOSS, RETRIEVAL = "loss.csv", "retrieval.csv"
Row = dict[str, float]


@dataclass
class Curves:
    """Rows by step, in order.

    Attributes:
        losses: "step" (from 1), "loss", "learning_rate", "gradient_norm", "steps_per_second".
        retrieval: "step" (0 is before learning), and the mAP by protocol.
    """

    losses: list[Row] = field(default_factory=list)
    retrieval: list[Row] = field(default_factory=list)

    @classmethod
    def read(cls, workdir: Path, step: int) -> "Curves":
        """The rows of a run up to its checkpoint; what came after will come again."""
        return cls(*(_read(workdir / name, step) for name in (LOSS, RETRIEVAL)))

    def write(self, workdir: Path) -> None:
        """Both files, each whole or not at all."""
        for name, rows in ((LOSS, self.losses), (RETRIEVAL, self.retrieval)):
            if rows:
                write_text(workdir / name, _text(rows))

    def measured_at(self, step: int) -> bool:
        return any(row["step"] == step for row in self.retrieval)


def main_protocol(curves: Curves) -> str:
    """Medium where there are three protocols, else the only one."""
    protocols = [name for name in curves.retrieval[0] if name != "step"]
    return "medium" if "medium" in protocols else protocols[0]


def _read(path: Path, step: int) -> list[Row]:
    if not path.exists():
        return []
    rows = csv.DictReader(io.StringIO(path.read_text("utf-8")))
    numbers = [{name: float(value) for name, value in row.items()} for row in rows]
    return [row for row in numbers if row["step"] <= step]


def _text(rows: Sequence[Row]) -> str:
    return csv_text(list(rows[0]), ({**row, "step": int(row["step"])} for row in rows))
