"""Optimisers: a choice among those of optax, with schedule, decay, clipping and accumulation."""

from typing import Any

import jax
import optax

from jaxret.training.settings import TrainSettings


def learning_rate(settings: TrainSettings) -> optax.Schedule:
    """Over updates: a linear warm-up, then half a cosine down to 0 (Chen et al., ICML 2020)."""
    updates = -(-settings.steps // settings.accumulate)
    warmup = settings.warmup_steps // settings.accumulate
    return optax.warmup_cosine_decay_schedule(
        0.0 if warmup else settings.learning_rate, settings.learning_rate, warmup, updates
    )


def make(settings: TrainSettings) -> optax.GradientTransformation:
    """The whole rule from gradients to updates."""
    rate, decay = learning_rate(settings), settings.weight_decay
    if settings.optimizer == "sgd":
        rule = optax.chain(
            optax.add_decayed_weights(decay, kernels), optax.sgd(rate, settings.momentum)
        )
    elif settings.optimizer == "lars":
        rule = optax.lars(
            rate, decay, kernels, trust_ratio_mask=kernels, momentum=settings.momentum
        )
    else:
        rule = optax.adamw(rate, weight_decay=decay, mask=kernels)
    if settings.clip_norm is not None:
        rule = optax.chain(optax.clip_by_global_norm(settings.clip_norm), rule)
    if settings.accumulate > 1:
        return optax.MultiSteps(rule, settings.accumulate).gradient_transformation()
    return rule


def kernels(params: Any) -> Any:
    """True for kernels; batch norm, biases and exponents of pooling are vectors."""
    return jax.tree.map(lambda array: array.ndim > 1, params)
