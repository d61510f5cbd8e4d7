"""Any folder of photographs, with a gnd.json in the form of the revisited benchmarks or without."""

import difflib
import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from jaxret.data.dataset import Dataset, FileSplit, printable
from jaxret.data.ground_truth.checks import check_boxes_inside
from jaxret.data.ground_truth.files import read_gnd_json
from jaxret.data.ground_truth.labels import all_against_all
from jaxret.data.images.opening import peek
from jaxret.data.loose_names import LooseNames
from jaxret.data.photographs import (
    EXTENSIONS,
    GROUND_TRUTH_FILE,
    find_photographs,
    list_photographs,
)
from jaxret.errors import UserError

EXAMPLE = (
    '{"imlist": ["tower/1.jpg", "tower/2.jpg", "bridge/1.jpg"], "qimlist": ["tower/3.jpg"], '
    '"gnd": [{"bbx": [40, 25, 610, 480], "easy": [0], "hard": [1], "junk": []}]}'
)


def load_folder(
    folder: Path, require_ground_truth: bool = True, labels: str | None = None
) -> Dataset:
    """The folder as a dataset.

    Args:
        folder: with gnd.json, its lists say which files are database and queries. Without, all
            photographs below it are the database and there are no queries.
        require_ground_truth: refuse a folder without gnd.json.
        labels: "folders": each photograph asks for those of its own folder, whatever gnd.json says.

    Raises:
        UserError: gnd.json is missing, wrong, or names photographs that are not there; or there are
            no two folders to tell apart.
    """
    folder = Path(folder).expanduser()
    if not folder.is_dir():
        raise UserError(f"{str(folder)!r} is no folder. Give one that holds photographs.")
    if labels is not None:
        return _by_folders(folder)
    if (folder / GROUND_TRUTH_FILE).is_file():
        return _with_ground_truth(folder)
    if require_ground_truth:
        raise UserError(
            f"{str(folder)!r} has no {GROUND_TRUTH_FILE}, which says what is right; where the "
            "photographs lie in one folder an instance, --labels=folders needs none. It looks like "
            f"this, with paths below the folder, boxes x1, y1, x2, y2 and positions in imlist "
            f"counted from 0: {EXAMPLE}"
        )
    listing = list_photographs(folder)
    if not listing.files:
        nothing = f"{str(folder)!r} holds no photographs ({', '.join(EXTENSIONS)})."
        raise UserError(f"{nothing} {listing.note()}".strip())
    return Dataset(
        folder.resolve().name,
        "folder",
        FileSplit(folder, listing.files),
        FileSplit(folder),
        on_bad_image="skip",
        notes=tuple(filter(None, [listing.note()])),
        left_out=listing.left_out,
    )


def _by_folders(folder: Path) -> Dataset:
    """All photographs against all: those of a query's folder answer it, itself left out."""
    listing = list_photographs(folder)
    files = listing.files
    instances = [_instance(file) for file in files]
    known = Counter(instance for instance in instances if instance is not None)
    if len(known) < 2 or max(known.values()) < 2:
        raise UserError(
            f"{str(folder)!r} holds {len(known)} folders with photographs; --labels=folders needs "
            "two or more, one of them with two photographs: tower/1.jpg, tower/2.jpg, "
            "bridge/1.jpg, ..."
        )
    # a photograph of no instance shares its label with nothing, so it asks for nothing
    labels = [
        instance if instance is not None else place for place, instance in enumerate(instances)
    ]
    truth = all_against_all(files, labels, itself="left out")
    split = FileSplit(folder, files)
    asked = sum(bool(entry["ok"]) for entry in truth.gnd)
    return Dataset(
        folder.resolve().name,
        "folder",
        split,
        split,
        truth.gnd,
        truth.protocols,
        on_bad_image="skip",
        notes=(
            f"Ground truth by the {len(known)} folders of {folder.resolve().name}: {asked} of its "
            f"{len(files)} photographs have others of their folder to be found.",
            *filter(None, [listing.note()]),
        ),
        left_out=listing.left_out,
        metrics=("map", "r@1"),
    )


def _instance(file: str) -> str | None:
    """The first folder of the path; None for a photograph in none or in one like _others."""
    first, *below = Path(file).parts
    return first if below and not first.startswith("_") else None


def _with_ground_truth(folder: Path) -> Dataset:
    truth = read_gnd_json(folder / GROUND_TRUTH_FILE)
    names = _Names(folder)
    database = FileSplit(folder, names.files(truth.imlist, "imlist"))
    queries = FileSplit(folder, names.files(truth.qimlist, "qimlist"), tuple(truth.boxes))
    # an unreadable query has no size: the loader fails or skips, as asked
    sizes = [box and _stored_size(queries.path(i)) for i, box in enumerate(truth.boxes)]
    check_boxes_inside(truth.qimlist, truth.boxes, sizes, str(folder / GROUND_TRUTH_FILE))
    return Dataset(
        folder.resolve().name,
        "folder",
        database,
        queries,
        truth.gnd,
        truth.protocols,
        on_bad_image="skip",
        notes=tuple(filter(None, [names.loose.note(GROUND_TRUTH_FILE)])),
        metrics=truth.metrics,
        depth=truth.depth,
    )


class _Names:
    """The files of the names in a gnd.json."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.loose = LooseNames(lambda: find_photographs(folder))

    def files(self, names: Sequence[str], key: str) -> tuple[str, ...]:
        """The file of each name: its own, with the ending that lists leave out, or loosely its.

        Raises:
            UserError: names without a file, or two names of a database for one file.
        """
        exact = [_file_of(self._folder, name) for name in names]
        files = [own or self.loose.find(name) for name, own in zip(names, exact, strict=True)]
        if key == "imlist":  # each photograph has one place there
            times = Counter(files)
            files = [
                own or (file if times[file] == 1 else None)
                for own, file in zip(exact, files, strict=True)
            ]
        missing = [name for name, file in zip(names, files, strict=True) if file is None]
        if missing:
            raise self._not_there(missing, len(names), key)
        return tuple(file for file in files if file is not None)

    def _not_there(self, missing: Sequence[str], count: int, key: str) -> UserError:
        first = ", ".join(repr(printable(name)) for name in missing[:3])
        near = difflib.get_close_matches(missing[0], list(find_photographs(self._folder)), n=1)
        return UserError(
            f"{len(missing)} of the {count} photographs in {key} of "
            f"{str(self._folder / GROUND_TRUTH_FILE)!r} are not there: {first}"
            f"{', ...' if len(missing) > 3 else ''}. "
            + (f"Nearest to the first: {printable(near[0])!r}. " if near else "")
            + "Names are paths below the folder that holds the file."
        )


def _file_of(folder: Path, name: str) -> str | None:
    for extension in ("", *EXTENSIONS):
        # lexists: a link to nothing is there; that it cannot be read is for `read` to say
        if os.path.lexists(folder / (name + extension)):
            return name + extension
    return None


def _stored_size(path: Path) -> tuple[int, int] | None:
    """Width and height from the file's header; None if it has none that can be read."""
    try:
        return peek(path.read_bytes())[1]
    except Exception:  # any decoder's any error: the photograph is unreadable
        return None
