"""One step of learning, SimCLR's, as `python -m jaxret.train` takes it."""

from collections.abc import Iterator

import jax
import numpy as np

from benchmarks._device import measuring
from benchmarks._device.photographs import pictures
from benchmarks._device.report import Row, row
from benchmarks._device.sizes import Sizes
from jaxret.models.weights.random import random
from jaxret.runtime.parallel import local_mesh
from jaxret.training import step as training
from jaxret.training.settings import TrainSettings


def simclr_step(dtype: str, sizes: Sizes) -> Iterator[Row]:
    """Views, encoder, NT-Xent, gradient and update, from photographs that are on the device."""
    settings = TrainSettings(
        model=sizes.model,
        loss="simclr",
        steps=10**6,
        batch_size=sizes.training_batch,
        image_size=sizes.training_side,
        dtype=dtype,
    ).resolved()
    encoder = random(sizes.model)
    state = training.initial_state(encoder, settings, queue_size=0)
    step = training.make_step(encoder.spec, settings, local_mesh())
    count = sizes.training_batch
    some = pictures(2 * sizes.training_side, min(count, 16))
    images = jax.device_put(np.resize(some, (count, *some.shape[1:])))
    numbers = jax.device_put(np.arange(count, dtype=np.int32))
    epoch, losses = jax.device_put(np.int32(0)), []

    def take() -> jax.Array:
        nonlocal state
        state, metrics = step(state, images, numbers, numbers, epoch)
        losses.append(metrics["loss"])
        return metrics["loss"]

    seconds = measuring.seconds_of(take, sizes.repeats)
    yield row(
        f"SimCLR step of {sizes.model}, {dtype}, {count} x {sizes.training_side}, both views made",
        **{
            "steps/s": 1 / seconds,
            "photographs/s": count / seconds,
            "first_loss": float(losses[0]),
            "last_loss": float(losses[-1]),
        },
    )
