"""Google Landmarks v2 as a `Dataset`, its archives prepared one by one."""

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from jaxret.data.benchmarks import tfds_records
from jaxret.data.benchmarks.gldv2 import gldv2_dataset_builder as gldv2
from jaxret.data.benchmarks.gldv2 import solution
from jaxret.data.benchmarks.missing_files import MEANING, how_to_get
from jaxret.data.benchmarks.parts import Subset, split_of
from jaxret.data.benchmarks.prepare import prepared
from jaxret.data.benchmarks.row import Benchmark
from jaxret.data.benchmarks.rows.landmarks import INDEX_ARCHIVES, TEST_ARCHIVES
from jaxret.data.dataset import Dataset, Split
from jaxret.data.dataset import Subset as SomeOf
from jaxret.data.splits import JoinedSplit
from jaxret.errors import UserError


def load(
    row: Benchmark, data_dir: Path, manual_dir: Path, allow_missing: bool, subset: str | None
) -> Dataset:
    """The benchmark, or the part of its database that `subset` says (`parts.Subset`).

    The file of ground truth stays in `manual_dir`; archives may go once they are prepared.

    Raises:
      UserError: archives are missing, and `allow_missing` is not set or none is there.
    """
    wanted = Subset.of(subset, INDEX_ARCHIVES)
    usages = {"all": ("Public", "Private")}.get(row.config, (row.config.capitalize(),))
    asked = [query for query in solution.read(manual_dir) if query.usage in usages]
    archives = wanted.archives if wanted.archives is not None else tuple(range(INDEX_ARCHIVES))
    tests, test_gaps = _parts("test", range(TEST_ARCHIVES), data_dir, manual_dir)
    index, index_gaps = _parts("index", archives, data_dir, manual_dir)
    gaps = [*test_gaps, *index_gaps]
    if gaps and (not allow_missing or not tests or not index):
        raise UserError(
            f"{len(gaps)} of the {TEST_ARCHIVES + len(archives)} archives of {row.name} are "
            f"missing from {manual_dir}, {gaps[0]} for one. {how_to_get(row, manual_dir)} --subset=0-9 "
            "searches the photographs of ten archives alone."
        )
    database: Split = JoinedSplit(tuple(map(split_of, _prepared(index, manual_dir))))
    shown: Split = JoinedSplit(tuple(map(split_of, _prepared(tests, manual_dir))))
    if wanted.others is not None:
        database = _positives_and(wanted.others, database, asked)
    place_of = {name: place for place, name in enumerate(database.names)}
    test_place = {name: place for place, name in enumerate(shown.names)}
    here = [query for query in asked if query.name in test_place]
    if len(here) < len(asked) and not allow_missing:
        raise UserError(
            f"{len(asked) - len(here)} of the {len(asked)} queries of {row.name} are in none of "
            f"its test archives; is {solution.FILE} the one of version 2.1?"
        )
    gnd: list[dict[str, Any]] = [
        {"ok": [place_of[name] for name in query.images if name in place_of], "junk": []}
        for query in here
    ]
    whole = subset is None and not gaps
    if whole and (len(database), len(here)) != (row.database, row.queries):
        raise UserError(
            f"{row.name} has {row.database} index photographs and {row.queries} queries, but its "
            f"archives hold {len(database)} and {len(here)}; fetch them again."
        )
    return Dataset(
        name=row.name if subset is None else f"{row.name}[{subset}]",
        version="2.1",
        database=database,
        queries=SomeOf(shown, tuple(test_place[query.name] for query in here)),
        ground_truth=gnd,
        protocols=("classic",),
        notes=(*(() if whole else (_told(row, asked, gnd, len(database), gaps),)), *row.notes),
        metrics=row.metrics,
        depth=row.depth,
    )


def _parts(
    split: str, numbers: Sequence[int], data_dir: Path, manual_dir: Path
) -> tuple[list[Any], list[str]]:
    """Builders of the archives that are prepared or there, and the names of the others."""
    builders, gaps = [], []
    for number in numbers:
        builder = gldv2.Builder(
            config=f"{split}_{number:03d}",
            data_dir=data_dir,
            file_format=tfds_records.FILE_FORMAT,
        )
        if tfds_records.is_prepared(builder) or builder.archive(manual_dir):
            builders.append(builder)
        else:
            gaps.append(builder.archive_name())
    return builders, gaps


def _prepared(builders: Sequence[Any], manual_dir: Path) -> Iterator[Any]:
    return (prepared(builder, manual_dir) for builder in builders)


def _positives_and(others: int, database: Split, asked: Sequence[solution.Query]) -> Split:
    """All photographs that answer a query, and as many others, those of the smallest digests."""
    positives = {name for query in asked for name in query.images}
    kept = [place for place, name in enumerate(database.names) if name in positives]
    rest = (place for place, name in enumerate(database.names) if name not in positives)
    digests = {place: hashlib.sha256(database.names[place].encode()).digest() for place in rest}
    chosen = sorted(digests, key=lambda place: digests[place])[:others]
    return SomeOf(database, tuple(sorted([*kept, *chosen])))


def _told(
    row: Benchmark,
    asked: Sequence[solution.Query],
    gnd: Sequence[dict],
    searched: int,
    gaps: Sequence[str],
) -> str:
    positives = sum(len(query.images) for query in asked)
    found = sum(len(entry["ok"]) for entry in gnd)
    return (
        f"{'INCOMPLETE: ' if gaps else ''}{searched} of the {row.database} index photographs, "
        f"{len(gnd)} of the {row.queries} queries and {found} of {positives} answers of "
        f"{row.name}; {MEANING}."
    )
