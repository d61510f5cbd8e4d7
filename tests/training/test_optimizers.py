"""Schedules and rules against written-out formulas and PyTorch."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import torch

from jaxret.training import optimizers
from jaxret.training.settings import TrainSettings

PARAMS = {
    "conv": {"kernel": np.linspace(-1, 1, 24, dtype=np.float32).reshape(2, 3, 2, 2)},
    "bn": {"scale": np.array([1.0, 2.0], np.float32), "bias": np.array([0.5, -0.5], np.float32)},
}


def gradient(step):
    return jax.tree.map(lambda p: np.cos(p + step).astype(np.float32), PARAMS)


def after(settings, steps):
    rule, params = optimizers.make(settings), jax.tree.map(jnp.asarray, PARAMS)
    state = rule.init(params)
    for step in range(steps):
        updates, state = rule.update(gradient(step), state, params)
        params = optax.apply_updates(params, updates)
    return params


def settings(**others):
    others = {"steps": 10, "warmup_steps": 0, "weight_decay": 0.1, **others}
    return TrainSettings(**others)


def test_warm_up_then_half_a_cosine():
    one = settings(steps=110, warmup_steps=10, learning_rate=0.5)
    rate = optimizers.learning_rate(one)
    assert float(rate(5)) == pytest.approx(0.25)
    for step in (10, 37, 60, 109):
        expected = 0.5 * (1 + math.cos(math.pi * (step - 10) / 100)) / 2
        assert float(rate(step)) == pytest.approx(expected, abs=1e-7)
    assert float(rate(110)) == 0


@pytest.mark.parametrize("name", ["sgd", "adamw"])
def test_rules_are_pytorchs(name):
    one = settings(optimizer=name, learning_rate=0.05)
    found = after(one, 5)
    tensors = {
        (layer, key): torch.tensor(value, requires_grad=True)
        for layer, leaves in PARAMS.items()
        for key, value in leaves.items()
    }
    kernels = [t for t in tensors.values() if t.ndim > 1]
    others = [t for t in tensors.values() if t.ndim == 1]
    groups = [{"params": kernels, "weight_decay": 0.1}, {"params": others, "weight_decay": 0.0}]
    rule = (
        torch.optim.SGD(groups, lr=0.05, momentum=0.9)
        if name == "sgd"
        else torch.optim.AdamW(groups, lr=0.05)
    )
    rate = optimizers.learning_rate(one)
    for step in range(5):
        for group in rule.param_groups:
            group["lr"] = float(rate(step))
        for (layer, key), tensor in tensors.items():
            tensor.grad = torch.tensor(gradient(step)[layer][key])
        rule.step()
    for (layer, key), tensor in tensors.items():
        np.testing.assert_allclose(found[layer][key], tensor.detach().numpy(), atol=2e-6)


def test_lars_scales_kernels_by_their_norms():
    """You et al. 2017 as SimCLR uses it: rate |w| / |g + decay w| for kernels, none for others."""
    one = settings(optimizer="lars", learning_rate=0.5)
    found = after(one, 1)
    kernel, slope = PARAMS["conv"]["kernel"], gradient(0)["conv"]["kernel"]
    decayed = slope + 0.1 * kernel
    trust = 0.001 * np.linalg.norm(kernel) / np.linalg.norm(decayed)
    np.testing.assert_allclose(
        found["conv"]["kernel"], kernel - 0.5 * trust * decayed, rtol=1e-5, atol=1e-7
    )
    bias = PARAMS["bn"]["bias"] - 0.5 * gradient(0)["bn"]["bias"]
    np.testing.assert_allclose(found["bn"]["bias"], bias, rtol=1e-5)


def test_accumulated_batches_make_one_update_of_their_mean():
    several = settings(optimizer="sgd", momentum=0.0, accumulate=2, steps=20, learning_rate=0.1)
    rate = optimizers.learning_rate(several)
    found = after(several, 4)["bn"]["scale"]
    expected = PARAMS["bn"]["scale"].copy()
    for update in range(2):
        mean = (gradient(2 * update)["bn"]["scale"] + gradient(2 * update + 1)["bn"]["scale"]) / 2
        expected -= float(rate(update)) * mean
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    half = after(several, 3)["bn"]["scale"]
    assert np.array_equal(half, after(several, 2)["bn"]["scale"])


def test_clipping_bounds_the_whole_gradient():
    one = settings(optimizer="sgd", momentum=0.0, weight_decay=0.0, learning_rate=1.0)
    free, bound = after(one, 1), after(settings(**{**one.__dict__, "clip_norm": 0.1}), 1)
    moved = [
        math.sqrt(sum(float(((new - old) ** 2).sum()) for new, old in zip(*trees, strict=True)))
        for trees in ((jax.tree.leaves(p), jax.tree.leaves(PARAMS)) for p in (free, bound))
    ]
    assert moved[0] > 1
    assert moved[1] == pytest.approx(0.1, rel=1e-5)
