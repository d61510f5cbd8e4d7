"""The published benchmarks as `Dataset`s: found prepared, or prepared from the official files.

data_dir/manual/                     archives or unpacked photographs, and the ground truths
data_dir/oxford5k/photographs/1.0.0  what is made of them, by TFDS
"""

import importlib
from pathlib import Path
from typing import Any

from jaxret.data.benchmarks import registry
from jaxret.data.benchmarks.missing_files import default_data_dir, how_to_get
from jaxret.data.dataset import Dataset
from jaxret.data.ground_truth.files import GroundTruth
from jaxret.data.splits import PreparedSplit
from jaxret.errors import UserError

DISTRACTORS = ("revisitop1m",)


def load(
    name: str,
    data_dir: str | Path | None = None,
    *,
    manual_dir: str | Path | None = None,
    allow_missing: bool = False,
    distractors: str | None = None,
    subset: str | None = None,
) -> Dataset:
    """A benchmark by its name.

    Args:
      name: of `registry.BENCHMARKS`.
      data_dir: where prepared data is kept; None is the user's cache directory.
      manual_dir: where the official files lie; None is `data_dir`/manual.
      allow_missing: where photographs are missing, evaluate those that lie there as loose files.
      distractors: "revisitop1m" adds its photographs behind the database of the revisited sets.
      subset: of a database that is published in many archives; see `parts.Subset`.

    Raises:
      UserError: the files are not there (the sentence names them, the folder and the download
        command), are not what was published, or cannot be written.
    """
    row = registry.get(name)
    data_dir = Path(data_dir or default_data_dir()).expanduser()
    manual_dir = Path(manual_dir or data_dir / "manual").expanduser()
    if distractors is not None:
        _check_distractors(row, distractors)
    if row.loader:
        module, function = row.loader.split(":")
        load_parts = getattr(importlib.import_module(module), function)
        return load_parts(row, data_dir, manual_dir, allow_missing, subset)
    if subset is not None:
        raise UserError(
            f"--subset={subset} is for databases in many archives, "
            f"{', '.join(r.name for r in registry.BENCHMARKS.values() if r.loader)}; {row.name} is "
            "prepared whole."
        )
    dataset = _load_whole_or_partial(row, data_dir, manual_dir, allow_missing)
    if distractors is None:
        return dataset
    from jaxret.data.benchmarks.revisitop1m.distractors import add_distractors

    return add_distractors(dataset, data_dir, manual_dir, allow_missing)


def _load_whole_or_partial(
    row: registry.Benchmark, data_dir: Path, manual_dir: Path, allow_missing: bool
) -> Dataset:
    try:
        return load_prepared(row, data_dir, manual_dir)
    except UserError:
        if not allow_missing:
            raise
    from jaxret.data.benchmarks.incomplete import load_partial

    return load_partial(row, manual_dir)


def load_prepared(row: registry.Benchmark, data_dir: Path, manual_dir: Path) -> Dataset:
    """The whole benchmark, prepared first where it is not."""
    from jaxret.data.benchmarks import layout
    from jaxret.data.benchmarks.prepare import prepared
    from jaxret.data.benchmarks.tfds_records import FILE_FORMAT, is_prepared

    builder = builder_class(row.builder)(
        config=row.config, data_dir=data_dir, file_format=FILE_FORMAT
    )
    pictures = builder.photographs_builder()
    if not (is_prepared(builder) and is_prepared(pictures)):
        if not manual_dir.is_dir() or not any(manual_dir.iterdir()):
            raise UserError(
                f"{row.name} is not there: {manual_dir} is empty or no folder. "
                f"{how_to_get(row, manual_dir)}"
            )
        if not is_prepared(builder):
            layout.of(row).check(manual_dir)  # its absence is said before the long work
        pictures = prepared(pictures, manual_dir)
        builder = prepared(builder, manual_dir)
    return _dataset(row, builder, pictures)


def _dataset(row: registry.Benchmark, builder: Any, pictures: Any) -> Dataset:
    made, known = builder.info.metadata, pictures.info.metadata
    truth = GroundTruth(made["imlist"], made["qimlist"], made["gnd"])
    place_of = {name: place for place, name in enumerate(known["names"])}

    def split(names: list[str], boxes: list[Any]) -> PreparedSplit:
        places = tuple(place_of[name] for name in names)
        digests = tuple(known["sha256"][place] for place in places)
        folder = Path(pictures.data_dir)
        return PreparedSplit(folder, places, tuple(names), tuple(boxes), digests)

    return Dataset(
        name=row.name,
        version=str(builder.version),
        database=split(truth.imlist, [None] * len(truth.imlist)),
        queries=split(truth.qimlist, truth.boxes),
        ground_truth=truth.gnd,
        protocols=truth.protocols,
        notes=(
            known["release"],
            _told(row, made),
            *row.notes,
        ),
        metrics=row.metrics,
        depth=row.depth,
        query_crop=row.query_crop,
    )


def _told(row: registry.Benchmark, made: Any) -> str:
    """The sentence about where the ground truth is from."""
    if row.ground_truth is None:
        return f"Ground truth {made['ground_truth_file']}."
    same = made["ground_truth_sha256"] == row.ground_truth.sha256
    return f"Ground truth {made['ground_truth_file']}: " + (
        "the known file." if same else "not the known file, but it passed every check."
    )


def builder_class(name: str) -> Any:
    """The TFDS builder in the package folder of that name."""
    return importlib.import_module(f"jaxret.data.benchmarks.{name}.{name}_dataset_builder").Builder


def _check_distractors(row: registry.Benchmark, distractors: str) -> None:
    if distractors not in DISTRACTORS:
        raise UserError(f"Unknown distractors {distractors!r}. Known: {', '.join(DISTRACTORS)}.")
    if row.kind != "revisited":
        names = [other.name for other in registry.BENCHMARKS.values() if other.kind == "revisited"]
        raise UserError(
            f"{distractors} was published as distractors for {' and '.join(names)}, not for "
            f"{row.name}."
        )
