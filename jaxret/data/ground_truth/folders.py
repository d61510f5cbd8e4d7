"""Ground truth of photographs that are sorted into one folder an instance.

    photographs/tower/1.jpg, 2.jpg, ...        tower: every photograph answers every other one
    photographs/bridge/query/1.jpg             bridge: its queries, instead of the first by name
    photographs/bridge/{easy,hard,junk}/*.jpg  its photographs by how hard they are to find
    photographs/_others/*.jpg                  nobody asks for these; nor for those in no folder

Where there is a folder easy or hard, the ground truth has the lists easy, hard and junk of the
revisited benchmarks (what lies in neither is easy); otherwise ok and junk of the classic ones.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jaxret.data.dataset import FileSplit, printable
from jaxret.data.images.decode import BadImage, decode
from jaxret.data.photographs import list_photographs
from jaxret.errors import UserError

QUERY, EASY, HARD, JUNK = "query", "easy", "hard", "junk"
Kinds = dict[str, list[str]]  # the photographs of one instance


@dataclass(frozen=True)
class SortedPhotographs:
    """The ground truth made of a folder, and what was left out of it.

    Attributes:
        truth: imlist, qimlist and gnd, as gnd.json holds them.
        unreadable: printable names and reasons of what does not decode or is no photograph.
        alone: instances with a single photograph: there is nothing to find, so it is not a query.
    """

    truth: Mapping[str, Any]
    unreadable: Sequence[tuple[str, str]]
    alone: Sequence[str]


def ground_truth_of_folders(folder: Path, queries_per_instance: int = 1) -> SortedPhotographs:
    """Ground truth from one folder an instance; see above.

    Args:
        folder: holds the folders of the instances.
        queries_per_instance: how many of its photographs, first by name, are queries where the
            instance has no folder `query`. At least one stays to be found.

    Raises:
        UserError: no photograph, or no instance with anything to find.
    """
    files, unreadable = _readable(folder)
    instances, others, graded = _sorted_by_instance(files)
    alone = [n for n, kinds in instances.items() if not _with_queries(kinds, queries_per_instance)]
    found = {name: kinds for name, kinds in instances.items() if name not in alone}
    if not found:
        raise UserError(
            f"{str(folder)!r} holds no folder with two photographs of one thing or more. Sort them "
            "like this: tower/1.jpg, tower/2.jpg, bridge/1.jpg, ..."
        )
    others += [file for name in alone for kind in instances[name].values() for file in kind]
    truth = _truth(found, others, graded)
    return SortedPhotographs(truth, unreadable, [printable(name) for name in alone])


def _readable(folder: Path) -> tuple[list[str], list[tuple[str, str]]]:
    listing = list_photographs(folder)
    split = FileSplit(folder, listing.files)
    good, bad = [], list(listing.left_out)
    for index, file in enumerate(split.files):
        try:
            decode(split.read(index), split.names[index])
            good.append(file)
        except BadImage as error:
            bad.append((error.name, error.reason))
    return good, bad


def _sorted_by_instance(files: Sequence[str]) -> tuple[dict[str, Kinds], list[str], bool]:
    """Instances, the photographs of none, and whether a folder easy or hard was met."""
    instances: dict[str, Kinds] = {}
    others: list[str] = []
    graded = False
    for file in files:
        first, *below = Path(file).parts
        if not below or first.startswith("_"):
            others.append(file)
            continue
        kind = below[0] if len(below) > 1 and below[0] in (QUERY, EASY, HARD, JUNK) else None
        graded |= kind in (EASY, HARD)
        kinds = instances.setdefault(first, {QUERY: [], EASY: [], HARD: [], JUNK: []})
        kinds[kind or EASY].append(file)
    return instances, others, graded


def _with_queries(kinds: Kinds, count: int) -> bool:
    """Make the first photographs by name queries; false where that leaves nothing to find."""
    easy = kinds[EASY]
    if not kinds[QUERY]:
        movable = max(0, min(count, len(easy) + len(kinds[HARD]) - 1))
        kinds[QUERY], kinds[EASY] = easy[:movable], easy[movable:]
    return bool(kinds[QUERY] and (kinds[EASY] or kinds[HARD]))


def _truth(instances: Mapping[str, Kinds], others: list[str], graded: bool) -> dict[str, Any]:
    shown = [f for kinds in instances.values() for kind in (EASY, HARD, JUNK) for f in kinds[kind]]
    imlist = sorted([*shown, *others])
    place = {file: index for index, file in enumerate(imlist)}
    qimlist: list[str] = []
    gnd: list[dict[str, list[int]]] = []
    for kinds in instances.values():
        easy, hard, junk = (sorted(place[f] for f in kinds[kind]) for kind in (EASY, HARD, JUNK))
        entry = {EASY: easy, HARD: hard, JUNK: junk} if graded else {"ok": easy, JUNK: junk}
        qimlist += kinds[QUERY]
        gnd += [entry] * len(kinds[QUERY])
    return {"imlist": imlist, "qimlist": qimlist, "gnd": gnd}
