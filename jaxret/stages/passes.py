"""Which descriptors one forward pass makes together: those that differ in their pooling alone."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from jaxret.data.dataset import Split
from jaxret.descriptors.describer import Extraction, at_scales
from jaxret.descriptors.extraction import make, stored_split
from jaxret.descriptors.pooling_rows import Pooling
from jaxret.models.encoder import Encoder
from jaxret.runtime.artifacts import Store, digest
from jaxret.runtime.timing import Clock
from jaxret.stages.features import Features


@dataclass(eq=False)
class Pass:
    """One encoder over one dataset at one image size.

    Attributes:
      features: the first of those that need it.
      several: what is made, by key, each once.
      needed_by: the features that each is for.
    """

    features: Features
    several: dict[str, Extraction] = field(default_factory=dict)
    needed_by: dict[str, list[Features]] = field(default_factory=dict)

    def add(self, features: Features, how: Extraction) -> None:
        """One more pooling, or one more that needs it."""
        key = digest(how.key())
        self.several.setdefault(key, how)
        self.needed_by.setdefault(key, []).append(features)

    @property
    def splits(self) -> tuple[Split, Split]:
        return self.features.dataset.queries, self.features.dataset.database

    @property
    def image_size(self) -> int:
        return next(iter(self.several.values())).image_size

    def missing(self, store: Store) -> int:
        """Photographs that must pass the encoder, those of the recalibration pass not counted."""
        return sum(len(self._places(split, store)) for split in self.splits)

    def _places(self, split: Split, store: Store) -> set[int]:
        origin = self.features.origin
        stored = [stored_split(split, how, origin, store) for how in self.several.values()]
        return {i for one in stored for _, positions in one.missing() for i in positions}

    def make(self, load: Callable[[], Encoder], store: Store, clock: Clock) -> list[Features]:
        """Makes what is missing; the features of which a photograph's was."""
        several = list(self.several.values())
        with self.features.timed(clock):
            counts = [
                make(self.features.encoder(load, store, clock), split, several, *self._place(store))
                for split in self.splits
            ]
        made = (key for key, *of in zip(self.several, *counts, strict=True) if any(of))
        return [features for key in made for features in self.needed_by[key]]

    def _place(self, store: Store) -> tuple[Any, Store]:
        return self.features.origin, store


def passes(every: Iterable[Features]) -> list[Pass]:
    """The passes that some features need, in their order."""
    found: dict[Any, Pass] = {}
    for features in every:
        for how in at_scales(features.how, features.settings.scales):
            alike = replace(how, pooling=Pooling())
            key = features.identity.name, digest(features.origin), id(features.dataset), alike
            found.setdefault(key, Pass(features)).add(features, how)
    return list(found.values())
