"""mini-ILIAS as a `Dataset`: ILIAS core with its distractors behind the database."""

import dataclasses
from pathlib import Path
from typing import Any

from jaxret.data.benchmarks import registry, tfds_records
from jaxret.data.benchmarks.ilias_distractors import ilias_distractors_dataset_builder as ilias
from jaxret.data.benchmarks.loading import load_prepared
from jaxret.data.benchmarks.missing_files import how_to_get
from jaxret.data.benchmarks.parts import split_of
from jaxret.data.benchmarks.prepare import prepared
from jaxret.data.benchmarks.row import Benchmark
from jaxret.data.dataset import Dataset
from jaxret.data.splits import JoinedSplit
from jaxret.errors import UserError

_FOLDER = "ilias_distractors"  # TFDS's, of the builder's name


def load(
    row: Benchmark, data_dir: Path, manual_dir: Path, allow_missing: bool, subset: str | None
) -> Dataset:
    """The queries and positives of ilias-core over all distractors whose archives are there.

    Raises:
      UserError: photographs that the makers' list names are in none of the archives, and
        `allow_missing` is not set or there is no archive.
    """
    if subset is not None:
        raise UserError(
            f"--subset={subset} is not for {row.name}: with --allow_missing it is evaluated over "
            "the archives that are there."
        )
    core = load_prepared(registry.get("ilias-core"), data_dir, manual_dir)
    names = {tar.stem for tar in ilias.tars(manual_dir)} | _prepared_names(data_dir)
    parts = []
    for name in sorted(names):
        builder: Any = ilias.of_archive(
            name, data_dir=data_dir, file_format=tfds_records.FILE_FORMAT
        )
        parts.append(split_of(prepared(builder, manual_dir)))
    wanted = len(ilias.mini_ids(manual_dir))
    count = sum(map(len, parts))
    if count < wanted and (not allow_missing or not parts):
        raise UserError(
            f"{wanted - count} of the {wanted} distractors of {row.name} are in none of the "
            f"{len(parts)} tar files below {' or '.join(ilias.FOLDERS)} in {manual_dir}: put there "
            "those of https://huggingface.co/datasets/vrg-prague/mini-ilias or of YFCC100M. "
            f"{how_to_get(row, manual_dir)} --allow_missing searches those that are there."
        )
    whole = "" if count == wanted else f"INCOMPLETE: {count} of the {wanted} distractors of "
    return dataclasses.replace(
        core,
        name=row.name,
        database=JoinedSplit((core.database, *parts)),
        notes=(
            f"{whole or f'{count} distractors of '}mini-ILIAS from {len(parts)} archives.",
            *core.notes[:2],
        ),
        metrics=row.metrics,
        depth=row.depth,
    )


def _prepared_names(data_dir: Path) -> set[str]:
    infos = (data_dir / _FOLDER).glob("*/*/dataset_info.json")
    return {info.parts[-3] for info in infos}
