"""The photographs below a folder, told by their content where the ending does not say it.

What lies there beside them is left out and named, with the reason; what programs put beside
photographs (Thumbs.db, .DS_Store, __MACOSX, .xmp) is passed over in silence.
"""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from jaxret.data.dataset import printable, reading_failure
from jaxret.data.images import formats
from jaxret.data.images.formats import HEADER_BYTES

GROUND_TRUTH_FILE = "gnd.json"
# Endings of what every Pillow reads: such a file is a photograph, and if it does not decode, the
# loader says so. Other files are looked into.
READ_BY_ENDING = (
    ".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm",
    ".pgm", ".jp2",
)  # fmt: skip
EXTENSIONS = (*READ_BY_ENDING, ".avif", ".heic", ".heif", ".jxl")

_SIDECARS = ("thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r", GROUND_TRUTH_FILE)
_SIDECAR_ENDINGS = (".xmp", ".aae", ".thm", ".pp3")
_SIDECAR_FOLDERS = ("__macosx", "@eadir")

LEFT_OUT = "Left out"  # how the note about it begins
SHOWN = 3  # names a reason that a note gives


@dataclass(frozen=True)
class Listing:
    """What lies below a folder.

    Attributes:
        files: paths of the photographs below it, in order of their names.
        left_out: printable name and reason of everything else that is no sidecar.
    """

    files: tuple[str, ...]
    left_out: tuple[tuple[str, str], ...]

    def note(self) -> str:
        """What was left out and why, in one line; empty where nothing was."""
        reasons: dict[str, list[str]] = {}
        for name, reason in self.left_out:
            reasons.setdefault(reason, []).append(name)
        parts = [f"{_shown(names)}: {reason}" for reason, names in reasons.items()]
        count = len(self.left_out)
        return f"{LEFT_OUT}, {count} in all: {'; '.join(parts)}." if count else ""


def _shown(names: Sequence[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more


def find_photographs(folder: Path) -> Iterator[str]:
    """Paths below `folder` of all photographs, in order of their names; see `list_photographs`."""
    return iter(list_photographs(folder).files)


def list_photographs(folder: Path) -> Listing:
    """All photographs below `folder`, and what was left out.

    Links are followed, each folder entered once; hidden files and folders are passed over.
    """
    entered: set[tuple[int, int]] = set()
    found: list[str] = []
    left_out: list[tuple[str, str]] = []

    def unreadable(error: OSError) -> None:
        name = os.path.relpath(error.filename, folder)
        left_out.append((printable(name), f"the folder cannot be read ({reading_failure(error)})"))

    for place, folders, files in os.walk(folder, followlinks=True, onerror=unreadable):
        status = os.stat(place)
        if (status.st_dev, status.st_ino) in entered:
            folders.clear()
            continue
        entered.add((status.st_dev, status.st_ino))
        folders[:] = [name for name in sorted(folders) if not _passed_over(name, _SIDECAR_FOLDERS)]
        for name in files:
            path = os.path.join(place, name)
            if _passed_over(name, _SIDECARS) or name.lower().endswith(_SIDECAR_ENDINGS):
                continue
            reason = "" if name.lower().endswith(READ_BY_ENDING) else why_no_photograph(path)
            below = os.path.relpath(path, folder)
            if reason:
                left_out.append((printable(below), reason))
            else:
                found.append(below)
    return Listing(tuple(sorted(found)), tuple(sorted(left_out)))


def _passed_over(name: str, sidecars: Sequence[str]) -> bool:
    return name.startswith(".") or name.lower() in sidecars


def why_no_photograph(path: str) -> str:
    """Why a file is none that can be read here, by its content; empty for one that can be."""
    if path.lower().endswith(formats.RAW_ENDINGS):
        return formats.lacking(formats.CAMERA_RAW)
    if os.path.exists(path) and not os.path.isfile(path):  # a pipe would wait for its writer
        return "it is no file"
    try:
        with open(path, "rb") as file:
            header = file.read(HEADER_BYTES)
    except OSError as error:
        return reading_failure(error)
    if not header:
        return "the file is empty"
    found = formats.format_of(header)
    return "it is no picture of a known format" if found is None else formats.lacking(found)
