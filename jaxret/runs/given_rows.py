"""Descriptors in one file or in several, brought into the order of names.

FILE                   all rows; FILE#NAME one of several arrays in it
FILE,FILE,...          shards, one behind the other
features_*.hdf5        likewise, in the order of their names
"""

import glob
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from jaxret.convert.descriptor_files import FoundRows, Rows, find_rows
from jaxret.data.dataset import printable
from jaxret.data.loose_names import LooseNames
from jaxret.descriptors import saving
from jaxret.errors import UserError

CHECKED = 65536  # rows at once


def shards_of(place: str | Path) -> tuple[str, ...]:
    """The files that are named: one as it is, several between commas, patterns as they match.

    Raises:
        UserError: a pattern matches nothing, or a file comes twice.
    """
    text = str(place)
    if any(Path(whole).expanduser().exists() for whole in (text, text.partition("#")[0])):
        return (text,)
    shards: list[str] = []
    for part in filter(None, map(str.strip, text.split(","))):
        shown = str(Path(part).expanduser())
        matching = sorted(glob.glob(shown)) if glob.has_magic(part) else [shown]
        if not matching:
            raise UserError(f"{part} matches no file.")
        shards += matching
    real = [Path(shard).resolve() for shard in shards]
    for number, shard in enumerate(shards):
        if real[number] in real[:number]:
            raise UserError(f"{shard} is listed twice: each file of descriptors counts once.")
    return tuple(shards) or (text,)


def read_all(places: Sequence[str], count: int | None, said: str) -> Rows:
    """The rows of all files, one behind the other; beside the whole only one file is in memory.

    Args:
        places: of `shards_of`.
        count: how many are wanted, where that is known.
        said: half a sentence for errors: what names them.

    Raises:
        UserError: see `find_rows`; files of several dimensions, a name in two of them, names in
            some only, NaN in a row that has a name.
    """
    found = [find_rows(place, count if len(places) == 1 else None, said) for place in places]
    found = [_named(one, place) for one, place in zip(found, places, strict=True)]
    first = found[0]
    for one in found:
        if one.names is not None and len(one.names) != one.shape[0]:
            raise UserError(
                f"{one.source} has {one.shape[0]} rows and {len(one.names)} names: one name a row."
            )
        if one.shape[1] != first.shape[1]:
            raise UserError(
                f"{one.source} has {one.shape[1]} numbers a row and {first.source} has "
                f"{first.shape[1]}: all must come from one encoder."
            )
        if (one.names is None) != (first.names is None):
            raise UserError(
                f"{one.source} and {first.source}: one names its rows and one does not; only files "
                "of one kind can be read together."
            )
    names = _names_of(found)
    vectors = np.empty((sum(one.shape[0] for one in found), first.shape[1]), np.float32)
    start = 0
    for one in found:
        part = vectors[start : start + one.shape[0]]
        with np.errstate(over="ignore"):
            part[:] = one.read()
        _refuse_nan(part, one)
        start += one.shape[0]
    source = first.source if len(found) == 1 else f"{first.source} and {len(found) - 1} more"
    return Rows(vectors, names, source)


def _named(found: FoundRows, place: str) -> FoundRows:
    """With the names.txt of a folder of descriptors where the file itself has none."""
    path = Path(place)
    beside = {saving.DATABASE: saving.NAMES, saving.QUERIES: saving.QUERY_NAMES}.get(path.name)
    if found.names is not None or beside is None or not path.with_name(beside).is_file():
        return found
    return replace(found, names=tuple(path.with_name(beside).read_text("utf-8").splitlines()))


def _names_of(found: Sequence[FoundRows]) -> tuple[str, ...] | None:
    """The names of all rows; UserError where two files have one in common."""
    if found[0].names is None:
        return None
    home: dict[str, str] = {}
    for one in found if len(found) > 1 else ():
        for name in one.names or ():
            other = home.setdefault(name, one.source)
            if other != one.source:
                raise UserError(
                    f"{name!r} has a row in {other} and one in {one.source}: one row a photograph."
                )
    return tuple(name for one in found for name in one.names or ())


def _refuse_nan(rows: np.ndarray, found: FoundRows) -> None:
    """Ends at a named row that is not finite; the ranking itself tells of those without a name."""
    for start in range(0, len(rows) if found.names is not None else 0, CHECKED):
        sums = rows[start : start + CHECKED].sum(axis=1, dtype=np.float64)  # NaN where any is
        bad = np.flatnonzero(~np.isfinite(sums))
        if len(bad):
            assert found.names is not None
            raise UserError(
                f"{found.source}: the row of {found.names[start + bad[0]]!r} holds NaN or infinite "
                "numbers; leave that photograph out or extract its descriptor again."
            )


def in_order(rows: Rows, names: Sequence[str], said: str) -> Rows:
    """The rows whose names are asked for; as they are where they stand in that order.

    Raises:
        UserError: a name has no row, or two rows have one name.
    """
    assert rows.names is not None
    if list(rows.names) == [printable(name) for name in names]:
        return rows
    place = {name: number for number, name in enumerate(rows.names)}
    if len(place) < len(rows.names):
        raise UserError(f"{rows.source} has rows of one name, and not the {said} in their order.")
    loose = LooseNames(lambda: place)
    found = [name if name in place else loose.find(name) for name in map(printable, names)]
    missing = [name for name, one in zip(names, found, strict=True) if one is None]
    if missing:
        raise UserError(
            f"{rows.source} has no row of {len(missing)} of the {len(names)} {said}, such as "
            f"{missing[0]!r}."
        )
    order = [place[name] for name in found if name is not None]
    return replace(rows, vectors=rows.vectors[order], names=tuple(names))
