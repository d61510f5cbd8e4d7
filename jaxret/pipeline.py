"""One evaluation from photographs to figures: read `evaluate` from top to bottom."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from jaxret import defaults
from jaxret.data.dataset import Dataset, without
from jaxret.descriptors import saving
from jaxret.descriptors.shards import Descriptors
from jaxret.errors import UserError
from jaxret.models.learnt_on import leak
from jaxret.ranking.diffusion.inductive import DiffusionSettings
from jaxret.ranking.placement import on_device, rank_on
from jaxret.ranking.rankings import Ranked, RankingSettings, Stored, rank_all
from jaxret.ranking_names import step_names
from jaxret.runtime import parallel
from jaxret.runtime.artifacts import Store
from jaxret.settings import TRUE_DIM, Settings
from jaxret.stages import storing
from jaxret.stages.cached_results import CachedResults, Outcome, Top
from jaxret.stages.context import RunContext
from jaxret.stages.encoders import model_row, origin_note
from jaxret.stages.features import Features
from jaxret.stages.figures import encoder_facts, figure, store_facts, top
from jaxret.stages.whitening import Whitened, database_of, whiten

Described = tuple[Descriptors, Descriptors]  # queries, database


@dataclass
class Evaluation:
    """What one evaluation found.

    Attributes:
      dataset: without the photographs that could not be read.
      top: the first results of every query by ranking.
      skipped: name and reason of the photographs left out.
      sizes: photographs that the dataset names: queries and database.
      unread: positions of those that could not be read, of "queries" and "database".
      reused: whether no photograph passed an encoder for it in this run.
    """

    settings: Settings
    dataset: Dataset
    models: list[dict[str, Any]] = field(default_factory=list)
    figures: list[dict[str, Any]] = field(default_factory=list)
    top: dict[str, Top] = field(default_factory=dict)
    skipped: list[tuple[str, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    sizes: tuple[int, int] = (0, 0)
    unread: dict[str, list[int]] = field(default_factory=dict)
    reused: bool = True


def evaluate(settings: Settings, context: RunContext) -> Evaluation:
    """Photographs -> encoder -> pooling -> PCA-whitening -> rankings -> mAP, mP@k.

    What was ranked before, in this run or another, is taken from the workdir.
    """
    dataset = context.dataset(settings.dataset, settings)
    features = context.members(settings)
    found = Evaluation(settings, dataset, [model_row(f.identity, settings) for f in features])
    notes = [note for f in features for note in (origin_note(f.identity), _without_batch_norm(f))]
    notes += _leaks(features, settings)
    found.notes += [note for note in dict.fromkeys(notes) if note]
    how = ranking_settings(settings, dataset.depth)
    outcomes = CachedResults.of(features, settings, how, context)

    asked = rankings_of(settings, dataset)
    found.notes += not_ranked(settings, asked, dataset)
    missing = [ranking for ranking in asked if outcomes.read(ranking) is None]
    if missing or settings.save_descriptors:
        described = [describe(one, context) for one in features]
        whitened = whiten(described, features, settings, context)
        save_descriptors(settings, whitened, described[0], found)
        with context.clock.timed("ranking"), placement(settings):
            if not (parallel.is_first() or on_device()):  # the first one's cores rank for all
                parallel.wait_for_files(map(outcomes.file, missing))
            else:
                kept, known = _kept(whitened, features, settings, context)
                rows = whitened.queries, whitened.database
                saved = outcomes.saved
                ranked = rank_all(*rows, missing, how, scored=saved, stored=kept)
                for ranking, one in ranked.items():
                    outcome = _outcome(ranking, one, known, described[0], found, saved, kept)
                    outcomes.write(ranking, outcome)
    found.reused = not any(one in context.described for one in features)
    return _gathered(outcomes, found, asked, features, context.store)


def _leaks(features: Sequence[Features], settings: Settings) -> list[str]:
    """Of the encoders with their publishers' weights, those that learnt on what is asked for."""
    if settings.weights != "converted":
        return []
    return [
        leak(one.identity.name, one.dataset.name)
        for one in features
        if one.identity.origin is None and one.dataset.version != "folder"
    ]


def describe(features: Features, context: RunContext) -> Described:
    """Descriptors of queries and database under one encoder."""
    return context.descriptors(features, features.dataset.queries), database_of(features, context)


def _kept(
    whitened: Whitened,
    features: Sequence[Features],
    settings: Settings,
    context: RunContext,
) -> tuple[Stored | None, Whitened]:
    """The database as codes, if it is to be, and the descriptors as they are then known."""
    rows = whitened.database
    kept = storing.stored(rows, storing.other_database(features, settings, context), settings)
    notes = (*whitened.notes, *storing.notes(rows, kept, settings))
    return kept, replace(whitened, database=storing.descriptors(rows, kept), notes=notes)


def _without_batch_norm(features: Features) -> str:
    spec = features.identity.spec
    if features.settings.bn_recalibration == "none" or spec.has_batch_norm:
        return ""
    return f"{features.identity.name} has no batch norm before its map: nothing to recalibrate."


def placement(settings: Settings) -> AbstractContextManager[None]:
    """Where the settings want rankings done; on devices by those of all processes together."""
    return rank_on(settings.rank_on, parallel.global_mesh() if parallel.several() else None)


# Ranked lists -> figures


def rankings_of(settings: Settings, dataset: Dataset) -> list[str]:
    """The rankings asked for, less diffusion where a ranking of the whole database is too much."""
    return [
        one for one in settings.ranking if dataset.depth is None or "DFS" not in step_names(one)
    ]


def not_ranked(settings: Settings, asked: Sequence[str], dataset: Dataset) -> list[str]:
    """Sentences on what a dataset's depth leaves out; UserError if nothing is left."""
    if dataset.depth is None:
        return []
    whole = f"{len(dataset.queries)} queries x {len(dataset.database)} photographs"
    if not asked:
        raise UserError(
            f"Diffusion ranks the whole database for every query, too much for {dataset.name} "
            f"({whole}): ask for --ranking=G,G+AQE,G+DBA,G+DBA+AQE."
        )
    left = [one for one in settings.ranking if one not in asked]
    return [
        f"{dataset.name}: {whole}; rankings end after {dataset.depth} results, what is beyond "
        f"counts as not found in mAP" + (f"; not run: {', '.join(left)}." if left else ".")
    ]


def ranking_settings(settings: Settings, depth: int | None = None) -> RankingSettings:
    return RankingSettings(
        aqe_n=settings.aqe_n or defaults.AQE_N,
        aqe_n_with_dba=settings.aqe_n or defaults.AQE_N_WITH_DBA,
        aqe_weights=settings.aqe_weights,
        dba_n=settings.dba_n,
        dba_weights=settings.dba_weights,
        dba_normalize=settings.dba_normalize,
        dfs=settings.dfs,
        dfs_rest=settings.dfs_rest or "global",
        kq=settings.dfs_kq,
        diffusion=DiffusionSettings(
            truncation=settings.dfs_truncation,
            kd=settings.dfs_kd,
            gamma=settings.dfs_gamma,
            alpha=settings.dfs_alpha,
        ),
        block_size=settings.block_size,
        depth=depth,
    )


def _unread(whole: Dataset, described: Described) -> dict[str, list[int]]:
    """Positions of the photographs that could not be read, of the queries and of the database."""
    splits = {"queries": whole.queries, "database": whole.database}
    return {
        name: np.setdiff1d(np.arange(len(split)), have.indices).tolist()
        for (name, split), have in zip(splits.items(), described, strict=True)
    }


def save_descriptors(
    settings: Settings, whitened: Whitened, described: Described, found: Evaluation
) -> None:
    """What is ranked, into the folder that the settings name; without unreadable photographs."""
    if settings.save_descriptors is None or not parallel.is_first():
        return
    unread = _unread(found.dataset, described)
    dataset = without(found.dataset, unread["database"], unread["queries"])
    folder = Path(settings.save_descriptors).expanduser()
    saving.save(folder, whitened.queries, whitened.database, dataset)


def _outcome(
    ranking: str,
    ranked: Ranked,
    whitened: Whitened,
    described: Described,
    found: Evaluation,
    saved: int,
    kept: Stored | None,
) -> Outcome:
    """Figures and first results of one ranking, without the photographs that were unreadable."""
    whole = found.dataset
    unread = _unread(whole, described)
    dataset = without(whole, unread["database"], unread["queries"])
    dim = whitened.database.shape[1] if whitened.learnt else TRUE_DIM
    return Outcome(
        figures=[
            {
                **figure(ranking, ranked, dataset, one, dim, (whitened.queries, whitened.database)),
                **store_facts(found.settings, storing.size(whitened.database, kept)),
            }
            for one in dataset.protocols
        ],
        top=top(ranking, ranked, whitened.queries, whitened.database, saved),
        unread=unread,
        skipped=[pair for have in described[::-1] for pair in have.skipped],
        notes=[*whitened.notes, *storing.ranking_notes(ranking, kept)],
    )


def _gathered(
    outcomes: CachedResults,
    found: Evaluation,
    rankings: Sequence[str],
    features: Sequence[Features],
    store: Store,
) -> Evaluation:
    """The evaluation with what all of its rankings found, as the workdir has it."""
    whole, settings = found.dataset, found.settings
    facts = encoder_facts(features, store)
    found.sizes = len(whole.queries), len(whole.database)
    names = {"model": settings.label, "dataset": whole.name}
    for ranking in rankings:
        outcome = outcomes.read(ranking)
        assert outcome is not None
        found.figures += [{**names, **one, **facts} for one in outcome.figures]
        found.top[ranking] = outcome.top
        found.skipped = outcome.skipped
        found.notes += [note for note in outcome.notes if note not in found.notes]
        found.unread = outcome.unread
        found.dataset = without(whole, outcome.unread["database"], outcome.unread["queries"])
    found.notes += [f"Left out: {reason}" for _, reason in found.skipped]
    return found
