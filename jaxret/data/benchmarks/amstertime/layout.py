"""AmsterTime's names: new/0000.png, today's street view, and old/0000.jpg, the same place then."""

import re
from collections.abc import Sequence
from pathlib import PurePosixPath

from jaxret.data.benchmarks import layout
from jaxret.data.ground_truth.files import GroundTruth
from jaxret.data.ground_truth.labels import queries_against_database
from jaxret.errors import UserError

_NAME = re.compile(r"(new|old)/(\d{4})\.(png|jpe?g)", re.IGNORECASE)


class Layout(layout.OfNames):
    def name_of(self, path: str) -> str | None:
        name = "/".join(PurePosixPath(path.replace("\\", "/")).parts[-2:])
        return name if _NAME.fullmatch(name) else None

    def lists(self, names: Sequence[str]) -> GroundTruth:
        """The configuration names the side that asks."""
        queries = [name for name in names if name.startswith(f"{self.row.config}/")]
        database = [name for name in names if name not in set(queries)]
        unpaired = set(map(place, queries)) ^ set(map(place, database))
        if unpaired and len(names) == self.row.photographs:  # else a part, asked for as such
            raise UserError(
                f"{self.row.name}: place {min(unpaired)} has no pair of photographs, new and old; "
                "unpack the archive anew."
            )
        return queries_against_database(
            database, list(map(place, database)), queries, list(map(place, queries))
        )


def place(name: str) -> str:
    """What a pair shares: the number."""
    return name.split("/")[1].split(".")[0]
