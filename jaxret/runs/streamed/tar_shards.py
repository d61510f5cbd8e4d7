r"""Photographs in tar files to a folder of feature shards, by one process or many.

    python -m jaxret.main --dataset=ilias-core --model=dinov2-base \
            --tars='yfcc100m/*.tar' --save_descriptors=distractors

Encoder, recalibration and whitening are those of the evaluation of --dataset, so that the shards
are ranked beside what `--save_descriptors` keeps of it. Process p of P takes the tars p, p + P, ...
"""

import contextlib
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from jaxret.data.tar_shards import TarSplit, find_tars
from jaxret.descriptors.describer import Describer, at_scales, pooled_scales
from jaxret.descriptors.feature_shards import FeatureShards, Skipped
from jaxret.descriptors.pooling import l2_normalize
from jaxret.descriptors.shards import Descriptors
from jaxret.descriptors.whitening import PCAWhitening
from jaxret.errors import UserError
from jaxret.runtime import parallel
from jaxret.runtime.artifacts import Store
from jaxret.runtime.timing import Clock
from jaxret.settings import LEARNT, TRUE_DIM, Settings
from jaxret.stages.context import RunContext, workdir_of
from jaxret.stages.encoders import check_names
from jaxret.stages.features import Features, joined
from jaxret.stages.whitening import apply, database_of, origin, whitening

AT_ONCE = 2048  # photographs whose descriptors of all members and scales are in memory
NOTHING = np.zeros((0, 0), np.float32)  # of a tar in which nothing can be read
_VERSION = 1  # raise it when the same key would give other descriptors


@dataclass(frozen=True)
class Described:
    """What lies in the folder at the end.

    Attributes:
      like: model, and the dataset whose photographs it describes so.
      made: shards that this run had to make, of all processes.
      skipped: name and reason of the photographs left out, of all shards.
    """

    folder: Path
    like: tuple[str, str]
    shards: int
    rows: int
    made: int
    skipped: Skipped


def describe_tars(patterns: Sequence[str], settings: Settings) -> Described:
    """Makes the shards that are not in the folder yet.

    Args:
      patterns: of tar files.
      settings: with `save_descriptors`, the folder.

    Raises:
      UserError: see `find_tars`, `TarSplit.open` and `FeatureShards.begin`; a photograph that
        cannot be used, with on_bad_image="fail".
    """
    if settings.save_descriptors is None:
        raise UserError("--tars writes descriptors: say where, --save_descriptors=FOLDER.")
    tars = find_tars(patterns)
    shards = FeatureShards(Path(settings.save_descriptors).expanduser())
    check_names([settings])
    context = RunContext(Store(workdir_of(settings)))
    work = _Work.of(settings, context)
    key = work.key()
    shards.check(key)
    missing = [tar for tar in tars if not shards.is_done(tar)]
    if parallel.is_first():
        shards.begin(key, tars)
    if missing:
        work.prepare()  # of all processes together, whoever has tars
        _describe(parallel.my_part(missing), work, shards)
    parallel.wait_for_files([shards.done(tar) for tar in tars])
    while not all(map(shards.is_done, tars)):  # of a tar that has changed, by another process
        time.sleep(1)
    like = settings.label, context.dataset(settings.dataset, settings).name
    skipped = [(f"{tar.name}: {name}", why) for tar in tars for name, why in shards.skipped(tar)]
    rows = sum(map(shards.rows, tars))
    return Described(shards.folder, like, len(tars), rows, len(missing), skipped)


def _describe(tars: Sequence[Path], work: "_Work", shards: FeatureShards) -> None:
    from tqdm import tqdm

    with tqdm(total=len(tars), unit="tar", desc=f"tars{parallel.host_name()}") as bar:
        for tar in tars:
            split = TarSplit.open(tar)
            rows, names, skipped = work.rows_of(split)
            shards.write(split, rows, names, skipped)
            bar.update()


@dataclass
class _Work:
    """The encoders and the whitening of an evaluation, ready for photographs from elsewhere."""

    settings: Settings
    context: RunContext
    features: list[Features]
    describers: list[list[Any]] = field(default_factory=list)  # a list of scales a member
    whiten: PCAWhitening | None = None

    @classmethod
    def of(cls, settings: Settings, context: RunContext) -> "_Work":
        return cls(settings, context, context.members(settings))

    def key(self) -> dict[str, Any]:
        members = [one.database_key[1:] for one in self.features]  # less the photographs
        whitening_key = origin(self.features, self.settings, self.context)
        return {"version": _VERSION, "members": members, "whitening": whitening_key}

    def prepare(self) -> None:
        """Loads, recalibrates and learns what the key says."""
        if self.settings.pca_dim != TRUE_DIM:
            self.whiten = whitening(self._database(), self.features, self.settings, self.context)[0]
        on_bad = self.settings.on_bad_image or "skip"
        for one in self.features:

            def load(one: Features = one) -> Any:
                return self.context.encoders.load(one.identity.name, one.settings)

            encoder = one.encoder(load, self.context.store, self.context.clock)()
            how = replace(one.how, on_bad_image=on_bad)
            scales = at_scales(how, self.settings.scales)
            self.describers.append([Describer(encoder, [scale]) for scale in scales])

    def _database(self) -> np.ndarray:
        """What a whitening is learnt on, where it is learnt on the dataset itself."""
        if self.settings.whitening != LEARNT or self.settings.whiten_on:
            return np.zeros((0, 1), np.float32)
        return joined([database_of(one, self.context) for one in self.features], self.features)

    def rows_of(self, split: TarSplit) -> tuple[np.ndarray, list[str], Skipped]:
        """(rows float32 [n, D], names of their photographs, those left out and why)."""
        rows, names = [], []
        skipped: dict[str, str] = {}
        for start in range(0, len(split), AT_ONCE):
            places = range(start, min(start + AT_ONCE, len(split)))
            vectors, read = self._part(split, places, skipped)
            right = np.isfinite(vectors).all(axis=1) & vectors.any(axis=1)
            for place, is_right in zip(read, right, strict=True):
                name = split.names[place]
                if is_right:
                    names.append(name)
                else:
                    skipped[name] = self._without_direction(name)
            rows += [vectors[right]] if right.any() else []
        return np.concatenate(rows or [NOTHING]), names, list(skipped.items())

    def _part(
        self, split: TarSplit, places: range, skipped: dict[str, str]
    ) -> tuple[np.ndarray, np.ndarray]:
        """(rows [n, D], positions in the split) of those of the places that can be read."""
        members, read = [], np.zeros(0, np.int64)
        for features, describers in zip(self.features, self.describers, strict=True):
            scales = []
            for one in describers:
                read, vectors = _described(one, split, places, skipped)
                scales.append(vectors)
            if not len(read):
                return NOTHING, read
            members.append(Descriptors(pooled_scales(scales, features.normalizes), read, ()))
        rows = apply(joined(members, self.features), self.whiten)
        return (np.asarray(l2_normalize(rows)) if self.whiten is None else rows), read

    def _without_direction(self, name: str) -> str:
        reason = f"Photograph {name!r} cannot be used: its descriptor is zero or not finite."
        if self.settings.on_bad_image == "fail":
            raise UserError(reason)
        return reason


def _described(
    describer: Any, split: TarSplit, places: range, skipped: dict[str, str]
) -> tuple[np.ndarray, np.ndarray]:
    """(positions in the split, descriptors [n, C]) of one encoder at one scale, in order."""
    indices, rows = [np.zeros(0, np.int64)], []
    bad: list[tuple[str, str]] = []
    with contextlib.closing(describer.all(split, places, bad, Clock())) as described:
        for batch, vectors in described:
            indices.append(batch.indices)
            rows.append(vectors)
    skipped.update(dict(bad))
    read = np.concatenate(indices)
    order = np.argsort(read)  # photographs that keep their aspect come grouped by shape
    return read[order], np.concatenate(rows or [NOTHING])[order]


def summary(found: Described) -> str:
    """What the terminal says."""
    left = f"; {len(found.skipped)} photographs were left out" if found.skipped else ""
    made = f"{found.made} of them made now" if found.made else "all of them lay there"
    model, dataset = found.like
    return (
        f"{found.rows} descriptors in {found.shards} shards in {found.folder}, {made}, by {model} "
        f"as the photographs of {dataset}{left}."
    )
