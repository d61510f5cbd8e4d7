"""Google Landmarks v2 as a `Dataset`, its archives prepared one by one."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
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
from jaxret.data.photographs import find_photographs
from jaxret.data.splits import JoinedSplit, NamedFileSplit
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
    tests = _Part.of("test", range(TEST_ARCHIVES), data_dir, manual_dir)
    index = _Part.of("index", archives, data_dir, manual_dir, unpacked=wanted.archives is None)
    gaps = [*tests.gaps, *index.gaps]
    if gaps and (not allow_missing or not tests.there or not index.there):
        raise UserError(
            f"{len(gaps)} of the {TEST_ARCHIVES + len(archives)} archives of {row.name} are "
            f"missing from {manual_dir}, {gaps[0]} for one. {how_to_get(row, manual_dir)} "
            "--subset=0-9 searches the photographs of ten archives alone."
        )
    database, shown = index.split(manual_dir), tests.split(manual_dir)
    if wanted.others is not None:
        database = _positives_and(wanted.others, database, asked)
    place_of = {name: place for place, name in enumerate(database.names)}
    test_place = {name: place for place, name in enumerate(shown.names)}
    here = [query for query in asked if query.name in test_place]
    gnd: list[dict[str, Any]] = [
        {"ok": [place_of[name] for name in query.images if name in place_of], "junk": []}
        for query in here
    ]
    whole = subset is not None or len(database) == row.database
    complete = whole and len(here) == row.queries and not gaps
    if not complete and not allow_missing:
        raise UserError(
            f"{row.name} has {row.database} index photographs and {row.queries} queries, but "
            f"{len(database)} and {len(here)} are there. {how_to_get(row, manual_dir)}"
        )
    told = () if complete and not subset else (_told(row, asked, gnd, len(database), complete),)
    return Dataset(
        name=row.name if subset is None else f"{row.name}[{subset}]",
        version="2.1",
        database=database,
        queries=SomeOf(shown, tuple(test_place[query.name] for query in here)),
        ground_truth=gnd,
        protocols=("classic",),
        notes=(*told, *row.notes),
        metrics=row.metrics,
        depth=row.depth,
    )


@dataclass(frozen=True)
class _Part:
    """What there is of "index" or "test".

    Attributes:
      builders: of the archives that are prepared or there.
      gaps: the names of the others; none where the photographs lie there unpacked.
      unpacked: files of a folder of that name, as root and path below it.
    """

    builders: Sequence[Any]
    gaps: Sequence[str]
    unpacked: Sequence[tuple[Path, str]] = ()

    @classmethod
    def of(
        cls,
        split: str,
        numbers: Sequence[int],
        data_dir: Path,
        manual_dir: Path,
        unpacked: bool = True,
    ) -> "_Part":
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
        loose = _unpacked(split, manual_dir) if gaps and unpacked else []
        return cls(builders, () if loose else gaps, loose)

    @property
    def there(self) -> bool:
        return bool(self.builders or self.unpacked)

    def split(self, manual_dir: Path) -> Split:
        """The archives' photographs, prepared where they are not, then the unpacked ones."""
        parts: list[Split] = [split_of(prepared(one, manual_dir)) for one in self.builders]
        known = {name for part in parts for name in part.names}
        loose = {Path(file).stem: (root, file) for root, file in self.unpacked}
        for root in dict.fromkeys(root for root, _ in loose.values()):
            files = [
                (file, name)
                for name, (at, file) in loose.items()
                if at == root and name not in known
            ]
            paths, names = tuple(file for file, _ in files), tuple(name for _, name in files)
            parts.append(NamedFileSplit(root, paths, known_as=names))
        return JoinedSplit(tuple(parts))


def _unpacked(split: str, manual_dir: Path) -> list[tuple[Path, str]]:
    """Photographs a/b/c/abc....jpg below folders of the split's name."""
    folders = [manual_dir] if manual_dir.name == split else sorted(manual_dir.rglob(split))
    return [
        (folder, file)
        for folder in folders
        if folder.is_dir()
        for file in find_photographs(folder)
        if gldv2.ID.fullmatch(Path(file).name)
    ]


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
    complete: bool,
) -> str:
    positives = sum(len(query.images) for query in asked)
    found = sum(len(entry["ok"]) for entry in gnd)
    return (
        f"{'' if complete else 'INCOMPLETE: '}{searched} of the {row.database} index photographs, "
        f"{len(gnd)} of the {row.queries} queries and {found} of {positives} answers of "
        f"{row.name}; {MEANING}."
    )
