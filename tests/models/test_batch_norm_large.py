"""Recalibration of whole networks against PyTorch's training mode, on real photographs."""

import copy

import numpy as np
import pytest
import torch
import twins
from twins.building import pixels_to_torch

from jaxret import models, recalibrate
from jaxret.convert import port
from jaxret.models.encoder import named_arrays


@pytest.mark.slow
@pytest.mark.parametrize("name", ["resnet50", "simclr2x"])
def test_seven_batches_the_last_one_partial(name, photographs):
    spec = models.get(name)
    twin = twins.randomize(twins.build(spec), seed=4)
    encoder, _ = port(spec, twins.published_state(spec, twin))
    batches = np.split(photographs(97, 96, 6 * 4 + 3), range(4, 27, 4))
    actual = recalibrate(encoder, batches)
    trained = copy.deepcopy(twin).train()
    with torch.no_grad():
        for batch in batches:
            trained(pixels_to_torch(spec, batch))
    expected, _ = port(spec, twins.published_state(spec, trained))
    pairs = zip(
        named_arrays(actual.variables["batch_stats"]),
        named_arrays(expected.variables["batch_stats"]),
        strict=True,
    )
    worst = {"mean": 0.0, "var": 0.0}
    for (path, ours), (_, theirs) in pairs:
        ours, theirs = np.asarray(ours), np.asarray(theirs)
        scale = np.maximum(np.abs(theirs), np.abs(theirs).mean())
        kind = path.rsplit("/", 1)[1]
        worst[kind] = max(worst[kind], float((np.abs(ours - theirs) / scale).max()))
    assert max(worst.values()) <= 1e-4
