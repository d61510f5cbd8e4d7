"""What the port refuses, in one sentence that names the array; and what only a comparison sees."""

import numpy as np
import pytest
import torch
import twins

from jaxret import UserError, models
from jaxret.convert import from_state_dict


def refusal(spec, state):
    with pytest.raises(UserError) as error:
        from_state_dict(spec, state)
    sentence = str(error.value)
    assert sentence.startswith(f"This is not a checkpoint of {spec.name}: ")
    assert "\n" not in sentence and sentence.endswith(".")
    return sentence


@pytest.fixture
def state(small):
    spec, _, published = small("resnet50")
    return spec, dict(published)


def test_a_renamed_key_is_missing_and_unexpected(state):
    spec, arrays = state
    arrays["layer2.1.conv9.weight"] = arrays.pop("layer2.1.conv2.weight")
    sentence = refusal(spec, arrays)
    assert "missing (1): params/layer2_1/conv2/kernel" in sentence
    assert "unexpected (1): layer2.1.conv9.weight" in sentence


def test_a_dropped_batch_norm_is_missing(state):
    spec, arrays = state
    for name in [name for name in arrays if name.startswith("layer1.2.bn2.")]:
        del arrays[name]
    sentence = refusal(spec, arrays)
    for name in ("params/layer1_2/bn2/scale", "batch_stats/layer1_2/bn2/var"):
        assert name in sentence


def test_a_kernel_of_another_shape_is_named_with_both(state):
    spec, arrays = state
    arrays["conv1.weight"] = arrays["conv1.weight"].permute(2, 3, 1, 0)
    assert "conv1.weight is (7, 7, 3, 64), not (64, 3, 7, 7)" in refusal(spec, arrays)


def test_a_name_that_no_rule_knows_is_refused(state):
    spec, arrays = state
    arrays["layer3.0.se.fc1.weight"] = torch.zeros(4, 4)
    arrays["decoder.weight"] = torch.zeros(4, 4)
    sentence = refusal(spec, arrays)
    assert "decoder.weight" in sentence


def test_nan_is_refused(state):
    spec, arrays = state
    arrays["layer1.0.bn1.weight"] = arrays["layer1.0.bn1.weight"] * float("nan")
    assert "layer1.0.bn1.weight holds NaN or infinity" in refusal(spec, arrays)


def test_what_is_no_array_is_refused(state):
    spec, arrays = state
    arrays["bn1.bias"] = "all zeros"
    assert "bn1.bias is a str, not an array of numbers" in refusal(spec, arrays)


def test_another_networks_checkpoint_is_refused(small):
    for name, other in (("resnet50", "amdim"), ("amdim", "resnet18"), ("gem-ap", "resnet50")):
        refusal(small(name)[0], small(other)[2])


def test_an_empty_or_strange_mapping_is_refused(state):
    spec, _ = state
    assert "first names are: none" in refusal(spec, {})
    assert "nothing" in refusal(spec, {"nothing": 3})


def test_many_faults_are_counted_and_the_first_are_named(state):
    spec, arrays = state
    kept = {name: value for name, value in arrays.items() if not name.startswith("layer2.")}
    sentence = refusal(spec, kept)
    assert "and" in sentence and "more" in sentence
    assert len(sentence) < 600


# Shapes cannot tell these; a comparison with the PyTorch network does.


@pytest.fixture(scope="module")
def deep():
    """Two stages whose later blocks have equal shapes, at a size where they differ."""
    spec = models.get("resnet18").with_arguments(stages=1)
    spec = spec.__class__(**{**spec.__dict__, "tap": "layer1", "channels": 64})
    return spec, twins.randomize(twins.build(spec), seed=8)


def square_kernel_transposed(arrays):
    arrays["layer1.0.conv2.weight"] = arrays["layer1.0.conv2.weight"].transpose(0, 1)


def rows_and_columns_exchanged(arrays):
    arrays["layer1.0.conv2.weight"] = arrays["layer1.0.conv2.weight"].transpose(2, 3)


def two_blocks_exchanged(arrays):
    first = {name: value for name, value in arrays.items() if name.startswith("layer1.0.")}
    for name, value in first.items():
        other = name.replace("layer1.0.", "layer1.1.")
        arrays[name], arrays[other] = arrays[other], value


def mean_and_variance_exchanged(arrays):
    mean, var = "layer1.1.bn2.running_mean", "layer1.1.bn2.running_var"
    arrays[mean], arrays[var] = arrays[var], arrays[mean].abs()


@pytest.mark.parametrize(
    "mutate",
    [
        square_kernel_transposed,
        rows_and_columns_exchanged,
        two_blocks_exchanged,
        mean_and_variance_exchanged,
    ],
)
def test_what_keeps_every_shape_is_caught_by_the_comparison(mutate, deep):
    spec, twin = deep
    images = np.random.default_rng(0).integers(0, 256, (1, 40, 40, 3), np.uint8)
    expected = twins.run(twin, spec, images)["output"]
    arrays = dict(twin.state_dict())
    assert difference(from_state_dict(spec, arrays)(images), expected) <= 1e-5
    mutate(arrays)
    assert difference(from_state_dict(spec, arrays)(images), expected) > 1e-3


def difference(actual, expected):
    return float(np.abs(np.asarray(actual) - expected).max() / np.abs(expected).max())
