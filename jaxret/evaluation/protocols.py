"""The protocols of the five benchmarks, as rows of data.

A row says which lists of a query's ground truth are positives and which are junk: neither right
nor wrong, taken out of the ranking before anything is counted. Everything else is a negative.
Sources: Philbin et al., CVPR 2007 and 2008 (classic Oxford5k and Paris6k); Radenovic et al., CVPR
2018 (easy, medium, hard); Iscen et al., CVPR 2017 (INSTRE).
"""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from jaxret.errors import UserError


@dataclass(frozen=True)
class Protocol:
    """Which lists of the ground truth count as what.

    Attributes:
      positives: names of the lists that should be found.
      junk: names of the lists that are ignored; a missing list named "junk" is an empty one.
      query_in_database: whether the query's own photograph lies in the benchmark's database. On
        Oxford5k and Paris6k it does, and counts as a positive.
    """

    name: str
    positives: tuple[str, ...]
    junk: tuple[str, ...]
    query_in_database: bool


PROTOCOLS = {
    row.name: row
    for row in (
        Protocol("classic", ("ok",), ("junk",), query_in_database=True),
        Protocol("easy", ("easy",), ("junk", "hard"), query_in_database=False),
        Protocol("medium", ("easy", "hard"), ("junk",), query_in_database=False),
        Protocol("hard", ("hard",), ("junk", "easy"), query_in_database=False),
        Protocol("instre", ("ok",), (), query_in_database=False),
    )
}


def get(name: str) -> Protocol:
    """The row of that name; UserError names the nearest and all."""
    if name in PROTOCOLS:
        return PROTOCOLS[name]
    nearest = difflib.get_close_matches(name, PROTOCOLS, n=1)
    hint = f" Nearest: {nearest[0]}." if nearest else ""
    raise UserError(f"Unknown protocol {name!r}.{hint} Known: {', '.join(PROTOCOLS)}.")


def default_for(truth: Mapping[str, Any]) -> Protocol:
    """The protocol that a query's lists are written for: `ok` means classic, else medium."""
    return PROTOCOLS["classic" if "ok" in truth else "medium"]


def split(protocol: Protocol, truth: Mapping[str, Any], query: int) -> tuple[list[Any], list[Any]]:
    """The lists of positives and the lists of junk of one query, in the order of the row.

    Raises:
      UserError: the ground truth is of another kind and lacks a list.
    """
    named: list[Any] = []
    for name in (*protocol.positives, *protocol.junk):
        if name not in truth and name != "junk":
            raise UserError(
                f"Protocol {protocol.name!r} needs the list {name!r}, which the ground truth of "
                f"query {query} has not; it has {', '.join(map(repr, truth)) or 'nothing'}."
            )
        named.append(truth.get(name, []))
    return named[: len(protocol.positives)], named[len(protocol.positives) :]
