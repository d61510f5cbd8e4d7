"""The benchmarks by name."""

import difflib

from jaxret.data.benchmarks.row import Benchmark, Source
from jaxret.data.benchmarks.rows import ROWS
from jaxret.errors import UserError

__all__ = [
    "BENCHMARKS",
    "ORIGINAL_ARCHIVES",
    "Benchmark",
    "Source",
    "get",
    "of_builder",
    "release_of",
]

# Archives under these names were published until 2022 and are no longer to be had.
ORIGINAL_ARCHIVES = {
    "oxbuild_images.tgz": "the original release",
    "paris_1.tgz": "the original release",
    "paris_2.tgz": "the original release",
}

BENCHMARKS: dict[str, Benchmark] = {row.name: row for row in ROWS}


def get(name: str) -> Benchmark:
    """The row of a benchmark; an unknown name is an error that lists the known, nearest first."""
    if name not in BENCHMARKS:
        nearest = difflib.get_close_matches(name, BENCHMARKS, n=1)
        hint = f" Nearest: {nearest[0]}." if nearest else ""
        raise UserError(f"Unknown benchmark {name!r}.{hint} Known: {', '.join(BENCHMARKS)}.")
    return BENCHMARKS[name]


def of_builder(builder: str) -> list[Benchmark]:
    """The benchmarks over one builder's photographs."""
    return [row for row in BENCHMARKS.values() if row.builder == builder]


def release_of(archive: str) -> str:
    """What an archive's name says about the photographs in it; empty if nothing."""
    known = {source.file: source.release for row in BENCHMARKS.values() for source in row.archives}
    return (known | ORIGINAL_ARCHIVES).get(archive, "")
