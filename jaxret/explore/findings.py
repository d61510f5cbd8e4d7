"""Stored results as plain data for the page: queries with their AP, one query with its results.

Numbers of photographs are their places in the whole dataset; ranks count from 1, junk included.
APs are fractions; None where there are none.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from jaxret.errors import UserError
from jaxret.explore.catalogue import Entry
from jaxret.explore.stored import Lists, Stored
from jaxret.report.figures.pictures import CORRECT, UNJUDGED, WRONG, judged
from jaxret.report.results import PROTOCOLS
from jaxret.stages.whitening import Whitened

SHOWN = 100  # results of a query
MISSED = 500  # positives that are listed beside them, at most

Plain = dict[str, Any]


def protocols_of(entry: Entry, stored: Stored) -> list[str]:
    """Those of the dataset in the order of reports."""
    found = stored.dataset(entry).protocols
    return sorted(found, key=lambda one: (*PROTOCOLS, one).index(one))


def queries(entry: Entry, ranking: str, protocol: str | None, stored: Stored) -> Plain:
    """All queries in their order, each with its name and AP; and the mean."""
    dataset, lists = stored.dataset(entry), stored.lists(entry, ranking)
    figure = _figure(lists, protocol)
    aps: list[float | None] = [None] * len(dataset.queries)
    for query, ap in zip(lists.queries, figure["ap"] if figure else (), strict=False):
        aps[int(query)] = ap
    return {
        "names": list(dataset.queries.names),
        "aps": aps,
        "map": figure["map"] if figure else None,
        "remade": lists.remade,
        "unread": [int(query) for query in lists.found.unread.get("queries", ())],
    }


def one_query(
    entry: Entry, ranking: str, protocol: str | None, query: int, stored: Stored
) -> Plain:
    """The first results of a query, marked, and the positives that are not among them."""
    lists = stored.lists(entry, ranking)
    place = _place(lists, query)
    figure = _figure(lists, protocol)
    marks, positives = judged(lists.found.dataset, figure, place)
    ids = lists.ids[place, :SHOWN]
    missed = _missed(marks, ids)
    rows = stored.rows(entry)
    return {
        "name": stored.dataset(entry).queries.names[query],
        "ap": figure["ap"][place] if figure else None,
        "positives": positives,
        "results": _photographs(lists, ids, _similarities(rows, place, ids))
        | {"marks": [_mark(marks, positives, int(one)) for one in ids]},
        "missed": len(missed),
        "may_be_whole": stored.may_be_whole(entry),
        "scored": rows is not None,
    }


def missed(entry: Entry, ranking: str, protocol: str | None, query: int, stored: Stored) -> Plain:
    """The positives that are not among the first results, and their ranks in the whole list.

    Where whole lists would be too large to be made (`Stored.may_be_whole`), without ranks.
    """
    whole = stored.may_be_whole(entry)
    lists = stored.lists(entry, ranking, whole)
    place = _place(lists, query)
    marks, _ = judged(lists.found.dataset, _figure(lists, protocol), place)
    ranked = lists.ids[place]
    ids = _missed(marks, ranked[:SHOWN])
    rank_of = {int(one): rank for rank, one in enumerate(ranked, 1)} if whole else {}
    ids = sorted(ids, key=lambda one: (rank_of.get(one, 0), one))[:MISSED]
    found = _photographs(lists, np.asarray(ids, np.int64), None)
    rows = stored.rows(entry)
    return found | {
        "ranks": [rank_of.get(one) for one in ids],
        "similarities": _similarities(rows, place, np.asarray(ids, np.int64)),
    }


def _figure(lists: Lists, protocol: str | None) -> Plain | None:
    """The figures of a protocol; None without ground truth."""
    known = {figure["protocol"]: figure for figure in lists.found.figures}
    if protocol is None and not known:
        return None
    if protocol not in known:
        raise UserError(f"There is no protocol {protocol!r} here, only {', '.join(known)}.")
    return known[protocol]


def _place(lists: Lists, query: int) -> int:
    """Of a query among the readable ones."""
    place = int(np.searchsorted(lists.queries, query))
    if place == len(lists.queries) or lists.queries[place] != query:
        raise UserError(f"There is no query {query}, or its photograph cannot be read.")
    return place


def _mark(marks: Mapping[int, str], positives: int | None, image: int) -> str:
    return UNJUDGED if positives is None else marks.get(image, WRONG)


def _missed(marks: Mapping[int, str], shown: np.ndarray) -> list[int]:
    seen = set(shown.tolist())
    return [image for image, mark in marks.items() if mark == CORRECT and image not in seen]


def _photographs(lists: Lists, ids: np.ndarray, similarities: list[float] | None) -> Plain:
    names = lists.found.dataset.database.names
    return {
        "numbers": lists.database[ids].tolist(),
        "names": [names[int(one)] for one in ids],
        "similarities": similarities,
    }


def _similarities(rows: Whitened | None, query: int, ids: np.ndarray) -> list[float] | None:
    """Cosines of the descriptors as they were ranked."""
    if rows is None:
        return None
    found: list[float] = (rows.database[ids] @ rows.queries[query]).astype(np.float64).tolist()
    return found
