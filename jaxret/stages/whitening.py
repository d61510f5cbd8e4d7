"""Features to the descriptors that are ranked: concatenated, PCA-whitened, L2-normalised.

The eigendecomposition of a database is made once, at the largest dimension that the run asks for,
and kept in the workdir; smaller dimensions are prefixes of it.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from jaxret import defaults
from jaxret.descriptors.pooling import l2_normalize
from jaxret.descriptors.shards import Descriptors
from jaxret.descriptors.whitening import PCAWhitening
from jaxret.errors import UserError
from jaxret.settings import STORED, TRUE_DIM, Settings
from jaxret.stages.context import RunContext, any_dimension
from jaxret.stages.features import Features, joined

_STAGE_VERSION = 1  # raise it when the same key would give another whitening


@dataclass(frozen=True)
class Whitened:
    """What is ranked: queries [Q, D] and database [N, D]; the notes are for the report.

    Attributes:
      learnt: whether a PCA made them.
    """

    queries: np.ndarray
    database: np.ndarray
    notes: tuple[str, ...] = ()
    learnt: bool = False


def whiten(
    described: Sequence[tuple[Descriptors, Descriptors]],
    features: Sequence[Features],
    settings: Settings,
    context: RunContext,
) -> Whitened:
    """The members' descriptors of queries and database, joined and whitened as the settings say."""
    queries, database = (joined(parts, features) for parts in zip(*described, strict=True))
    learnt: PCAWhitening | None = None
    notes: tuple[str, ...] = ()
    if settings.pca_dim != TRUE_DIM:
        learnt, notes = whitening(database, features, settings, context)
    rows = apply(queries, learnt), apply(database, learnt)
    return Whitened(*rows, notes, learnt is not None)


def apply(rows: np.ndarray, learnt: PCAWhitening | None) -> np.ndarray:
    """What was joined, [n, C] -> [n, D]; of regions [n, R, C] the sum of what each becomes."""
    each = _flat(rows) if learnt is None else np.asarray(learnt(_flat(rows)))
    if rows.ndim == 2:
        return each
    return np.asarray(l2_normalize(each.reshape(*rows.shape[:2], -1).sum(axis=1)))


def _flat(rows: np.ndarray) -> np.ndarray:
    return rows.reshape(-1, rows.shape[-1])


def whitening(
    database: np.ndarray, features: Sequence[Features], settings: Settings, context: RunContext
) -> tuple[PCAWhitening | None, tuple[str, ...]]:
    """Learnt on this database [N, C], on another dataset's, or the one stored with the weights.

    Where regions are whitened, a database is [N, R, C] and each region a row to learn from.

    None where a database is too small to learn one from and no dimension was asked for; and notes.
    """
    if settings.whitening == STORED:
        return _stored_with_weights(settings, context), ()
    if settings.whitening_file:
        return of_file(settings)
    if settings.whiten_on:
        features = context.members(settings, settings.whiten_on)
        database = joined([database_of(one, context) for one in features], features)
    dim, notes = pca_dim(settings.pca_dim, _different(database), database.shape[-1])
    if dim is None:
        return None, notes
    with context.clock.timed("whitening"):
        learnt = _learnt(database, dim, features, settings, context)
    if settings.whitening_floor:
        part = f"{settings.whitening_floor:g} of the largest"
        notes += (f"Variances below {part} were raised to it before whitening.",)
    return learnt, notes


def database_of(features: Features, context: RunContext) -> Descriptors:
    """Descriptors of the database alone."""
    return context.descriptors(features, features.dataset.database)


def _learnt(
    database: np.ndarray,
    dim: int,
    features: Sequence[Features],
    settings: Settings,
    context: RunContext,
) -> PCAWhitening:
    """From the workdir, or fitted at the largest dimension that the run wants and kept there."""
    key: dict[str, Any] = {"stage": _STAGE_VERSION, "database": whitening_key(features)}
    if settings.whitening_floor:
        key["floor"] = settings.whitening_floor
    kept = sorted(context.store.place("whitening", key).glob("pca-*.npz"))
    for path in kept:
        if int(path.stem.removeprefix("pca-")) >= dim:
            return PCAWhitening.load(path).truncate(dim)
    wanted = context.whitening_dims.get(any_dimension(settings), 0)
    largest = max(dim, min(wanted, database.shape[0] - 1, database.shape[-1]))
    fitted = PCAWhitening.fit(_flat(database), largest, floor=settings.whitening_floor)
    fitted.save(context.store.folder("whitening", key) / f"pca-{largest:05d}.npz")
    return fitted.truncate(dim)


def whitening_key(features: Sequence[Features]) -> list[list[Any]]:
    """What tells the rows that a whitening is learnt from."""
    return [one.database_key for one in features]


def _stored_with_weights(settings: Settings, context: RunContext) -> PCAWhitening:
    encoder = context.encoders.load(settings.members[0], settings)
    if encoder.whitening is None or len(settings.members) > 1:
        raise UserError(
            f"No PCA is stored with the weights of {settings.model}: use --whitening=learnt."
        )
    arrays = {name: array for name, array in encoder.whitening.items() if name != "whiten"}
    whitens = bool(encoder.whitening.get("whiten", True))  # else it was fitted to rotate only
    power = defaults.CHECKPOINT_PCA_POWER if whitens else 0.0
    return _cut(PCAWhitening.from_pca(**arrays, power=power), settings)


def of_file(settings: Settings) -> tuple[PCAWhitening, tuple[str, ...]]:
    """The one that --whitening names, to the dimension that is asked for; and a note."""
    from jaxret.convert.whitening_files import read_whitening  # late: a pickled one needs torch

    found = _cut(PCAWhitening.from_pca(**read_whitening(settings.whitening)), settings)
    channels = found.components.shape[1]
    return found, (
        f"Whitened as {settings.whitening} says, from {channels} to {found.dim} dimensions.",
    )


def _cut(found: PCAWhitening, settings: Settings) -> PCAWhitening:
    return found if settings.pca_dim is None else found.truncate(int(settings.pca_dim))


def _digest(found: PCAWhitening) -> str:
    arrays = (found.mean, found.components, found.variance, np.float64(found.power))
    digest = hashlib.sha256(b"".join(np.ascontiguousarray(a).tobytes() for a in arrays))
    return digest.hexdigest()


def origin(features: Sequence[Features], settings: Settings, context: RunContext) -> dict[str, Any]:
    """What decides the whitening, as a key."""
    key: dict[str, Any] = {"dim": settings.pca_dim}
    if settings.pca_dim is None:
        key["by default"] = [
            defaults.PCA_DIM,
            defaults.PCA_PHOTOGRAPHS_PER_DIM,
            defaults.PCA_PHOTOGRAPHS,
        ]
    if settings.pca_dim == TRUE_DIM:
        return key
    if settings.whitening_file:
        return {**key, "file": _digest(of_file(settings)[0])}
    if settings.whitening_floor:
        key["floor"] = settings.whitening_floor
    if settings.whitening == STORED:
        found = _stored_with_weights(settings, context)
        return {**key, "stored": _digest(found)}
    if settings.whiten_on:
        features = context.members(settings, settings.whiten_on)
    return {**key, "learnt on": whitening_key(features)}


def _different(database: np.ndarray) -> int:
    """How many photographs of a small database differ: copies teach a whitening nothing."""
    enough = defaults.PCA_PHOTOGRAPHS_PER_DIM * defaults.PCA_DIM
    rows = len(database)
    # rounded: one photograph's descriptors may differ in their last bits from batch to batch
    whole = database.reshape(rows, -1)
    return rows if rows >= enough else len(np.unique(whole.round(5), axis=0))


def pca_dim(
    asked: int | str | None, rows: int, channels: int
) -> tuple[int | None, tuple[str, ...]]:
    """The dimension asked for, or the study's, or what a small database can bear; and a note.

    None for no whitening at all: fewer than `defaults.PCA_PHOTOGRAPHS` different photographs.
    """
    if asked is not None:
        return int(asked), ()
    if rows >= defaults.PCA_PHOTOGRAPHS_PER_DIM * defaults.PCA_DIM:
        return min(defaults.PCA_DIM, channels), ()
    if rows < defaults.PCA_PHOTOGRAPHS:
        return None, (
            f"The descriptors are not whitened: the database holds {rows} different photographs, "
            f"and fewer than {defaults.PCA_PHOTOGRAPHS} are too few to learn a PCA from "
            "(--pca_dim=N learns one all the same).",
        )
    bearable = 2 ** int(np.log2(max(rows // defaults.PCA_PHOTOGRAPHS_PER_DIM, 1)))
    return min(bearable, channels), (
        f"PCA keeps {bearable} dimensions instead of {defaults.PCA_DIM}: whitening needs about "
        f"{defaults.PCA_PHOTOGRAPHS_PER_DIM} photographs a dimension and the database holds "
        f"{rows} different ones (--pca_dim overrides).",
    )


def unbearable(asked: int | str | None, rows: int, channels: int) -> str:
    """Why a dimension cannot be learnt from that many rows; empty where it can."""
    if not isinstance(asked, int) or 1 <= asked <= min(rows - 1, channels):
        return ""
    largest = min(rows - 1, channels)
    allowed = f"may be 1 to min(N - 1, C) = {largest}, or {TRUE_DIM} for no whitening"
    return (
        f"{asked} PCA dimensions cannot be learnt from {rows} photographs of {channels} channels: "
        f"--pca_dim {allowed if largest else f'can only be {TRUE_DIM}'}"
    )
