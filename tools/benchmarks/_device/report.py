"""Rows of figures, written as JSON and Markdown after each of them."""

import json
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jaxret.runtime.artifacts import atomic_write

Row = dict[str, Any]


def row(what: str, **figures: float | str) -> Row:
    """What was measured; a figure's name holds its unit, with underscores for spaces."""
    return {"what": what, "figures": {name.replace("_", " "): v for name, v in figures.items()}}


def checked(what: str, apart: float, limit: float, **figures: float | str) -> Row:
    """A difference that must stay within a limit."""
    found = row(what, difference=apart, limit=limit, **figures)
    return {**found, "holds": bool(apart <= limit)}


def skipped(what: str, sentence: str) -> Row:
    """What was not measured, and why."""
    return {"what": what, "skipped": sentence}


@dataclass
class Report:
    """Everything that has been found so far.

    Attributes:
        facts: Card, machine, versions, date.
        folder: Where device.json and device.md are written.
        budget: Seconds that everything together may take.
        parts: Rows by the title of their part, in order.
    """

    facts: dict[str, Any]
    folder: Path
    budget: float
    parts: dict[str, list[Row]] = field(default_factory=dict)
    started: float = field(default_factory=time.monotonic)

    @property
    def left(self) -> float:
        """Seconds of the budget that are left."""
        return self.budget - (time.monotonic() - self.started)

    @property
    def holds(self) -> bool:
        """Whether nothing broke and every difference stayed within its limit."""
        rows = [row for part in self.parts.values() for row in part]
        return all(row.get("holds", True) and "failed" not in row for row in rows)

    def add(self, part: str, found: Row) -> None:
        """Takes a row in and writes both files, whole or not at all."""
        found["after_seconds"] = round(self.budget - self.left, 1)
        self.parts.setdefault(part, []).append(found)
        report = {"machine": self.facts, "budget": self.budget, "parts": self.parts}
        for name, text in (
            ("device.json", json.dumps(report, indent=1) + "\n"),
            ("device.md", self.markdown()),
        ):
            with atomic_write(self.folder / name) as file:
                file.write(text.encode())

    def markdown(self) -> str:
        """A table a part."""
        facts = self.facts
        versions = ", ".join(f"{name} {number}" for name, number in facts["versions"].items())
        lines = [
            f"{', '.join(sorted(set(facts['devices'])))}; {facts['processor']}, {facts['cores']} "
            f"cores; {facts['date']}; {versions}"
        ]
        for part, rows in self.parts.items():
            lines += ["", f"### {part}", "", "| what | figures |", "|---|---|"]
            lines += [f"| {found['what']} | {_said(found)} |" for found in rows]
        return "\n".join(lines) + "\n"


def _said(found: Row) -> str:
    if "skipped" in found:
        return f"left out: {found['skipped']}"
    if "failed" in found:
        return f"FAILED: {found['failed']}"
    figures = "; ".join(f"{name} {_number(value)}" for name, value in found["figures"].items())
    return figures + ("" if found.get("holds", True) else " — TOO FAR")


def _number(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:.4g}"
