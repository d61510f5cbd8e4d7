"""What users have JAX do for all of their programs changes no figure of ours."""

import json
import tempfile
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import jax
import numpy as np
import pytest
import tiny
from PIL import Image

from jaxret import models
from jaxret.descriptors.multiscale import pool_scales
from jaxret.descriptors.pooling import gem
from jaxret.descriptors.pooling_rows import pool
from jaxret.descriptors.rmac import rmac
from jaxret.descriptors.whitening import PCAWhitening
from jaxret.models.batch_norm import recalibrate
from jaxret.models.encoder import Encoder
from jaxret.models.folding import fold
from jaxret.models.weights.random import random
from jaxret.ranking.diffusion.inductive import Diffusion, DiffusionSettings
from jaxret.ranking.neighbours.search import knn
from jaxret.ranking.rankings import RankingSettings, rank_all
from jaxret.training.loop import train
from jaxret.training.settings import TrainSettings

SETTINGS = {
    "64 bits": ("jax_enable_x64", True),
    "strict promotion": ("jax_numpy_dtype_promotion", "strict"),
    "debug NaNs": ("jax_debug_nans", True),
    "products in bfloat16": ("jax_default_matmul_precision", "bfloat16"),
}


@contextmanager
def in_force(name, value):
    """For every thread, as an environment variable is."""
    before = getattr(jax.config, name)
    jax.config.update(name, value)
    try:
        yield
    finally:
        jax.config.update(name, before)


@pytest.fixture(params=SETTINGS.values(), ids=SETTINGS)
def setting(request):
    return request.param


def unit(count, dim=16, seed=0):
    x = np.random.default_rng(seed).normal(size=(count, dim))
    return (x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float32)


def photographs(count=3, side=33):
    return np.random.default_rng(3).integers(0, 256, (count, side, side, 3), np.uint8)


def network(spec) -> Encoder:
    return random(spec, 0)


def described(spec):
    """Map, recalibrated map, folded map of a network."""
    encoder = network(spec)
    images = photographs(3, max(33, spec.smallest_image))
    recalibrated = recalibrate(encoder, [images, images[:2]])
    averaged = recalibrate(encoder, [images], momentum=None)
    return [one(images) for one in (encoder, recalibrated, averaged, fold(recalibrated))]


def poolings():
    fmap = np.abs(np.random.default_rng(1).normal(size=(2, 5, 4, 24))).astype(np.float32)
    vectors = np.asarray(rmac(fmap, include_global=True))
    whiten = PCAWhitening.fit(unit(60, 24), 6)
    scales = pool_scales(np.stack([vectors, vectors[::-1]]))
    others = [pool({"map": fmap, "cls": vectors}, name) for name in ("mac", "crow", "cls+mean")]
    others.append(gem(-fmap, negatives="shift"))
    return [rmac(fmap), vectors, gem(fmap), gem(fmap, 2), whiten(vectors), scales, *others]


def neighbours():
    return list(knn(unit(7), unit(150, seed=1), 20))


def rankings(dfs):
    settings = RankingSettings(dfs=dfs, diffusion=DiffusionSettings(50, 12), block_size=64)
    ranked = rank_all(unit(7), unit(150, seed=1), settings=settings)
    return [result.ids for result in ranked.values()]


def untruncated():
    fitted = Diffusion.fit(unit(150, seed=1), truncation=150, kd=12)
    return list(fitted.search(unit(7), 30))


def learning(loss):
    """The losses of a run from photographs on."""
    tiny.know_tiny()
    with tempfile.TemporaryDirectory() as folder:
        for number, pixels in enumerate(photographs(12, 48)):
            place = Path(folder) / "photographs" / f"{number // 3}"
            place.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(place / f"{number}.png")
        names = [f"{number // 3}/{number}.png" for number in range(12)]
        truth = {
            "imlist": [name for i, name in enumerate(names) if i % 3],
            "qimlist": names[::3],
            "gnd": [{"easy": [2 * i], "hard": [2 * i + 1], "junk": []} for i in range(4)],
        }
        (Path(folder) / "photographs" / "gnd.json").write_text(json.dumps(truth))
        settings = TrainSettings(
            dataset=f"{folder}/photographs", workdir=f"{folder}/learnt", model="tiny",
            init="random", loss=loss, batch_size=4, image_size=40, validation_size=40,
            projection_dim=16, warmup_steps=1, steps=3, ap_group=2,
        )  # fmt: skip
        learnt = train(settings).curves.losses
    return [np.float32([row["loss"] for row in learnt])]


WORK = {
    "poolings": poolings,
    "neighbours": neighbours,
    "joint diffusion": lambda: rankings("joint"),
    "a network": lambda: described(tiny.TINY),
}
SLOW_WORK = {
    "inductive diffusion": lambda: rankings("inductive"),
    "untruncated diffusion": untruncated,
    **{name: lambda name=name: described(models.get(name)) for name in (
        "resnet18", "byol", "gem-ap", "efficientnet-lite0", "amdim-medium",
    )},
    **{f"learning by {loss}": lambda loss=loss: learning(loss) for loss in (
        "simclr", "mocov2", "ap",
    )},
}  # fmt: skip


@cache
def as_it_comes(work):
    return [np.asarray(array) for array in {**WORK, **SLOW_WORK}[work]()]


def same(work, setting):
    expected = as_it_comes(work)
    with in_force(*setting):
        found = [np.asarray(array) for array in {**WORK, **SLOW_WORK}[work]()]
    for ours, theirs in zip(found, expected, strict=True):
        assert ours.dtype == theirs.dtype
        largest = np.abs(theirs).max()
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=2e-5 * largest)
        if theirs.dtype.kind == "i":
            np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("work", WORK)
def test_no_figure_changes(work, setting):
    same(work, setting)


# Made of the same layers and steps as the others: where types are at stake they are run too. The
# tests of tests/models run once more with 64 bits.
ALIKE = {
    **dict.fromkeys(("byol", "gem-ap", "amdim-medium"), ("strict promotion",)),
    **dict.fromkeys(("learning by mocov2", "learning by ap"), ("strict promotion", "64 bits")),
}
SLOW = [(work, name) for work in SLOW_WORK for name in ALIKE.get(work, SETTINGS)]


@pytest.mark.slow
@pytest.mark.parametrize(("work", "name"), SLOW)
def test_nor_of_what_takes_longer(work, name):
    same(work, SETTINGS[name])
