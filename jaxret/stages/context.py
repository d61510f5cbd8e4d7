"""What the evaluations of one run share: workdir, encoders, datasets, clock."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from jaxret import data
from jaxret.data.dataset import Dataset, FileSplit, Split, Subset
from jaxret.descriptors.shards import Descriptors
from jaxret.models.encoder import Encoder
from jaxret.runtime.artifacts import Store
from jaxret.runtime.timing import Clock
from jaxret.runtime.user_cache import cache_dir
from jaxret.settings import Settings
from jaxret.stages.encoders import Encoders
from jaxret.stages.features import Features
from jaxret.stages.passes import Pass
from jaxret.store_flag import WHOLE

INCOMPLETE = "INCOMPLETE"  # how a dataset's note begins when photographs are missing
SHOWN_QUERIES = 10  # photographs that a folder without ground truth is searched with


@dataclass
class RunContext:
    """Shared by all evaluations of a run.

    Attributes:
      described: the features of which this run made at least one photograph's.
      whitening_dims: by evaluation without its dimension, the largest that the run asks for.
    """

    store: Store
    encoders: Encoders = field(default_factory=Encoders)
    clock: Clock = field(default_factory=Clock)
    whitening_dims: dict[Settings, int] = field(default_factory=dict)
    described: list[Features] = field(default_factory=list)
    _datasets: dict[Any, Dataset] = field(default_factory=dict)
    _features: dict[Settings, Features] = field(default_factory=dict)

    def dataset(self, name: str, settings: Settings) -> Dataset:
        """The dataset under the name that tables call it by; loaded once."""
        key = name, *settings.data_options.values()
        if key not in self._datasets:
            with self.clock.timed("dataset"):
                loaded = data.load(name, **settings.data_options, require_ground_truth=False)
            self._datasets[key] = _searchable(replace(loaded, name=_label(name, loaded)))
        return self._datasets[key]

    def features(self, member: str, dataset: str, settings: Settings) -> Features:
        """The features of a member on a dataset; equal settings, the same object."""
        key = one_encoder(member, dataset, settings)
        if key not in self._features:
            identity = self.encoders.identity(member, settings)
            self._features[key] = Features.of(identity, self.dataset(dataset, settings), key)
        return self._features[key]

    def members(self, settings: Settings, dataset: str | None = None) -> list[Features]:
        """The features of every member of an encoder, on the settings' dataset or on another."""
        name = dataset or settings.dataset
        return [self.features(member, name, settings) for member in settings.members]

    def descriptors(self, features: Features, split: Split) -> Descriptors:
        """The descriptors of a split, made now or taken from the workdir."""
        found = features.make(split, self._loader(features), self.store, self.clock)
        if found.made:
            self.described.append(features)
        return found

    def describe(self, together: Pass) -> None:
        """Makes the descriptors of one pass that are not in the workdir."""
        load = self._loader(together.features)
        self.described += together.make(load, self.store, self.clock)

    def _loader(self, features: Features) -> Callable[[], Encoder]:
        return lambda: self.encoders.load(features.identity.name, features.settings)


def unranked(settings: Settings) -> Settings:
    """The settings less rankings and what is saved of them."""
    return replace(settings, ranking=(), save_ranks=None, save_descriptors=None)


def any_dimension(settings: Settings) -> Settings:
    """The settings less dimension, store and rankings: those that share one whitening."""
    return replace(unranked(settings), pca_dim=None, store=WHOLE, store_rescore=0)


def one_encoder(member: str, dataset: str, settings: Settings) -> Settings:
    """The settings less what the features of one encoder on one dataset do not depend on."""
    own = any_dimension(settings)
    return replace(own, model=member, dataset=dataset, preset=None, whiten_on=None)


def workdir_of(settings: Settings) -> Path:
    """The folder that the settings name, or the one in the user's cache."""
    if settings.workdir:
        return Path(settings.workdir).expanduser()
    return cache_dir() / "workdir"


def _label(name: str, dataset: Dataset) -> str:
    """A name that compares with the paper's figures only where the photographs are the paper's."""
    if any(note.startswith(INCOMPLETE) for note in dataset.notes):
        return f"{dataset.name} (incomplete)"
    if dataset.version == "folder" and dataset.name in data.names():
        return Path(name).as_posix() if Path(name).name != name else f"./{name}"
    return dataset.name


def _searchable(dataset: Dataset) -> Dataset:
    """A folder that names no queries is searched with some of its own photographs."""
    count, database = len(dataset.database), dataset.database
    if dataset.ground_truth is not None or len(dataset.queries) or not count:
        return dataset
    shown = min(SHOWN_QUERIES, count)
    places = tuple(place * count // shown for place in range(shown))
    queries: Split = Subset(database, places)
    if isinstance(database, FileSplit):  # descriptors go by the content: none is made twice
        queries = FileSplit(database.root, tuple(database.files[place] for place in places))
    note = (
        f"{dataset.name} has no ground truth: nothing is counted; {shown} of its photographs, "
        "spread evenly, were searched with (--query=PHOTO searches with one of your own)."
    )
    return replace(dataset, queries=queries, notes=(*dataset.notes, note))
