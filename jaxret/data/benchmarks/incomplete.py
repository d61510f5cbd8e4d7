"""A benchmark of which some photographs are missing: what is there, evaluated alone.

Nothing is prepared: the loose files are read where they lie, so what is added tomorrow counts
tomorrow. The figures say something about these photographs only.
"""

from pathlib import Path
from typing import Any

from jaxret.data.benchmarks import layout, registry
from jaxret.data.benchmarks.missing_files import MEANING, how_to_get
from jaxret.data.dataset import Dataset
from jaxret.data.ground_truth.files import GroundTruth
from jaxret.data.splits import NamedFileSplit
from jaxret.errors import UserError


def load_partial(row: registry.Benchmark, manual_dir: Path) -> Dataset:
    """The photographs that are there as loose files, with the ground truth cut down to them.

    Raises:
      UserError: no ground truth, no query or no database photograph is there.
    """
    official = layout.of(row)
    files = official.find(manual_dir, unpack_into=None).files
    truth = official.truth(manual_dir, sorted(files), lambda name: files[name].read_bytes()).lists
    kept = keep(truth, set(files))
    if not kept.imlist or not kept.qimlist:
        raise UserError(
            f"Of {row.name}, {len(kept.imlist)} database photographs and {len(kept.qimlist)} query "
            f"photographs lie in {manual_dir} as loose files; one of each is the least that can be "
            f"evaluated. {how_to_get(row, manual_dir)}"
        )
    return Dataset(
        name=row.name,
        version=f"partial, {len(kept.imlist)} of {row.database}",
        database=_split(kept.imlist, [None] * len(kept.imlist), files, manual_dir),
        queries=_split(kept.qimlist, kept.boxes, files, manual_dir),
        ground_truth=kept.gnd,
        protocols=kept.protocols,
        metrics=row.metrics,
        depth=row.depth,
        query_crop=row.query_crop,
        notes=(*_notes(row, truth, kept), *row.notes),
    )


def keep(truth: GroundTruth, names: set[str]) -> GroundTruth:
    """The ground truth of the named photographs alone, its indices counted anew."""
    database = [place for place, name in enumerate(truth.imlist) if name in names]
    place_of = {old: new for new, old in enumerate(database)}
    queries = [place for place, name in enumerate(truth.qimlist) if name in names]
    return GroundTruth(
        [truth.imlist[place] for place in database],
        [truth.qimlist[place] for place in queries],
        [_keep_entry(truth.gnd[place], place_of) for place in queries],
    )


def _keep_entry(entry: dict[str, Any], place_of: dict[int, int]) -> dict[str, Any]:
    return {
        key: value if key == "bbx" else [place_of[old] for old in value if old in place_of]
        for key, value in entry.items()
    }


def _split(names: list[str], boxes: list[Any], files: Any, manual_dir: Path) -> NamedFileSplit:
    paths = tuple(str(files[name].relative_to(manual_dir)) for name in names)
    return NamedFileSplit(manual_dir, paths, tuple(boxes), known_as=tuple(names))


def _notes(row: registry.Benchmark, truth: GroundTruth, kept: GroundTruth) -> tuple[str, ...]:
    def positives(gnd: list[dict[str, Any]]) -> int:
        return sum(len(entry.get(key, ())) for entry in gnd for key in ("ok", "easy", "hard"))

    # where names alone say what is right, nobody knows the answers of what is not there
    known = len(truth.imlist) == row.database
    of_all = f" of the {positives(truth.gnd)}" if known else ""
    answerable = sum(positives([entry]) > 0 for entry in kept.gnd)
    return (
        f"INCOMPLETE: {len(kept.imlist)} of the {row.database} database photographs, "
        f"{len(kept.qimlist)} of the {row.queries} queries ({answerable} with an answer left) and "
        f"{positives(kept.gnd)}{of_all} positives of {row.name}; {MEANING}.",
    )
