"""docs/datasets.md agrees with the rows."""

import re
from pathlib import Path

import pytest

from jaxret.data.benchmarks import registry
from jaxret.evaluation.measures import measure

PAGE = Path(__file__).resolve().parents[3] / "docs" / "datasets.md"


def lines() -> dict[str, list[str]]:
    """First cell -> the other cells of each line of the tables, code marks taken off."""
    rows = [line.strip("|").split("|") for line in PAGE.read_text().splitlines() if line[:1] == "|"]
    cells = [[cell.strip().replace("`", "") for cell in row] for row in rows]
    return {row[0]: row[1:] for row in cells}


@pytest.mark.parametrize("name", registry.BENCHMARKS)
def test_every_benchmark_has_a_line(name):
    row, line = registry.get(name), lines()[name]
    assert (line[0], line[1]) == (f"{row.database:,}", f"{row.queries:,}")
    assert line[3] and line[4] == f"--dataset={name}"
    for key in row.metrics:
        shown = measure(key).name
        if key in ("n-s", "gap", "map_rect", "acc") or "@" in key:
            word = re.sub(r" \(rectangles\)", " by rectangles", shown)
            number = word.split("@")[-1]
            assert word in line[2] or f" {number}" in line[2], (key, line[2])


def test_every_metric_of_a_row_is_defined():
    defined = {key for cell in lines() for key in cell.split(", ")}
    for row in registry.BENCHMARKS.values():
        for key in row.metrics:
            assert key in defined or re.sub(r"@\d+", "@k", key) in defined
