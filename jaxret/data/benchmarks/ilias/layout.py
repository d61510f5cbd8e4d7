"""ILIAS's names, and the boxes beside its photographs.

    bold_bimp_000/query/Q000_00.jpg  Q000_00_bbox.txt  T000.txt (a text query, left out)
    bold_bimp_000/pos/P000_00.jpg    P000_00_bbox.txt

A box file has a line x y width height for each place where the object is seen, in pixels of the
photograph turned upright. A query's box is what holds them all, as the makers crop. The form of the
tar files for WebDataset, with .bbox.json, is read as well.
"""

import json
import re
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath

from jaxret.data.benchmarks import layout
from jaxret.data.dataset import Box
from jaxret.data.ground_truth.files import GroundTruth
from jaxret.data.ground_truth.labels import queries_against_database
from jaxret.data.images.decode import orientation_and_size
from jaxret.data.query import stored_box
from jaxret.errors import UserError

_NAME = re.compile(r"[^/]+/(query/Q|pos/P)\d{3}_\d{2}\.jpe?g", re.IGNORECASE)
_BOXES = re.compile(r"([^/]+/query/Q\d{3}_\d{2})(_bbox\.txt|\.bbox\.json)")
_QUARTER_TURNS = (5, 6, 7, 8)


class Layout(layout.OfNames):
    def name_of(self, path: str) -> str | None:
        name = last_parts(path)
        return name if _NAME.fullmatch(name) else None

    def lists(self, names: Sequence[str]) -> GroundTruth:
        queries = [name for name in names if "/query/" in name]
        database = [name for name in names if "/pos/" in name]
        return queries_against_database(
            database, list(map(instance, database)), queries, list(map(instance, queries))
        )

    def truth(self, manual_dir: Path, names: Sequence[str], read: layout.Read) -> layout.Truth:
        lists = self.lists(names)
        boxes = self._boxes(manual_dir, {query.rsplit(".", 1)[0] for query in lists.qimlist})
        for query, entry in zip(lists.qimlist, lists.gnd, strict=True):
            stem = query.rsplit(".", 1)[0]
            if stem not in boxes:
                raise UserError(
                    f"{self.row.name}: the box of {query}, {stem}_bbox.txt, is not in "
                    f"{manual_dir}; unpack ilias_core.tar anew, with its text files."
                )
            entry["bbx"] = list(_stored(boxes[stem], read(query), query))
        return layout.made(lists, "the photographs' names and boxes")

    def _boxes(self, manual_dir: Path, stems: set[str]) -> dict[str, Box]:
        """Of the queries of these names, as far as there are any."""
        found: dict[str, Box] = {}

        def wanted(path: str) -> bool:
            return _BOXES.fullmatch(last_parts(path)) is not None

        for path, content in layout.listed_files(self.row, wanted, manual_dir, anywhere=True):
            match = _BOXES.fullmatch(last_parts(path))
            assert match is not None
            found.setdefault(match[1], enclosing(boxes_of(path, content)))
            if found.keys() >= stems:
                break
        return found


def instance(name: str) -> str:
    """The object's folder, which its queries and positives share."""
    return name.split("/")[0]


def last_parts(path: str) -> str:
    return "/".join(PurePosixPath(path.replace("\\", "/")).parts[-3:])


def boxes_of(path: str, content: bytes) -> list[list[float]]:
    """Every x, y, width, height that a box file holds.

    Raises:
      UserError: it holds none, or something else.
    """
    try:
        if path.endswith(".json"):
            boxes = [[float(value) for value in box] for box in json.loads(content)]
        else:
            lines = content.decode().splitlines()
            boxes = [[float(value) for value in line.split()] for line in lines if line.strip()]
    except (ValueError, TypeError) as error:
        raise UserError(f"{path}: no box file ({error}).") from error
    if not boxes or any(len(box) != 4 or min(box[2:]) <= 0 for box in boxes):
        raise UserError(f"{path}: must hold lines of x y width height in pixels, one or more.")
    return boxes


def enclosing(boxes: Iterable[Sequence[float]]) -> Box:
    """The smallest x1, y1, x2, y2 that holds all boxes x, y, width, height; not below 0."""
    corners = [(x, y, x + width, y + height) for x, y, width, height in boxes]
    lows = [max(0.0, min(corner[axis] for corner in corners)) for axis in (0, 1)]
    highs = [max(corner[axis] for corner in corners) for axis in (2, 3)]
    return lows[0], lows[1], highs[0], highs[1]


def _stored(box: Box, encoded: bytes, name: str) -> Box:
    """The box in stored pixels, where splits have it, cut to the photograph."""
    orientation, (width, height) = orientation_and_size(encoded, name)
    shown = (height, width) if orientation in _QUARTER_TURNS else (width, height)
    inside = (*box[:2], min(box[2], shown[0]), min(box[3], shown[1]))
    return stored_box(inside, shown, orientation)
