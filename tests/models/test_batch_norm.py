"""Recalibration against PyTorch's own running statistics in training mode."""

import copy
from dataclasses import replace

import jax
import numpy as np
import pytest
import torch
import twins
from twins.building import pixels_to_torch

from jaxret import UserError, models, recalibrate
from jaxret.convert import from_state_dict
from jaxret.models import batch_norm
from jaxret.models.encoder import named_arrays

SIZES = [4, 4, 4, 4, 4, 4, 3]  # seven batches, the last one partial


@pytest.fixture(scope="module")
def pair():
    spec = replace(models.get("resnet18").with_arguments(stages=2), tap="layer2")
    twin = twins.randomize(twins.build(spec), seed=2)
    return twin, from_state_dict(spec, twins.published_state(spec, twin))


def batches(photographs, sizes=SIZES):
    images = photographs(41, 38, sum(sizes))
    return np.split(images, np.cumsum(sizes)[:-1])


def torch_statistics(twin, spec, parts, momentum):
    twin = copy.deepcopy(twin).train()
    for module in twin.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = momentum
            module.num_batches_tracked.zero_()
    with torch.no_grad():
        for part in parts:
            twin(pixels_to_torch(spec, part))
    return from_state_dict(spec, twin.eval().state_dict()).variables["batch_stats"]


def assert_statistics_equal(actual, expected, tolerance):
    """Relative to each value, with a floor at the layer's own scale for means around zero."""
    for (name, a), (_, e) in zip(named_arrays(actual), named_arrays(expected), strict=True):
        a, e = np.asarray(a), np.asarray(e)
        scale = np.maximum(np.abs(e), np.abs(e).mean())
        assert (np.abs(a - e) / scale).max() <= tolerance, name


@pytest.mark.parametrize("momentum", [0.1, None])
def test_equals_a_training_pass_of_pytorch(pair, photographs, momentum):
    twin, encoder = pair
    parts = batches(photographs)
    expected = torch_statistics(twin, encoder.spec, parts, momentum)
    actual = recalibrate(encoder, parts, momentum=momentum)
    assert_statistics_equal(actual.variables["batch_stats"], expected, 1e-5)


def test_leaves_the_given_encoder_and_the_parameters_alone(pair, photographs):
    _, encoder = pair
    before = encoder.digest()
    new = recalibrate(encoder, batches(photographs, [3]))
    assert models.encoder.digest_of(encoder.variables) == before != new.digest()
    assert new.variables["params"] is encoder.variables["params"]


def test_padding_does_not_count(pair, photographs):
    _, encoder = pair
    first, last = batches(photographs, [4, 2])
    padded = np.concatenate([last, np.full_like(last, 255)])
    mask = np.array([True, True, False, False])
    actual = recalibrate(encoder, [first, (padded, mask)])
    expected = recalibrate(encoder, [first, last])
    assert actual.digest() == expected.digest()


@pytest.mark.parametrize("momentum", [0.1, None])
def test_a_batch_in_which_no_image_counts_counts_for_nothing(pair, photographs, momentum):
    _, encoder = pair
    first, last = batches(photographs, [3, 3])
    unread = (np.zeros_like(first), np.zeros(3, bool))
    actual = recalibrate(encoder, [unread, first, unread, last], momentum=momentum)
    expected = recalibrate(encoder, [first, last], momentum=momentum)
    assert actual.digest() == expected.digest()
    with pytest.raises(UserError, match="at least one image"):
        recalibrate(encoder, [unread], momentum=momentum)


def test_statistics_are_those_of_the_whole_batch_on_any_number_of_devices(pair, photographs):
    _, encoder = pair
    parts = batches(photographs, [4, 3])
    expected = recalibrate(encoder, parts)
    mesh = jax.make_mesh((4,), ("data",))
    sharding = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec("data"))
    actual = recalibrate(encoder, parts, place=lambda array: jax.device_put(array, sharding))
    assert_statistics_equal(
        actual.variables["batch_stats"], expected.variables["batch_stats"], 1e-6
    )


def test_an_empty_pass_and_a_wrong_momentum_are_refused(pair):
    _, encoder = pair
    with pytest.raises(UserError, match="at least one image"):
        recalibrate(encoder, [])
    with pytest.raises(UserError, match=r"\[0, 1\]"):
        recalibrate(encoder, [np.zeros((1, 64, 64, 3), np.uint8)], momentum=1.5)


def test_one_compiled_function_serves_all_batches_on_a_mesh(pair, photographs):
    _, encoder = pair
    mesh = jax.sharding.Mesh(jax.devices(), ("data",))
    rows, everywhere = (
        jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec(*axes))
        for axes in (["data"], [])
    )
    before = batch_norm.step._cache_size()
    recalibrate(
        replace(encoder, variables=jax.device_put(encoder.variables, everywhere)),
        batches(photographs, [8, 8, 8, 3]),
        place=lambda array: jax.device_put(array, rows),
    )
    assert batch_norm.step._cache_size() == before + 1
