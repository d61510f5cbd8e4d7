"""One evaluation from photographs to figures: read `evaluate` from top to bottom."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import platformdirs

from jaxret import data, defaults, models
from jaxret.artifacts import Store
from jaxret.data.dataset import Dataset, without
from jaxret.descriptors.extract import Descriptors, Extraction, extract_scales
from jaxret.descriptors.pooling import l2_normalize
from jaxret.descriptors.recalibration import Recalibration, recalibrated
from jaxret.descriptors.whitening import PCAWhitening
from jaxret.errors import UserError
from jaxret.evaluation.metrics import evaluate as measure
from jaxret.models.encoder import Encoder
from jaxret.ranking.diffusion import DiffusionSettings
from jaxret.ranking.rankings import Ranked, RankingSettings, rank_all
from jaxret.settings import TRUE_DIM, Settings
from jaxret.timing import Clock


@dataclass
class Evaluation:
    """What one evaluation found, and what it took."""

    settings: Settings
    dataset: Dataset
    models: list[dict[str, Any]] = field(default_factory=list)
    figures: list[dict[str, Any]] = field(default_factory=list)
    ranked: dict[str, Ranked] = field(default_factory=dict)
    skipped: list[tuple[str, str]] = field(default_factory=list)  # photograph, reason
    stored_pca: Mapping[str, np.ndarray] | None = None  # the one that came with the weights
    notes: list[str] = field(default_factory=list)
    clock: Clock = field(default_factory=Clock)


def evaluate(settings: Settings, store: Store) -> Evaluation:
    """Photographs -> encoder -> R-MAC -> PCA-whitening -> rankings -> mAP, mP@k."""
    dataset = data.load(settings.dataset, **settings.data_options)
    found = Evaluation(settings, dataset)

    members = [_describe(name, dataset, found, store) for name in settings.members]
    found.dataset = dataset = _readable(dataset, members[0], found)
    queries, database = (_concatenate(parts) for parts in zip(*members, strict=True))

    if settings.pca_dim != TRUE_DIM:
        whiten = _whitening(database, found, store)
        queries, database = np.asarray(whiten(queries)), np.asarray(whiten(database))

    with found.clock.timed("ranking"):
        found.ranked = rank_all(queries, database, settings.ranking, _ranking(settings))
    for ranking, ranked in found.ranked.items():
        for protocol in dataset.protocols:
            found.figures.append(_figure(ranking, ranked, protocol, database.shape[1], found))
    return found


# Photographs -> descriptors


def _describe(
    name: str, dataset: Dataset, found: Evaluation, store: Store
) -> tuple[Descriptors, Descriptors]:
    """R-MAC descriptors of queries and database under one encoder."""
    settings = found.settings
    encoder = _encoder(name, settings)
    found.models.append(_model_row(encoder, settings))
    found.stored_pca = encoder.whitening
    how = _extraction(encoder, dataset, settings)
    with found.clock.timed("recalibration"):
        encoder, origin = _prepared(encoder, dataset, how, found, store)
    with found.clock.timed("features"):
        queries = extract_scales(encoder, dataset.queries, how, settings.scales, origin, store)
        database = extract_scales(encoder, dataset.database, how, settings.scales, origin, store)
    if queries.reused and database.reused:
        found.notes.append(f"Features of {name} were reused from {store.root}.")
    return queries, database


def _encoder(name: str, settings: Settings) -> Encoder:
    if settings.checkpoint:
        from jaxret import convert  # late: only this needs torch

        encoder, _ = convert.load_checkpoint(
            settings.checkpoint, settings.arch, settings.width, name=name
        )
        return encoder
    if settings.weights == "random":
        return models.random(name, settings.seed)
    return models.load(name, settings.weights_dir)


def _extraction(encoder: Encoder, dataset: Dataset, settings: Settings) -> Extraction:
    return Extraction(
        image_size=settings.image_size or dataset.image_size or defaults.IMAGE_SIZE,
        crop=settings.query_crop == "bbox",
        resize=settings.resize,
        decoder=settings.decoder,
        dtype=settings.dtype,
        rmac_levels=settings.rmac_levels,
        rmac_include_global=settings.rmac_include_global,
        on_bad_image=settings.on_bad_image or dataset.on_bad_image,
        batch_size=settings.batch_size,
        workers=settings.workers,
    )


def _model_row(encoder: Encoder, settings: Settings) -> dict[str, Any]:
    """What the report states of a model."""
    spec = encoder.spec
    source = spec.sources[0] if spec.sources else None
    return {
        "name": spec.name,
        "parameters": spec.parameters,
        "weights": settings.weights,
        "source": source.url if source and settings.weights == "converted" else "",
        "sha256": source.sha256 if source and settings.weights == "converted" else "",
        "licence": spec.licence,
        "digest": encoder.digest(),
    }


def _prepared(
    encoder: Encoder, dataset: Dataset, how: Extraction, found: Evaluation, store: Store
) -> tuple[Encoder, dict[str, Any]]:
    """The encoder with batch-norm statistics of this database, and what made it, as a key."""
    settings = found.settings
    origin: dict[str, Any] = {"weights": encoder.digest(), "recalibration": "none"}
    if settings.bn_recalibration == "none":
        return encoder, origin
    if not encoder.spec.has_batch_norm:
        found.notes.append(
            f"{encoder.spec.name} has no batch norm before its map: nothing to recalibrate."
        )
        return encoder, origin
    cumulative = settings.bn_recalibration == "cumulative"
    pass_ = Recalibration(
        momentum=None if cumulative else settings.bn_momentum,
        batch_size=settings.bn_batch_size,
        image_size=how.image_size,
        on_bad_image=how.on_bad_image,
        workers=how.workers,
    )
    origin["recalibration"] = pass_.key(dataset.database)
    return recalibrated(encoder, dataset.database, pass_, store), origin


def _readable(
    dataset: Dataset, member: tuple[Descriptors, Descriptors], found: Evaluation
) -> Dataset:
    """The dataset without the photographs that could not be read; they are named in the notes."""
    unread = []
    for split, described in zip((dataset.database, dataset.queries), member[::-1], strict=True):
        unread.append(np.setdiff1d(np.arange(len(split)), described.indices))
        found.skipped += described.skipped
    found.notes += [f"Left out: {reason}" for _, reason in found.skipped]
    return without(dataset, *unread)


def _concatenate(members: Sequence[Descriptors]) -> np.ndarray:
    """L2-normalised R-MAC of each member side by side, (n, sum of C)."""
    return np.concatenate([np.asarray(l2_normalize(m.vectors)) for m in members], axis=1)


# Descriptors -> whitened descriptors


def _whitening(database: np.ndarray, found: Evaluation, store: Store) -> PCAWhitening:
    """Learnt on this database, or on another dataset's, or the one stored with the weights."""
    settings = found.settings
    if settings.whitening == "checkpoint":
        return _stored_whitening(found)
    if settings.whiten_on:
        other = data.load(settings.whiten_on, **settings.data_options)
        members = [_describe(name, other, found, store)[1] for name in settings.members]
        database = _concatenate(members)
    with found.clock.timed("whitening"):
        return PCAWhitening.fit(database, _pca_dim(database.shape, found))


def _stored_whitening(found: Evaluation) -> PCAWhitening:
    if found.stored_pca is None or len(found.settings.members) > 1:
        raise UserError(
            f"No PCA is stored with the weights of {found.settings.model}: use --whitening=learnt."
        )
    whiten = PCAWhitening.from_pca(**found.stored_pca, power=defaults.CHECKPOINT_PCA_POWER)
    dim = found.settings.pca_dim
    return whiten if dim is None else whiten.truncate(int(dim))


def _pca_dim(shape: tuple[int, ...], found: Evaluation) -> int:
    """The dimension asked for, or the study's, or what a small database can bear."""
    if found.settings.pca_dim is not None:
        return int(found.settings.pca_dim)
    rows, channels = shape
    bearable = defaults.PCA_DIM
    if rows < defaults.PCA_PHOTOGRAPHS_PER_DIM * defaults.PCA_DIM:
        bearable = 2 ** int(np.log2(max(rows // defaults.PCA_PHOTOGRAPHS_PER_DIM, 1)))
        found.notes.append(
            f"PCA keeps {bearable} dimensions instead of {defaults.PCA_DIM}: whitening needs about "
            f"{defaults.PCA_PHOTOGRAPHS_PER_DIM} photographs a dimension and the database holds "
            f"{rows} (--pca_dim overrides)."
        )
    return min(bearable, channels)


# Descriptors -> ranked lists -> figures


def _ranking(settings: Settings) -> RankingSettings:
    return RankingSettings(
        aqe_n=settings.aqe_n or defaults.AQE_N,
        aqe_n_with_dba=settings.aqe_n or defaults.AQE_N_WITH_DBA,
        aqe_weights=settings.aqe_weights,
        dba_n=settings.dba_n,
        dba_weights=settings.dba_weights,
        dba_normalize=settings.dba_normalize,
        dfs=settings.dfs,
        dfs_rest=settings.dfs_rest,
        kq=settings.dfs_kq,
        diffusion=DiffusionSettings(
            truncation=settings.dfs_truncation,
            kd=settings.dfs_kd,
            gamma=settings.dfs_gamma,
            alpha=settings.dfs_alpha,
        ),
        block_size=settings.block_size,
    )


def _figure(
    ranking: str, ranked: Ranked, protocol: str, dim: int, found: Evaluation
) -> dict[str, Any]:
    """One cell of the tables, as plain data."""
    assert found.dataset.ground_truth is not None  # a dataset without one has no protocols
    measured = measure(ranked.ids, found.dataset.ground_truth, protocol)
    return {
        "model": found.settings.label,
        "dataset": found.dataset.name,
        "dim": TRUE_DIM if found.settings.pca_dim == TRUE_DIM else dim,
        "ranking": ranking,
        "protocol": protocol,
        **measured,
        "ap": [None if np.isnan(ap) else float(ap) for ap in measured["ap"]],
        "isolated_queries": ranked.isolated,
    }


# Many evaluations


def default_workdir() -> Path:
    return Path(platformdirs.user_cache_dir("jaxret")) / "workdir"
