"""Copydays' names: six digits, of which the first four tell the original.

200000.jpg           an original; 200001.jpg and on: its strong copies
crops/10/200000.jpg  its copy with 10 % of the surface taken away
jpegqual/3/200000.jpg  its copy at JPEG quality 3
"""

import re
from collections.abc import Sequence
from pathlib import PurePosixPath

from jaxret.data.benchmarks import layout
from jaxret.data.ground_truth.files import GroundTruth
from jaxret.data.ground_truth.labels import queries_against_database

_NAME = re.compile(r"2[01]\d{4}\.jpe?g", re.IGNORECASE)
_FOLDERS = {"crops": "crops", "jpegqual": "jpeg"}  # of the archives -> configuration


class Layout(layout.OfNames):
    def name_of(self, path: str) -> str | None:
        parts = PurePosixPath(path.replace("\\", "/")).parts
        if not _NAME.fullmatch(parts[-1]):
            return None
        name = f"{parts[-1][:6]}.jpg"
        strength = parts[-3:-1]
        if len(strength) == 2 and strength[0] in _FOLDERS and strength[1].isdigit():
            wanted = _FOLDERS[strength[0]] == self.row.config
            return "/".join((*strength, name)) if wanted else None
        return name if name.endswith("00.jpg") or self.row.config == "strong" else None

    def lists(self, names: Sequence[str]) -> GroundTruth:
        originals = [name for name in names if "/" not in name and name.endswith("00.jpg")]
        copies = [name for name in names if name not in set(originals)]
        return queries_against_database(
            originals, list(map(original, originals)), copies, list(map(original, copies))
        )


def original(name: str) -> str:
    """The four digits that an original shares with its copies."""
    return name.rsplit("/", 1)[-1][:4]
