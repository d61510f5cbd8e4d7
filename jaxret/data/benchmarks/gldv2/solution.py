"""The ground truth of Google Landmarks v2 retrieval: retrieval_solution_v2.1.csv.

id,images,Usage
000088da12d664db,None,Ignored
0002c06b2440a5f9,24d5a9a29f0fb3ee 95b0a4d8d1d5f4ad,Private
"""

import csv
from dataclasses import dataclass
from pathlib import Path

from jaxret.data.benchmarks import registry
from jaxret.data.benchmarks.layout import read_list
from jaxret.errors import UserError

FILE = "retrieval_solution_v2.1.csv"
COLUMNS = ["id", "images", "Usage"]
USAGES = ("Public", "Private", "Ignored")


@dataclass(frozen=True)
class Query:
    """One query that counts: its photograph, those that answer it, and "Public" or "Private"."""

    name: str
    images: tuple[str, ...]
    usage: str


def read(manual_dir: Path) -> list[Query]:
    """The queries that are not ignored, in the order of the file.

    Raises:
      UserError: the file is not there or is another one; the sentence names the line.
    """
    content = read_list(registry.get("gldv2"), FILE, manual_dir).decode("utf-8-sig")
    lines = list(csv.reader(content.splitlines()))
    if not lines or lines[0] != COLUMNS:
        raise UserError(f"{FILE} does not begin with the columns {', '.join(COLUMNS)}.")
    queries: dict[str, Query] = {}
    for number, line in enumerate(lines[1:], 2):
        if len(line) != len(COLUMNS) or line[2] not in USAGES or line[0] in queries:
            raise UserError(
                f"{FILE}, line {number}: must be an id that is new, ids of its images, and "
                f"{', '.join(USAGES)}; fetch it again."
            )
        if line[2] != "Ignored":
            queries[line[0]] = Query(line[0], tuple(line[1].split()), line[2])
    return list(queries.values())
