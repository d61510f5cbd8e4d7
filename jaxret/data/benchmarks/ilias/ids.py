"""ILIAS's lists of ids, by which features are evaluated without any photograph.

    image_ids/image_query_ids.txt          bold_bimp_000/query/Q000_00.jpg, ...
    image_ids/positive_ids.txt             bold_bimp_000/pos/P000_00.jpg, scale, clutter
    image_ids/mini_ilias_yfcc100m_ids.txt  keys of the distractors of mini-ILIAS
    image_ids/distractor_ids.txt.gz        all of them, as ARCHIVE.tar/KEY

As evaluation/src/dataset.py and knn_search/src/dataset.py of ilias-vrg/ilias read them. The text
queries are another task and are left out.
"""

import gzip
import zlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from jaxret.data.benchmarks import registry
from jaxret.data.benchmarks.ilias.layout import instance
from jaxret.data.benchmarks.row import Benchmark
from jaxret.data.benchmarks.rows.ilias import MINI_IDS
from jaxret.data.ground_truth.files import GroundTruth
from jaxret.errors import UserError

FOLDER, QUERIES, POSITIVES = "image_ids", "image_query_ids.txt", "positive_ids.txt"
MINI, CORE = "ilias-mini", "ilias-core"  # rows of the registry


@dataclass(frozen=True)
class Ids:
    """What the lists name.

    Attributes:
        queries: image queries, in order.
        positives: the photographs of the objects.
        selected: the distractors that count, by id or key; None for all that there are.
        source: the folder, or the list in it that selects.
    """

    queries: tuple[str, ...]
    positives: frozenset[str]
    selected: frozenset[str] | None
    source: Path


@dataclass(frozen=True)
class Gallery:
    """The photographs that are searched, and what is right among them.

    Attributes:
        kept: their places among the names that were given; None for all.
        truth: over the kept.
        row: by whose metrics and depth it is evaluated.
        name: which gallery it is.
        notes: sentences for the report.
    """

    kept: np.ndarray | None
    truth: GroundTruth
    row: Benchmark
    name: str
    notes: tuple[str, ...]


def find(place: Path) -> Ids | None:
    """The lists in a folder, or beside a list of distractors; None where there are none.

    Raises:
        UserError: one of them is missing, damaged, or has not as many ids as were published.
    """
    folder = place if place.is_dir() else place.parent
    if place.is_dir() and (place / FOLDER / QUERIES).is_file():
        folder = place / FOLDER
    if not (folder / QUERIES).is_file() or (
        place.is_file() and place.suffix not in (".txt", ".gz")
    ):
        return None
    if not (folder / POSITIVES).is_file():
        raise UserError(f"{folder} holds {QUERIES} and no {POSITIVES}: both are needed.")
    row = registry.get(CORE)
    queries = _ids(folder / QUERIES, row.queries)
    positives = _ids(folder / POSITIVES, row.database)
    missing = {instance(name) for name in queries} - {instance(name) for name in positives}
    if missing:
        raise UserError(f"{folder / POSITIVES} has nothing of {min(missing)}, which is asked for.")
    selects = place.is_file() and place.name not in (QUERIES, POSITIVES)
    selected = frozenset(_ids(place)) if selects else None
    return Ids(tuple(sorted(queries)), frozenset(positives), selected, place)


def gallery(ids: Ids, names: Sequence[str]) -> Gallery:
    """What features of these names search.

    Raises:
        UserError: positives have no features, queries are among them, or nothing that is selected.
    """
    missing = ids.positives.difference(names)
    if missing:
        raise UserError(
            f"{len(missing)} of the {len(ids.positives)} positives of {ids.source} have no row "
            f"among the features, such as {min(missing)!r}."
        )
    asked = set(ids.queries).intersection(names)
    if asked:
        raise UserError(
            f"{len(asked)} queries are among the features that are searched, such as "
            f"{min(asked)!r}: ILIAS searches the positives and the distractors alone."
        )
    kept = None
    if ids.selected is not None:
        kept = np.array([place for place, name in enumerate(names) if _counts(name, ids)], np.int64)
        names = [names[place] for place in kept]
    places: dict[str, list[int]] = {}
    for place, name in enumerate(names):
        if name in ids.positives:
            places.setdefault(instance(name), []).append(place)
    gnd = [{"ok": places[instance(query)], "junk": []} for query in ids.queries]
    distractors = len(names) - len(ids.positives)
    if ids.selected is not None and not distractors:
        raise UserError(
            f"None of the {len(ids.selected)} ids in {ids.source} is among the features: name the "
            "files of the distractors, and their list."
        )
    truth = GroundTruth(list(names), list(ids.queries), gnd)
    return _named(kept, truth, ids, distractors)


def _named(kept: np.ndarray | None, truth: GroundTruth, ids: Ids, distractors: int) -> Gallery:
    """Under a name that compares with others' figures only where the gallery is theirs."""
    row = registry.get(MINI if distractors or ids.selected else CORE)
    if not distractors and not ids.selected:
        return Gallery(kept, truth, row, CORE, row.notes)
    said = f"{distractors} distractors of ILIAS"
    name = f"ilias ({distractors} distractors)"
    if ids.selected:
        whole = distractors == len(ids.selected)
        said = f"{'' if whole else 'INCOMPLETE: '}{distractors} of the {len(ids.selected)} "
        said += f"distractors in {ids.source.name}"
        if ids.source.name == MINI_IDS.file:
            name = MINI if whole else f"{MINI} (incomplete)"
    return Gallery(kept, truth, row, name, (f"{said}, by their features.",))


def _counts(name: str, ids: Ids) -> bool:
    """Whether a photograph is a positive or a distractor that is selected, by id or by key."""
    assert ids.selected is not None
    if name in ids.positives or name in ids.selected:
        return True
    return name.rpartition("/")[2].split(".")[0] in ids.selected


def _ids(path: Path, published: int | None = None) -> list[str]:
    """The first column of a list, each once."""
    try:
        content = path.read_bytes()
        text = (gzip.decompress(content) if path.suffix == ".gz" else content).decode()
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise UserError(f"{path} cannot be read as a list of ids: {error}.") from error
    ids = [line.split(",")[0].strip() for line in text.splitlines() if line.strip()]
    if len(set(ids)) < len(ids):
        twice = next(name for name, times in Counter(ids).items() if times > 1)
        raise UserError(f"{path} names {twice!r} twice; fetch it again.")
    if not ids or (published is not None and len(ids) != published):
        wanted = f", {published} were published" if published is not None else ""
        raise UserError(f"{path} names {len(ids)} photographs{wanted}; fetch it again.")
    return ids
