"""A folded encoder is the same function without batch normalisation behind its convolutions."""

from dataclasses import replace

import numpy as np
import pytest

from jaxret import UserError, models, recalibrate
from jaxret.models.encoder import Encoder, named_arrays, template

SPECS = {
    "basic": models.get("resnet18").with_arguments(stages=2),
    "bottleneck": models.get("byol").with_arguments(stages=2),
    "gem": models.get("gem-ap").with_arguments(stages=1, descriptor=16),
}
TAPS = {"basic": "layer2", "bottleneck": "layer2", "gem": "fc"}


def small(name):
    return models.random(replace(SPECS[name], tap=TAPS[name]), seed=3)


@pytest.mark.parametrize("name", SPECS)
def test_folding_changes_nothing_beyond_rounding(name, photographs, relative_difference):
    encoder, images = small(name), photographs(47, 66)
    folded = models.fold(encoder)
    assert relative_difference(folded(images), encoder(images)) <= 2e-6


@pytest.mark.slow
def test_folds_the_shipped_network(photographs, relative_difference):
    encoder, images = models.load("efficientnet-lite0"), photographs(223, 223)
    folded = models.fold(encoder)
    assert folded.variables["batch_stats"] == {}
    assert relative_difference(folded(images), encoder(images)) <= 1e-5


@pytest.mark.parametrize("name", ["resnet18", "resnet101", "efficientnet-lite0", "gem-ap", "byol"])
def test_every_row_folds_into_the_arrays_that_its_folded_network_asks_for(name):
    spec = models.get(name)
    shapes = template(spec)
    zeros = _map(shapes, lambda leaf: np.broadcast_to(np.float32(1), leaf.shape))
    folded = models.fold(Encoder(spec, zeros))
    wanted = {key: leaf.shape for key, leaf in named_arrays(template(folded.spec))}
    assert {key: leaf.shape for key, leaf in named_arrays(folded.variables)} == wanted
    assert not folded.spec.has_batch_norm


def _map(tree, function):
    if hasattr(tree, "shape"):
        return function(tree)
    return {key: _map(node, function) for key, node in tree.items()}


def test_folding_twice_is_folding_once_and_leaves_the_first_alone():
    encoder = small("basic")
    before = encoder.digest()
    folded = models.fold(encoder)
    assert models.fold(folded) is folded
    assert Encoder(encoder.spec, encoder.variables).digest() == before


def test_a_folded_encoder_cannot_be_recalibrated():
    with pytest.raises(UserError, match="recalibrate first"):
        recalibrate(models.fold(small("basic")), [np.zeros((1, 32, 32, 3), np.uint8)])
