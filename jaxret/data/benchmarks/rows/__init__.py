"""The rows of all benchmarks, one file a family."""

from jaxret.data.benchmarks.row import Benchmark
from jaxret.data.benchmarks.rows import ilias, landmarks, objects, small, study

ROWS: tuple[Benchmark, ...] = (
    *study.ROWS,
    *small.ROWS,
    *objects.ROWS,
    *landmarks.ROWS,
    *ilias.ROWS,
)
