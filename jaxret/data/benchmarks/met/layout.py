"""Met: JSON files list the exhibits' photographs and the queries.

    MET_database.json, mini_MET_database.json  [{"id": 34, "path": "MET/34/0.jpg"}, ...]
    testset.json  [{"path": "test_met/....jpg", "MET_id": 34, ...}, {"path": "test_other/..."}, ...]

A query without MET_id shows nothing of the museum.
"""

import json
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from jaxret.data.benchmarks import layout
from jaxret.data.ground_truth.labels import queries_against_database
from jaxret.errors import UserError

DATABASE = {"full": "MET_database.json", "mini": "mini_MET_database.json"}
QUERIES = "testset.json"


class Layout(layout.OfLists):
    def names(self, manual_dir: Path) -> list[str]:
        database, queries = self._entries(manual_dir)
        return [entry["path"] for entry in (*database, *queries)]

    def truth(self, manual_dir: Path, names: Sequence[str], read: layout.Read) -> layout.Truth:
        database, queries = self._entries(manual_dir)
        lists = queries_against_database(
            [entry["path"] for entry in database],
            [int(entry["id"]) for entry in database],
            [entry["path"] for entry in queries],
            [int(entry["MET_id"]) if "MET_id" in entry else None for entry in queries],
        )
        return layout.made(lists, f"{DATABASE[self.row.config]} and {QUERIES}")

    def _entries(self, manual_dir: Path) -> tuple[list[dict], list[dict]]:
        return self._entries_of(DATABASE[self.row.config], "id", manual_dir), self._entries_of(
            QUERIES, "path", manual_dir
        )

    @cache  # noqa: B019 - a layout lives as long as one preparation
    def _entries_of(self, file: str, key: str, manual_dir: Path) -> list[dict]:
        try:
            entries: Any = json.loads(layout.read_list(self.row, file, manual_dir))
        except ValueError as error:
            raise UserError(f"{file}: no JSON ({error}); fetch it again.") from error
        if not isinstance(entries, list) or not all(
            isinstance(entry, dict) and key in entry and isinstance(entry.get("path"), str)
            for entry in entries
        ):
            raise UserError(f"{file} is not a list of {self.row.name}: path and {key} of each.")
        return entries
