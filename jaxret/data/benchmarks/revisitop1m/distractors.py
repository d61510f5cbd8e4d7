"""revisitop1m behind the database of a revisited benchmark."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from jaxret.data.benchmarks import tfds_records
from jaxret.data.benchmarks.missing_files import download_command
from jaxret.data.benchmarks.parts import split_of
from jaxret.data.benchmarks.prepare import prepared
from jaxret.data.benchmarks.revisitop1m import revisitop1m_dataset_builder as revisitop1m
from jaxret.data.dataset import Dataset
from jaxret.data.splits import JoinedSplit
from jaxret.errors import UserError


def add_distractors(
    dataset: Dataset, data_dir: Path, manual_dir: Path, allow_missing: bool
) -> Dataset:
    """The dataset with the distractors after its own photographs, whose indices stay.

    Archives not yet prepared are, one by one.

    Raises:
      UserError: archives are missing, and `allow_missing` is not set or none is there.
    """
    parts, left_out = [], 0
    for builder in _prepared_parts(data_dir, manual_dir, allow_missing):
        parts.append(split_of(builder))
        left_out += builder.info.metadata["left_out"]
    count = sum(map(len, parts))
    note = (
        f"{count} distractors of revisitop1m from {len(parts)} of its {revisitop1m.PARTS} archives "
        f"({revisitop1m.PUBLISHED} were published)"
        + (f"; {left_out} files in the archives are no JPEGs" if left_out else "")
        + "."
    )
    return dataclasses.replace(
        dataset,
        name=f"{dataset.name}+revisitop1m",
        database=JoinedSplit((dataset.database, *parts)),
        notes=(*dataset.notes, note),
    )


def _prepared_parts(data_dir: Path, manual_dir: Path, allow_missing: bool) -> Iterator[Any]:
    builders = {
        number: revisitop1m.Builder(
            config=revisitop1m.part_name(number),
            data_dir=data_dir,
            file_format=tfds_records.FILE_FORMAT,
        )
        for number in range(1, revisitop1m.PARTS + 1)
    }
    missing = [
        number
        for number, builder in builders.items()
        if not tfds_records.is_prepared(builder)
        and revisitop1m.find_archive(number, manual_dir) is None
    ]
    if missing and (not allow_missing or len(missing) == revisitop1m.PARTS):
        raise UserError(
            f"{len(missing)} of the {revisitop1m.PARTS} archives of revisitop1m are missing from "
            f"{manual_dir}, {revisitop1m.archive_name(missing[0])} for one. Put them there or run "
            f"`{download_command('revisitop1m', manual_dir)}`; --allow_missing uses those that are "
            "there, but fewer distractors make an easier search."
        )
    for number, builder in builders.items():
        if number not in missing:
            yield prepared(builder, manual_dir)
