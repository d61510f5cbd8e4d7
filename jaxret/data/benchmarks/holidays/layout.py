"""Holidays' names: six digits, of which the last two count the photographs of a group.

The photograph 00 of each group is its query, the others answer it (Jégou et al., ECCV 2008).
"""

import re
from collections.abc import Sequence
from pathlib import PurePosixPath

from jaxret.data.benchmarks import layout
from jaxret.data.ground_truth.files import GroundTruth
from jaxret.data.ground_truth.labels import some_against_all

_NAME = re.compile(r"1[0-4]\d{4}\.jpe?g", re.IGNORECASE)  # groups 1000 to 1499


class Layout(layout.OfNames):
    def name_of(self, path: str) -> str | None:
        name = PurePosixPath(path).name
        return f"{name[:6]}.jpg" if _NAME.fullmatch(name) else None

    def lists(self, names: Sequence[str]) -> GroundTruth:
        queries = [place for place, name in enumerate(names) if name.endswith("00.jpg")]
        return some_against_all(names, [name[:4] for name in names], queries)
