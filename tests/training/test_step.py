"""One step of learning: every loss, on one device and on four, with and without remat."""

from dataclasses import replace
from functools import lru_cache, partial

import jax
import numpy as np
import pytest
import torch
import twins
from jax.sharding import Mesh
from tiny import TINY
from torch.nn import functional

from jaxret import models
from jaxret.convert import from_state_dict
from jaxret.runtime import parallel
from jaxret.training.augmentations import RECIPES, augment
from jaxret.training.settings import TrainSettings
from jaxret.training.step import initial_state, make_step

BATCH, SIDE = 8, 48
STEPS = 20
GENTLE = 0.003  # a learning rate that does not magnify rounding


def settings(loss="simclr", **others):
    others = {"optimizer": "sgd", "learning_rate": 0.02, "warmup_steps": 2, "steps": STEPS} | others
    return TrainSettings(
        model="tiny",
        loss=loss,
        batch_size=BATCH,
        image_size=40,
        ap_group=2,
        projection_dim=16,
        **others,
    ).resolved()


def photographs() -> np.ndarray:
    smooth = np.random.default_rng(0).integers(0, 256, (3 * BATCH, 6, 6, 3), np.uint8)
    return np.kron(smooth, np.ones((1, SIDE // 6, SIDE // 6, 1), np.uint8))


compiled = lru_cache(partial(make_step, TINY))  # compiling takes longer than running


def learn(one, devices=1, steps=STEPS):
    """The metrics of every step, and the last state."""
    mesh = Mesh(np.array(jax.devices()[:devices]), (parallel.BATCH_AXIS,))
    state = parallel.replicated(initial_state(models.random(TINY), one, 2 * BATCH), mesh)
    step, pixels, found = compiled(replace(one, seed=0), mesh), photographs(), []
    for number in range(steps):
        ids = (np.arange(BATCH) + number * BATCH) % len(pixels)
        rows = (pixels[ids], ids.astype(np.int32), (ids // 2).astype(np.int32))
        placed = (parallel.rows_of_all(one, mesh) for one in rows)
        state, metrics = step(state, *placed, np.int32(number // 3))
        found.append({name: float(value) for name, value in metrics.items()})
    return found, state


@pytest.mark.slow
@pytest.mark.parametrize(
    "loss", ["simclr", *(pytest.param(one, marks=pytest.mark.slow) for one in ("mocov2", "ap"))]
)
def test_one_and_four_devices_have_the_same_curve(loss):
    one = settings(loss, learning_rate=GENTLE)
    (alone, _), (together, _) = learn(one), learn(one, devices=4)
    curves = [[row["loss"] for row in rows] for rows in (alone, together)]
    np.testing.assert_allclose(curves[1], curves[0], rtol=2e-4)
    assert curves[0][-1] != curves[0][0]
    states = [learn(one, devices, steps=1)[1] for devices in (1, 4)]
    for a, b in zip(*map(jax.tree.leaves, states), strict=True):
        scale = max(float(np.abs(np.asarray(a)).max()), 1e-3)
        np.testing.assert_allclose(b, a, atol=1e-3 * scale)


@pytest.mark.slow
def test_a_loss_falls():
    one = settings(optimizer="adamw", learning_rate=0.01, steps=60, augmentation="light")
    losses = [row["loss"] for row in learn(one, steps=60)[0]]
    assert np.mean(losses[-6:]) < 0.8 * np.mean(losses[:6])


@pytest.mark.slow
def test_remat_changes_nothing_but_memory():
    plain, _ = learn(settings(), steps=3)
    again, _ = learn(settings(remat=True), steps=3)
    for a, b in zip(plain, again, strict=True):
        assert b == pytest.approx(a, rel=1e-4)


@pytest.mark.slow
def test_views_depend_on_photograph_and_epoch_alone():
    one, other = (settings(learning_rate=GENTLE, seed=seed) for seed in (0, 1))
    a, b = (learn(of_seed, steps=2)[0] for of_seed in (one, other))
    assert a != b
    assert learn(one, steps=2)[0] == a


@pytest.mark.slow
def test_the_momentum_encoder_follows_and_the_queue_turns():
    one = settings("mocov2", slow_momentum=0.5)
    _, state = learn(one, steps=3)
    assert int(state["oldest"]) == BATCH  # 3 batches into a ring of 2
    kernel = lambda tree: np.asarray(tree["encoder"]["conv1"]["kernel"])  # noqa: E731
    start = np.asarray(models.random(TINY).variables["params"]["conv1"]["kernel"])
    fast, slow = kernel(state["params"]), kernel(state["slow"]["params"])
    assert 0 < np.abs(fast - slow).max() < np.abs(fast - start).max()
    lengths = np.linalg.norm(np.asarray(state["queue"]), axis=1)
    np.testing.assert_allclose(lengths, 1, rtol=1e-5)


@pytest.mark.slow
def test_a_step_is_pytorchs():
    """Loss and updated kernels of one SimCLR step, written again in PyTorch on the same views."""
    one = settings(momentum=0.0, warmup_steps=0, weight_decay=0.1)
    twin = twins.randomize(twins.build(TINY), seed=3)
    encoder = from_state_dict(TINY, twins.published_state(TINY, twin))
    mesh = Mesh(np.array(jax.devices()[:1]), (parallel.BATCH_AXIS,))
    state = parallel.replicated(initial_state(encoder, one, BATCH), mesh)
    head = jax.tree.map(np.array, state["params"]["head"])
    pixels, ids = photographs()[:BATCH], np.arange(BATCH, dtype=np.int32)

    epoch = jax.random.fold_in(jax.random.wrap_key_data(state["key"]), 5)
    keys = jax.vmap(lambda photograph: jax.random.fold_in(epoch, photograph))(ids)

    @jax.jit
    def view(number):
        of_view = jax.vmap(lambda key: jax.random.fold_in(key, number))(keys)
        return augment(of_view, pixels, RECIPES["simclr"], 40)

    views = [np.asarray(view(number)) for number in (0, 1)]
    state, metrics = make_step(TINY, one, mesh)(state, pixels, ids, ids, np.int32(5))

    x = torch.from_numpy(np.concatenate(views)).permute(0, 3, 1, 2) / 255
    mean, std = (torch.tensor(v).reshape(1, 3, 1, 1) for v in (TINY.mean, TINY.std))
    pooled = twin.train()((x - mean) / std)["layer1"].mean(dim=(2, 3))

    def layer(h: torch.Tensor, p: dict) -> torch.Tensor:
        return functional.batch_norm(h @ torch.from_numpy(p["kernel"]), None, None, training=True)

    z = functional.normalize(layer(torch.relu(layer(pooled, head["hidden"])), head["output"]))
    logits = z @ z.T / one.temperature
    logits.fill_diagonal_(-torch.inf)
    partner = torch.arange(2 * BATCH).roll(BATCH)
    loss = functional.cross_entropy(logits, partner)
    loss.backward()
    assert float(metrics["loss"]) == pytest.approx(loss.item(), rel=1e-4)

    kernel = twin.conv1.weight
    expected = kernel - one.learning_rate * (kernel.grad + 0.1 * kernel)
    found = np.asarray(state["params"]["encoder"]["conv1"]["kernel"]).transpose(3, 2, 0, 1)
    expected, kernel = expected.detach(), kernel.detach()
    moved = float((expected - kernel).abs().max())
    np.testing.assert_allclose(found, expected.numpy(), atol=1e-2 * moved)
    running = twin.bn1.running_var.numpy()
    np.testing.assert_allclose(state["batch_stats"]["bn1"]["var"], running, rtol=1e-4)
