"""The costly stage: descriptors of one encoder on one dataset, made once for all that use them.

Keys are known without loading the encoder, so that a plan can say what lies in the workdir already.
"""

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from jaxret import defaults
from jaxret.data.dataset import Dataset, Split
from jaxret.data.images.resize import OWN_SHAPES, SIDE_MULTIPLE
from jaxret.descriptors.describer import Extraction, at_scales
from jaxret.descriptors.extraction import Watch, described_by, extract_scales, stored_split
from jaxret.descriptors.pooling import l2_normalize
from jaxret.descriptors.pooling_rows import REGIONS
from jaxret.descriptors.recalibration import Recalibration, recalibrated, stored_statistics
from jaxret.descriptors.shards import Descriptors
from jaxret.descriptors.speed import Speed
from jaxret.models.encoder import Encoder
from jaxret.models.spec import ModelSpec
from jaxret.runtime.artifacts import Store
from jaxret.runtime.timing import Clock
from jaxret.settings import Settings
from jaxret.stages.encoders import Identity
from jaxret.stages.poolings import channels, pooling_of


@dataclass(frozen=True, eq=False)
class Features:
    """One encoder on one dataset.

    Attributes:
      recalibration: the pass over the database beforehand; None for none.
      origin: what made the encoder that describes, as a key.
    """

    identity: Identity
    dataset: Dataset
    settings: Settings
    how: Extraction
    recalibration: Recalibration | None
    origin: Mapping[str, Any]

    @classmethod
    def of(cls, identity: Identity, dataset: Dataset, settings: Settings) -> "Features":
        how = extraction(identity, dataset, settings)
        pass_ = _recalibration(identity, how, settings)
        origin = {
            "network": identity.spec.function(),
            "weights": identity.digest,
            "recalibration": pass_.key(dataset.database) if pass_ else "none",
        }
        return cls(identity, dataset, settings, how, pass_, origin)

    @cached_property
    def query_key(self) -> list[Any]:
        """What tells the descriptors of the queries from all others."""
        return self._key(self.dataset.queries)

    @cached_property
    def database_key(self) -> list[Any]:
        """What tells the descriptors of the database from all others."""
        return self._key(self.dataset.database)

    def _key(self, split: Split) -> list[Any]:
        scales = at_scales(self.how, self.settings.scales)
        mean = {"scales_mean": self.settings.scales_mean}
        other = len(scales) > 1 and not self.normalizes
        keys = [described_by(how, self.origin) | (mean if other else {}) for how in scales]
        return [split.fingerprint(), *keys]

    @property
    def normalizes(self) -> bool:
        return self.settings.scales_mean == "normalized"

    def missing(self, store: Store) -> int:
        """Photographs that must pass the encoder, those of the recalibration pass not counted."""
        splits = (self.dataset.queries, self.dataset.database)
        return sum(self.missing_of(split, store) for split in splits)

    def missing_of(self, split: Split, store: Store) -> int:
        """Those of one split."""
        return sum(
            len(positions)
            for how in at_scales(self.how, self.settings.scales)
            for _, positions in stored_split(split, how, self.origin, store).missing()
        )

    def recalibration_missing(self, store: Store) -> int:
        """Photographs of the recalibration pass where it is still to be made."""
        if self.recalibration is None:
            return 0
        database, identity = self.dataset.database, self.identity
        weights = identity.spec, identity.digest
        path, _ = stored_statistics(*weights, database, self.recalibration, store)
        return 0 if path.exists() else len(database)

    def make(
        self,
        split: Split,
        load: Callable[[], Encoder],
        store: Store,
        clock: Clock,
        watch: Watch | None = None,
    ) -> Descriptors:
        """Descriptors of a split: the dataset's queries, its database, or a query of one's own."""
        with self.timed(clock):
            return extract_scales(
                self.encoder(load, store, clock),
                split,
                self.how,
                self.settings.scales,
                self.origin,
                store,
                self.normalizes,
                watch,
            )

    def encoder(
        self, load: Callable[[], Encoder], store: Store, clock: Clock
    ) -> Callable[[], Encoder]:
        """What gives the encoder that describes, recalibrated where that is asked for."""

        def encoder() -> Encoder:
            if self.recalibration is None:
                return load()
            with clock.timed("recalibration"):
                return self.describing(load(), store)

        return encoder

    @contextlib.contextmanager
    def timed(self, clock: Clock) -> Iterator[None]:
        """Counts as features what is no recalibration."""
        before = clock.seconds().get("recalibration", 0.0)
        with clock.timed("features"):
            yield
        clock.add("features", before - clock.seconds().get("recalibration", 0.0))

    def speed(self, store: Store) -> tuple[float | None, str]:
        """Photographs a second with all scales, and the device; None where nobody measured it."""
        scales = at_scales(self.how, self.settings.scales)
        stored = [stored_split(self.dataset.database, how, self.origin, store) for how in scales]
        found = [Speed.of(one.folder) for one in stored]
        known = [one for one in found if one is not None]
        if len(known) < len(found):
            return None, ""
        return 1 / sum(1 / one.rate for one in known), known[0].device

    def describing(self, encoder: Encoder, store: Store) -> Encoder:
        """The encoder as it describes, after the pass over the database where there is one."""
        if self.recalibration is None:
            return encoder
        return recalibrated(encoder, self.dataset.database, self.recalibration, store)


def extraction(identity: Identity, dataset: Dataset, settings: Settings) -> Extraction:
    own = identity.spec.image_size or defaults.IMAGE_SIZE
    return Extraction(
        image_size=settings.image_size or dataset.image_size or own,
        crop=(settings.query_crop or dataset.query_crop) == "bbox",
        resize=settings.resize,
        decoder=settings.decoder,
        dtype=settings.dtype,
        pooling=pooling_of(identity.spec, settings),
        on_bad_image=settings.on_bad_image or dataset.on_bad_image,
        batch_size=settings.batch_size,
        workers=settings.workers,
        side_multiple=side_multiple(identity.spec, settings.resize),
    )


def side_multiple(spec: ModelSpec, resize: str) -> int:
    """Sides of photographs; where they are what they are, those that the network looks at."""
    if resize not in OWN_SHAPES:
        return spec.patch or SIDE_MULTIPLE
    return spec.patch if spec.conventions().get("patch_fit") == "crop" else 1


def _recalibration(identity: Identity, how: Extraction, settings: Settings) -> Recalibration | None:
    if settings.bn_recalibration == "none" or not identity.spec.has_batch_norm:
        return None
    cumulative = settings.bn_recalibration == "cumulative"
    return Recalibration(
        momentum=None if cumulative else settings.bn_momentum,
        batch_size=settings.bn_batch_size,
        image_size=how.image_size,
        on_bad_image=how.on_bad_image,
        workers=how.workers,
    )


def joined(members: Sequence[Descriptors], features: Sequence[Features]) -> np.ndarray:
    """L2-normalised descriptors of each member side by side, (n, sum of C).

    Where the regions of R-MAC are to be whitened, those of the one member, (n, R, C).
    """
    if features[0].how.pooling.name != REGIONS:
        return np.concatenate([np.asarray(l2_normalize(m.vectors)) for m in members], axis=1)
    [one] = members
    width = channels(features[0].identity.spec, features[0].how.pooling)
    return one.vectors.reshape(len(one.vectors), -1, width)
