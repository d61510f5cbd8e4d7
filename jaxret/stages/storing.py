"""The database's descriptors as they are kept: whole, or as codes that are searched instead."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from jaxret.ranking.compression.index import CompressedIndex
from jaxret.ranking.rankings import Stored
from jaxret.ranking_names import step_names
from jaxret.settings import TRUE_DIM, Settings
from jaxret.stages.context import RunContext
from jaxret.stages.features import Features, joined
from jaxret.stages.whitening import apply, database_of, whitening, whitening_key
from jaxret.store_flag import WHOLE


def stored(database: np.ndarray, learnt_on: np.ndarray | None, settings: Settings) -> Stored | None:
    """The codes that take the database's place; None where it is kept whole.

    Args:
      database: [N, D] as it is ranked.
      learnt_on: descriptors that the codes are learnt on, None for the database's.
      settings: that say how it is kept.

    Raises:
      UserError: descriptors of this dimension cannot be kept so.
    """
    if settings.store == WHOLE:
        return None
    index = CompressedIndex.fit(database, settings.store, learnt_on=learnt_on)
    return Stored(index, settings.store_rescore)


def size(database: np.ndarray, kept: Stored | None) -> int:
    """Bytes a photograph of what is searched."""
    return 4 * database.shape[1] if kept is None else kept.index.bytes_a_row


def descriptors(database: np.ndarray, kept: Stored | None) -> np.ndarray:
    """What is known of the database: its descriptors, or what the codes say of them."""
    return database if kept is None else kept.index.decoded()


def notes(database: np.ndarray, kept: Stored | None, settings: Settings) -> tuple[str, ...]:
    """For the report."""
    if kept is None:
        return ()
    where = settings.whiten_on or "the database"
    said = (
        f"Kept as {settings.store}, a photograph's descriptor takes {size(database, kept)} bytes, "
        f"{size(database, None)} as {WHOLE}; the codes were learnt on {where}, queries are whole, "
        "and AQE, DBA, DFS and re-rankings work with what the codes say"
    )
    if kept.rescored:
        said += (
            f"; the first {kept.rescored} results of a search in codes are put in the order of "
            "their whole descriptors, which lie beside the codes"
        )
    return (f"{said}.",)


def ranking_notes(ranking: str, kept: Stored | None) -> tuple[str, ...]:
    """For the report, where a ranking does not search in codes alone."""
    if kept is None or "DBA" not in step_names(ranking):
        return ()
    return ("What DBA averages of a compressed database is searched in float32, not as codes.",)


def other_database(
    features: Sequence[Features], settings: Settings, context: RunContext
) -> np.ndarray | None:
    """Descriptors of the database that the whitening is learnt on, None for the evaluated one."""
    if not settings.whiten_on or settings.store == WHOLE:
        return None
    others = context.members(settings, settings.whiten_on)
    rows = joined([database_of(one, context) for one in others], others)
    if settings.pca_dim == TRUE_DIM:
        return apply(rows, None)
    return apply(rows, whitening(rows, features, settings, context)[0])


def origin(settings: Settings, context: RunContext) -> dict[str, Any]:
    """What decides the codes beside the database, for a key; nothing where it is whole."""
    if settings.store == WHOLE:
        return {}
    key: dict[str, Any] = {"as": settings.store, "rescored": settings.store_rescore}
    if settings.whiten_on:
        key["learnt on"] = whitening_key(context.members(settings, settings.whiten_on))
    return {"store": key}
