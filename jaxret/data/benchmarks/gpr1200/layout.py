"""GPR1200's names: CATEGORY_name.jpg, ten of each of 1200 categories."""

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import PurePosixPath

from jaxret.data.benchmarks import layout
from jaxret.data.ground_truth.files import GroundTruth
from jaxret.data.ground_truth.labels import all_against_all
from jaxret.errors import UserError

OF_EACH = 10
_NAME = re.compile(r"(\d{1,4})_.+\.jpe?g", re.IGNORECASE)


class Layout(layout.OfNames):
    def name_of(self, path: str) -> str | None:
        name = PurePosixPath(path).name
        match = _NAME.fullmatch(name)
        return name if match and int(match[1]) < self.row.photographs // OF_EACH else None

    def lists(self, names: Sequence[str]) -> GroundTruth:
        """In the order of its makers' evaluation: by category."""
        ordered = sorted(names, key=lambda name: (category(name), name))
        labels = [category(name) for name in ordered]
        whole = len(names) == self.row.photographs  # else it is a part, asked for as such
        for label, count in Counter(labels).items():
            if whole and count != OF_EACH:
                raise UserError(
                    f"{self.row.name}: category {label} has {count} photographs instead of "
                    f"{OF_EACH}; unpack GPR1200.zip anew into a folder of its own."
                )
        return all_against_all(ordered, labels, itself="kept")


def category(name: str) -> int:
    """The number before the first underscore."""
    return int(name.split("_", 1)[0])
