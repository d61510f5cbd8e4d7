"""Recalibration: a pass over the photographs that moves the running statistics of BN layers.

Equal to `model.train()` and a forward pass over the batches in PyTorch, with no gradient: each
batch is normalised by its own statistics, and every layer's running statistics move towards them,

    new = (1 - momentum) * old + momentum * batch,

with the unbiased variance of the batch. `momentum=None` is PyTorch's cumulative average: batch t
(from 1) has the weight 1 / t, so the old statistics are forgotten.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from jaxret.defaults import BN_MOMENTUM
from jaxret.errors import UserError
from jaxret.models.encoder import Encoder, Variables, check_images, forward_training
from jaxret.models.spec import ModelSpec


def recalibrate(
    encoder: Encoder,
    batches: Iterable[Any],
    momentum: float | None = BN_MOMENTUM,
    place: Callable[[np.ndarray], Any] = jnp.asarray,
) -> Encoder:
    """A new encoder with recalibrated statistics; the given one stays as it was.

    Args:
        encoder: Not folded: folding has used its statistics up.
        batches: uint8 [B, H, W, 3] each, in order; or pairs (images, mask) with bool [B], False
            for images that do not count. A smaller last batch is padded here, so that one
            compiled function serves all.
        momentum: Share of a batch in the new statistics; None for the cumulative average.
        place: Puts a host array ([B, ...]) onto the devices, e.g. sharded along the first axis:
            the statistics are those of the whole batch, on however many devices of however many
            processes it lies.

    Raises:
        UserError: The encoder is folded, the momentum is outside [0, 1], or there is no batch.
    """
    _check(encoder, momentum)
    if not encoder.spec.has_batch_norm:
        return encoder
    params, seen, size = encoder.variables["params"], 0, 0
    running = jax.tree.map(jnp.copy, encoder.variables["batch_stats"])  # each step overwrites them
    for batch in batches:
        images, mask = batch if isinstance(batch, tuple) else (batch, np.ones(len(batch), bool))
        check_images(images)
        if len(images) == 0:
            continue
        size = max(size, len(images))
        images, mask = _padded(np.asarray(images), size), _padded(np.asarray(mask), size)
        rate = 1 / (seen + 1) if momentum is None else momentum
        running, counts = step(
            encoder.spec, params, running, place(images), place(mask), np.float32(rate)
        )
        if momentum is None or not seen:  # else nobody asks, and nobody waits for the devices
            seen += bool(counts)
    if not seen:
        raise UserError("Recalibration needs at least one image, but the batches held none.")
    return replace(encoder, variables={**encoder.variables, "batch_stats": running})


@partial(jax.jit, static_argnames="spec", donate_argnames="running")
def step(
    spec: ModelSpec,
    params: Variables,
    running: dict[str, Any],
    images: jax.Array,
    mask: jax.Array,
    rate: ArrayLike,
) -> tuple[dict[str, Any], jax.Array]:
    """Running statistics after one batch, and whether an image of it counted.

    Args:
        spec: The row (static).
        params: Of the network.
        running: Statistics so far; their memory is taken for the new ones.
        images: uint8 [B, H, W, 3].
        mask: bool [B], False for images that do not count. Where none does, on any device,
            nothing moves.
        rate: Share of this batch in the result.
    """
    counts = mask.any()
    _, batch = forward_training(spec, {"params": params, "batch_stats": running}, images, mask)
    new = moved(running, batch, rate)
    # Not a rate of zero: the statistics of no image may be NaN.
    return jax.tree.map(partial(jnp.where, counts), new, running), counts


def moved(running: dict[str, Any], batch: dict[str, Any], rate: ArrayLike) -> dict[str, Any]:
    """Running statistics after a batch that gets the share `rate` in them."""
    return jax.tree.map(lambda old, new: (1 - rate) * old + rate * new, running, batch)


def _padded(rows: np.ndarray, size: int) -> np.ndarray:
    """`size` rows; those that are added are zeros, False in a mask."""
    return np.pad(rows, ((0, size - len(rows)), *((0, 0),) * (rows.ndim - 1)))


def _check(encoder: Encoder, momentum: float | None) -> None:
    if encoder.spec.folded:
        raise UserError(
            "A folded encoder has no batch normalisation left to recalibrate; recalibrate first, "
            "then fold."
        )
    if momentum is not None and not 0 <= momentum <= 1:
        raise UserError(f"The momentum of recalibration lies in [0, 1], but got {momentum}.")
