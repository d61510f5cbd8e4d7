"""What a run learns from: which photographs, in which order, and what is kept back."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxret.data.dataset import Dataset
from jaxret.errors import UserError
from jaxret.runtime import parallel
from jaxret.runtime.artifacts import Store
from jaxret.training.augmentations import RECIPES, augment
from jaxret.training.data import sampling
from jaxret.training.data.decoded_photographs import DecodedPhotographs, stored
from jaxret.training.data.labelled_photographs import (
    LabelledPhotographs,
    check_enough,
    held_out_dataset,
)
from jaxret.training.data.view_sheet import write_views
from jaxret.training.settings import TrainSettings

SHOWN = 8  # photographs on the sheet of views
Tell = Callable[[str], None]


@dataclass(frozen=True)
class TrainingData:
    """What is learnt from, and what is kept back.

    Attributes:
        learnt: Positions in the collection.
        held_out: As a dataset of its own; None where nothing is held out.
    """

    collection: LabelledPhotographs
    learnt: np.ndarray
    held_out: Dataset | None

    @classmethod
    def of(cls, dataset: Dataset, settings: TrainSettings) -> "TrainingData":
        collection = LabelledPhotographs.of(dataset)
        if settings.loss == "ap":
            collection.demand_instances("--loss=ap", instead=", or learn with --loss=simclr")
        back = collection.held_out(settings.held_out, settings.seed)
        held_out = held_out_dataset(collection, back, settings.seed) if back.any() else None
        usable = ~back & ~(collection.junk & (settings.loss == "ap"))
        check_enough(collection, ~usable, held_out, settings.batch_size)
        return cls(collection, np.flatnonzero(usable), held_out)


class Batches:
    """The batches of a run, by the number of the step.

    Attributes:
        batches_an_epoch: How many there are until a photograph comes again.
    """

    def __init__(
        self,
        training_data: TrainingData,
        settings: TrainSettings,
        workdir: Path,
        mesh: jax.sharding.Mesh,
        tell: Tell,
    ) -> None:
        self._settings, self._mesh = settings, mesh
        self._photographs = _read(training_data, settings, workdir)
        for name, reason in self._photographs.skipped:
            tell(f"Left out: {reason or name}")
        self._instance = training_data.collection.instance[self._photographs.ids]
        self._sampler = self._make_sampler()
        self.batches_an_epoch = self._sampler.batches_an_epoch

    def batch(self, step: int) -> tuple[Any, ...]:
        """Pixels, numbers and labels of the photographs of a step, on the devices; its epoch."""
        epoch, positions = self._sampler.batch(step)
        labels = sampling.labels(self._instance, positions)
        share = len(positions) // jax.process_count()
        mine = slice(jax.process_index() * share, (jax.process_index() + 1) * share)
        rows = (
            self._photographs.pixels[positions[mine]],
            self._photographs.ids[positions[mine]].astype(np.int32),
            labels[mine],
        )
        return *(parallel.rows_of_all(one, self._mesh) for one in rows), np.int32(epoch)

    def show_views(self, path: Path, key: jax.Array) -> None:
        """Writes a sheet of what the network is shown, so that one sees what it can learn."""
        count, settings = min(SHOWN, len(self._photographs.ids)), self._settings
        pixels = jnp.asarray(self._photographs.pixels[:count])
        recipe = RECIPES[str(settings.augmentation)]
        keys = jax.random.split(key, (2, count))
        views = [augment(row, pixels, recipe, settings.image_size) for row in keys]
        write_views(path, pixels, [np.asarray(view) for view in views])

    def _make_sampler(self) -> sampling.Sampler:
        settings, count = self._settings, len(self._photographs.ids)
        if settings.loss == "ap":
            parts = settings.ap_group, settings.batch_size, settings.seed
            sampler = sampling.grouped(self._instance, *parts)
        else:
            sampler = sampling.shuffled(count, settings.batch_size, settings.seed)
        if not sampler.batches_an_epoch:
            raise UserError(
                f"{count} photographs that can be learnt from fill no --batch_size="
                f"{settings.batch_size}: give a smaller one."
            )
        return sampler


def _read(
    training_data: TrainingData, settings: TrainSettings, workdir: Path
) -> DecodedPhotographs:
    assert settings.stored_size is not None
    return stored(
        training_data.collection.photographs,
        training_data.learnt,
        settings.stored_size,
        Store(workdir),
        settings.workers,
        training_data.collection.dataset.on_bad_image,
    )
