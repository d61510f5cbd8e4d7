"""What every ground truth must satisfy before a number is computed from it.

A wrong ground truth does not fail, it gives a wrong mAP: indices read 1-based or as floats, an id
that is positive and junk at once, a box written as (x, y, w, h). Each check names the file, the
query and the value.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from jaxret.data.benchmarks.registry import Benchmark
from jaxret.errors import UserError
from jaxret.evaluation.measures import measure

KINDS = {"revisited": ("easy", "hard", "junk"), "classic": ("ok", "junk")}
_OPTIONAL = ("junk", "bbx")

# A box may reach this far past the photograph: some files count pixels from 1, ends inclusive.
BOX_TOLERANCE = 1.0


def check_names(value: Any, key: str, where: str, *, unique: bool) -> list[str]:
    """A list of photograph names: relative paths or bare names, not empty.

    Args:
      value: what the file holds under `key`.
      key: "imlist" or "qimlist", for the message.
      where: the file, for the message.
      unique: whether a name twice is an error (two queries may share one photograph).
    """
    if not isinstance(value, list | tuple) or not value:
        raise UserError(
            f"{where}: {key} is {_show(value)}; it must be a list of one or more photograph names."
        )
    for place, name in enumerate(value):
        if not isinstance(name, str) or not name or "\0" in name:
            raise UserError(f"{where}: {key}[{place}] is {_show(name)}, not a photograph's name.")
        if name.startswith(("/", "\\")) or ".." in name.replace("\\", "/").split("/"):
            raise UserError(
                f"{where}: {key}[{place}] is {_show(name)}; names must stay inside the folder of "
                "photographs, so write them relative to it and without '..'."
            )
    if unique and len(set(value)) < len(value):
        twice = Counter(value).most_common(1)[0][0]
        raise UserError(f"{where}: {key} names {twice!r} twice; each photograph has one place.")
    return list(value)


def check_metrics(value: Any, where: str) -> tuple[str, ...]:
    """Keys of `evaluation.measures` that a file asks to be evaluated by; may be none."""
    if not isinstance(value, list | tuple) or not all(isinstance(key, str) for key in value):
        raise UserError(f"{where}: metrics is {_show(value)}; it must be a list of metrics' keys.")
    for key in value:
        try:
            measure(key)
        except UserError as error:
            raise UserError(f"{where}: {error}") from None
    return tuple(value)


def check_depth(value: Any, where: str) -> int | None:
    """How many results of a query count; None for all."""
    if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
        raise UserError(f"{where}: depth is {_show(value)}; it must be a whole number above 0.")
    return value


def check_queries(
    gnd: Any, qimlist: Sequence[str], database_size: int, where: str
) -> list[dict[str, Any]]:
    """The entries of `gnd`, one a query, all of one kind; a missing `junk` is read as none.

    Returns:
      Plain dicts: {"easy", "hard", "junk"} or {"ok", "junk"}, lists of int, and "bbx" where given.
    """
    if not isinstance(gnd, list | tuple):
        raise UserError(f"{where}: gnd is {_show(gnd)}; it must be a list with an entry a query.")
    if len(gnd) != len(qimlist):
        raise UserError(
            f"{where}: gnd has {len(gnd)} entries for {len(qimlist)} queries; each must have one."
        )
    kind = _kind(gnd[0], f"{where}: query 0 ({qimlist[0]})")
    checked = []
    for place, (name, entry) in enumerate(zip(qimlist, gnd, strict=True)):
        query = f"{where}: query {place} ({name})"
        if _kind(entry, query) != kind:
            raise UserError(f"{query} has the keys {sorted(entry)}, but query 0 is {kind}.")
        checked.append(_check_entry(entry, KINDS[kind], database_size, query))
    return checked


def check_box(box: Any, query: str) -> list[float]:
    """Four finite numbers x1, y1, x2, y2 in pixels with 0 <= x1 < x2 and 0 <= y1 < y2."""
    numbers = isinstance(box, list | tuple) and len(box) == 4 and all(map(_is_number, box))
    if not numbers or not all(map(math.isfinite, box)):
        raise UserError(
            f"{query}: bbx is {_show(box)}; it must be four finite numbers x1 y1 x2 y2."
        )
    x1, y1, x2, y2 = box
    if not (0 <= x1 < x2 and 0 <= y1 < y2):
        raise UserError(
            f"{query}: bbx is {_show(box)}; it must be x1 y1 x2 y2 with 0 <= x1 < x2 and "
            "0 <= y1 < y2, the corners and not a width and height."
        )
    return list(box)


def check_boxes_inside(
    qimlist: Sequence[str],
    boxes: Sequence[Sequence[float] | None],
    sizes: Sequence[tuple[int, int] | None],
    where: str,
) -> None:
    """Each box lies inside its photograph of (width, height) pixels; None is not checked."""
    for place, (name, box, size) in enumerate(zip(qimlist, boxes, sizes, strict=True)):
        if box is None or size is None:
            continue
        if box[2] > size[0] + BOX_TOLERANCE or box[3] > size[1] + BOX_TOLERANCE:
            raise UserError(
                f"{where}: query {place} ({name}): bbx {_show(list(box))} reaches outside its "
                f"photograph of {size[0]} x {size[1]} pixels; is this the photograph that the box "
                "was drawn on, in its original size?"
            )


def check_published(
    row: Benchmark,
    imlist: Sequence[str],
    qimlist: Sequence[str],
    gnd: Sequence[Mapping[str, Any]],
    where: str,
) -> None:
    """What was published about a benchmark holds for this file: counts, lists, query images."""
    found = (len(imlist), len(qimlist))
    if found != (row.database, row.queries):
        raise UserError(
            f"{where}: {found[0]} database photographs and {found[1]} queries, but {row.name} has "
            f"{row.database} and {row.queries}; is this {row.files[0].file}?"
        )
    if not set(KINDS[row.kind]) - set(_OPTIONAL) <= set(gnd[0]):
        raise UserError(
            f"{where}: queries have {sorted(gnd[0])}, but those of {row.name} have "
            f"{', '.join(KINDS[row.kind])}; is this {row.files[0].file}?"
        )
    database = set(imlist)
    for place, name in enumerate(qimlist):
        if (name in database) != row.query_in_database:
            belongs = "must" if row.query_in_database else "must not"
            raise UserError(
                f"{where}: query {place} ({name}): {row.name}'s query photographs {belongs} be in "
                "the database."
            )
    if row.name == "instre":
        _check_instre_sets(imlist, qimlist, gnd, where)


def _check_instre_sets(
    imlist: Sequence[str],
    qimlist: Sequence[str],
    gnd: Sequence[Mapping[str, Any]],
    where: str,
) -> None:
    """S2 objects are in S2 alone, those of S1 and M never in S2.

    Indices that are off by one break this for 15 queries, at the borders of the three sets.
    """
    in_s2 = [name.startswith("INSTRE-S2/") for name in imlist]
    for place, (name, entry) in enumerate(zip(qimlist, gnd, strict=True)):
        for number in entry["ok"]:
            if in_s2[number] != name.startswith("INSTRE-S2/"):
                raise UserError(
                    f"{where}: query {place} ({name}): ok holds {number}, {imlist[number]}, of a "
                    "set that cannot show this object; are the indices off by one?"
                )


def _kind(entry: Any, query: str) -> str:
    if not isinstance(entry, Mapping):
        raise UserError(f"{query} is {_show(entry)}; it must be a dict of lists.")
    for kind, lists in KINDS.items():
        needed = set(lists) - set(_OPTIONAL)
        if needed <= set(entry) <= set(lists) | set(_OPTIONAL):
            return kind
    raise UserError(
        f"{query} has the keys {sorted(map(str, entry))}; allowed are easy and hard, or ok, and "
        "beside them junk and bbx."
    )


def _check_entry(
    entry: Mapping[str, Any], lists: Sequence[str], database_size: int, query: str
) -> dict[str, Any]:
    checked: dict[str, Any] = {}
    listed_in: dict[int, str] = {}
    for key in lists:
        checked[key] = _check_ids(entry.get(key, []), key, database_size, query)
        for number in checked[key]:
            if number in listed_in:
                other = listed_in[number]
                both = f"twice in {key}" if other == key else f"in {other} and in {key}"
                raise UserError(f"{query}: photograph {number} is {both}; it may be listed once.")
            listed_in[number] = key
    if entry.get("bbx") is not None:  # null: the whole photograph
        checked["bbx"] = check_box(entry["bbx"], query)
    return checked


def _check_ids(ids: Any, key: str, database_size: int, query: str) -> list[int]:
    if not isinstance(ids, list | tuple):
        raise UserError(f"{query}: {key} is {_show(ids)}; it must be a list of integers.")
    for number in ids:
        if type(number) is not int:  # True is an int to isinstance
            raise UserError(f"{query}: {key} holds {_show(number)}; it must hold integers only.")
        if not 0 <= number < database_size:
            hint = " (counted from 1?)" if number == database_size else ""
            raise UserError(
                f"{query}: {key} holds {_show(number)}{hint}; the {database_size} photographs of "
                f"the database have the numbers 0 to {database_size - 1}."
            )
    return list(ids)


def _is_number(value: Any) -> bool:
    return type(value) in (int, float)


def _show(value: Any) -> str:
    """The value for a message: short whatever it is, nested or huge."""
    if isinstance(value, list | tuple) and not all(map(_is_number, value[:5])):
        return f"a {type(value).__name__} of {len(value)} {type(value[0]).__name__}"
    if isinstance(value, Mapping | list | tuple) and len(value) > 5:
        return f"a {type(value).__name__} of {len(value)}"
    if type(value) is int and value.bit_length() > 64:
        return f"an integer of {value.bit_length()} bits"
    text = repr(value) if isinstance(value, str | int | float | list | tuple | type(None)) else ""
    return text if 0 < len(text) <= 80 else f"a {type(value).__name__}"
