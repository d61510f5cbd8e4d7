"""Picture sheets: chosen queries and their first results, each marked right, wrong or ignored."""

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from jaxret.data.dataset import Box, Dataset, Split
from jaxret.data.images.decode import BadImage, decode
from jaxret.data.images.opening import peek
from jaxret.data.query import turned, upright_box
from jaxret.evaluation import protocols

CORRECT, WRONG, JUNK, UNJUDGED = "correct", "wrong", "junk", "unjudged"
HIT_SIDE, QUERY_SIDE = 168, 320  # pixels of a thumbnail's longer side
BEST, BETWEEN, WORST, ASKED = "best", "in between", "worst", "asked"
BOX_COLOUR = (255, 196, 0)  # on a dark edge: seen on light and dark photographs


@dataclass(frozen=True)
class Picture:
    """A thumbnail; `uri` is empty and `problem` says why where the photograph cannot be read."""

    name: str
    uri: str
    width: int = 0
    height: int = 0
    problem: str = ""


@dataclass(frozen=True)
class Hit:
    """One result: its place in the ranking (from 1) and what the ground truth says of it."""

    rank: int
    status: str
    picture: Picture
    similarity: float | None = None


@dataclass(frozen=True)
class QueryRow:
    """One query with its first results.

    Attributes:
      why: what it was chosen for: best, in between, worst, asked.
      ap: a fraction; None without ground truth.
      positives: how many photographs should be found; None without ground truth.
      first_correct: rank of the first right one in the whole ranking given, from 1; None if none.
    """

    picture: Picture
    hits: tuple[Hit, ...]
    why: str = ASKED
    ap: float | None = None
    positives: int | None = None
    first_correct: int | None = None

    @property
    def found(self) -> int:
        """How many of the results shown are right."""
        return sum(hit.status == CORRECT for hit in self.hits)


@dataclass(frozen=True)
class Sheet:
    """Queries of one model on one dataset under one ranking and protocol."""

    dataset: str
    rows: tuple[QueryRow, ...]
    model: str = ""
    ranking: str = ""
    protocol: str = ""

    @property
    def judged(self) -> bool:
        """Whether there is ground truth that says what is right."""
        return any(row.positives is not None for row in self.rows)

    @property
    def scored(self) -> bool:
        """Whether the results carry their similarity."""
        return any(hit.similarity is not None for row in self.rows for hit in row.hits)

    def size(self) -> int:
        """Bytes that the pictures take within a page."""
        pictures = [p for row in self.rows for p in (row.picture, *(h.picture for h in row.hits))]
        return sum(len(picture.uri) for picture in pictures)


def picture_sheet(
    dataset: Dataset,
    ranks: np.ndarray,
    figure: Mapping[str, Any] | None = None,
    similarities: np.ndarray | None = None,
    queries: Sequence[int] | None = None,
    top: int = 10,
) -> Sheet:
    """Best, worst and some queries in between, each with its first results.

    Args:
      dataset: database and queries, with ground truth where `figure` is given.
      ranks: ids of the database, best first, (Q, K) with K >= top where the database has as many.
      figure: a figure of the results: its `ap` chooses the queries, its `protocol` judges the
        results; None for a search without ground truth.
      similarities: of the ranks, (Q, K).
      queries: which to show; None lets the APs choose, or without them takes the first ten.
      top: results a query.
    """
    ranks = np.asarray(ranks)
    chosen = _choose(figure, len(ranks)) if queries is None else [(q, ASKED) for q in queries]
    thumbnails = _Thumbnails(dataset.database)
    rows = []
    for query, why in chosen:
        status, positives = judged(dataset, figure, query)
        hits = tuple(
            Hit(
                rank=place + 1,
                status=status.get(int(image), WRONG) if positives is not None else UNJUDGED,
                picture=thumbnails[int(image)],
                similarity=None if similarities is None else float(similarities[query][place]),
            )
            for place, image in enumerate(ranks[query][:top])
            if image >= 0  # -1: the ranking ended before
        )
        picture = thumbnail(dataset.queries, query, QUERY_SIDE)
        ap = None if figure is None else figure["ap"][query]
        first = _first(ranks[query], status)
        rows.append(QueryRow(picture, hits, why, ap, positives, first))
    named = {key: str(figure[key]) for key in ("model", "ranking", "protocol")} if figure else {}
    return Sheet(dataset.name, tuple(rows), **named)


def _choose(figure: Mapping[str, Any] | None, count: int) -> list[tuple[int, str]]:
    """Two best, four spread evenly between, four worst; each query once."""
    if figure is None:
        return [(query, ASKED) for query in range(min(count, 10))]
    judged = [query for query, ap in enumerate(figure["ap"]) if ap is not None and ap == ap]
    order = sorted(judged, key=lambda query: (-figure["ap"][query], query))
    if len(order) <= 10:
        third = max(1, len(order) // 3)
        whys = [BEST] * third + [BETWEEN] * (len(order) - 2 * third) + [WORST] * third
        return list(zip(order, whys[-len(order) :], strict=True)) if order else []
    middle = order[2:-4]
    spread = sorted({(2 * part + 1) * len(middle) // 8 for part in range(4)})
    return [
        *((query, BEST) for query in order[:2]),
        *((middle[place], BETWEEN) for place in spread),
        *((query, WORST) for query in order[-4:]),
    ]


def judged(
    dataset: Dataset, figure: Mapping[str, Any] | None, query: int
) -> tuple[dict[int, str], int | None]:
    """The status of every judged photograph of the database, and the number of positives."""
    if figure is None or dataset.ground_truth is None:
        return {}, None
    row = protocols.get(figure["protocol"])
    positives, junk = protocols.split(row, dataset.ground_truth[query], query)
    status = {int(image): JUNK for ids in junk for image in ids}
    status |= {int(image): CORRECT for ids in positives for image in ids}
    return status, sum(one == CORRECT for one in status.values())


def _first(ranks: np.ndarray, status: Mapping[int, str]) -> int | None:
    correct = [image for image, what in status.items() if what == CORRECT]
    places = np.flatnonzero(np.isin(ranks, correct))
    return int(places[0]) + 1 if len(places) else None


class _Thumbnails:
    """Thumbnails of the database, each made once."""

    def __init__(self, database: Split) -> None:
        self._database = database
        self._made: dict[int, Picture] = {}

    def __getitem__(self, image: int) -> Picture:
        if image not in self._made:
            self._made[image] = thumbnail(self._database, image, HIT_SIDE, with_box=False)
        return self._made[image]


def thumbnail(split: Split, index: int, side: int, with_box: bool = True) -> Picture:
    """A small JPEG of one photograph as a data URI, its box drawn in."""
    name = split.names[index]
    try:
        written, size = small_jpeg(split, index, side, with_box)
    except BadImage as error:
        return Picture(name, "", problem=error.reason)
    return Picture(name, "data:image/jpeg;base64," + base64.b64encode(written).decode(), *size)


def small_jpeg(
    split: Split, index: int, side: int, with_box: bool = True
) -> tuple[bytes, tuple[int, int]]:
    """One photograph as a JPEG, its longer side at most `side`, its box drawn in; and its size.

    Raises:
      BadImage: it cannot be read.
    """
    encoded = split.read(index)
    image = decode(encoded, split.names[index])
    scale = side / max(image.size)
    if scale < 1:
        size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
        image = image.resize(size, Image.Resampling.LANCZOS, reducing_gap=2.0)
    if with_box and (box := split.boxes[index]) is not None:
        orientation, size = peek(encoded)
        _draw_box(
            image, upright_box(box, size, orientation), image.width / turned(size, orientation)[0]
        )
    written = io.BytesIO()
    image.save(written, "JPEG", quality=80, optimize=True)
    return written.getvalue(), image.size


def _draw_box(image: Image.Image, box: Box, scale: float) -> None:
    """A bright line on a dark one, inside the picture even where the box touches its edge."""
    right, bottom = image.width - 2, image.height - 2
    x1, x2 = (min(max(1, round(scale * x)), right) for x in (box[0], box[2]))
    y1, y2 = (min(max(1, round(scale * y)), bottom) for y in (box[1], box[3]))
    if x2 - x1 < 2 or y2 - y1 < 2:
        return
    draw = ImageDraw.Draw(image)
    draw.rectangle((x1 - 1, y1 - 1, x2 + 1, y2 + 1), outline=(20, 20, 20), width=6)
    draw.rectangle((x1, y1, x2, y2), outline=BOX_COLOUR, width=4)
