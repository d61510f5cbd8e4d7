"""Ground truth by labels: what has the same label answers, beside the lists a query of the files.

Each is the `GroundTruth` of all others: `ok` holds the photographs with the query's label, `junk`
the query's own photograph where it is left out of the ranking.
"""

from collections.abc import Hashable, Sequence

from jaxret.data.ground_truth.files import GroundTruth

ITSELF = ("left out", "kept")


def all_against_all(
    names: Sequence[str], labels: Sequence[Hashable], itself: str = "left out"
) -> GroundTruth:
    """Every photograph asks for all with its label in the whole set.

    Args:
      names: N photographs, each once.
      labels: N, one a photograph.
      itself: whether the query's own photograph is "left out" of the ranking (SOP, folders) or
        "kept" as one that is right (GPR1200, UKBench).

    A photograph alone with its label has nothing to find where it is left out itself.
    """
    if itself not in ITSELF:
        raise ValueError(f"itself is {itself!r}; known: {', '.join(ITSELF)}")
    places = _places(labels)
    gnd: list[dict] = []
    for place, label in enumerate(labels):
        same = places[label]
        if itself == "kept":
            gnd.append({"ok": list(same), "junk": []})
        else:
            gnd.append({"ok": [other for other in same if other != place], "junk": [place]})
    return GroundTruth(list(names), list(names), gnd)


def queries_against_database(
    names: Sequence[str],
    labels: Sequence[Hashable],
    query_names: Sequence[str],
    query_labels: Sequence[Hashable],
) -> GroundTruth:
    """Queries that are not in the database; a label that it has not has nothing to find.

    Args:
      names, labels: of the database.
      query_names, query_labels: of the queries.
    """
    places = _places(labels)
    gnd = [{"ok": list(places.get(label, ())), "junk": []} for label in query_labels]
    return GroundTruth(list(names), list(query_names), gnd)


def some_against_all(
    names: Sequence[str], labels: Sequence[Hashable], queries: Sequence[int]
) -> GroundTruth:
    """Some photographs of the set ask for the others with their label; themselves left out.

    Args:
      names, labels: as `all_against_all`.
      queries: places of those that ask.
    """
    whole = all_against_all(names, labels, itself="left out")
    return GroundTruth(
        whole.imlist, [names[place] for place in queries], [whole.gnd[place] for place in queries]
    )


def _places(labels: Sequence[Hashable]) -> dict[Hashable, list[int]]:
    places: dict[Hashable, list[int]] = {}
    for place, label in enumerate(labels):
        places.setdefault(label, []).append(place)
    return places
