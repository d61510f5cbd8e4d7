"""Rows at their full size against their PyTorch twins: the study's size, 224 and odd sizes."""

import pytest
import twins

from jaxret.convert import port
from jaxret.models import get

CASES = {
    "resnet50": [(724, 724), (333, 517), (223, 223)],
    "byol": [(224, 224), (225, 333)],
    "gem-ap": [(225, 225)],
    "simclr2x": [(223, 224)],
    "simclr4x": [(224, 224)],
    "amdim": [(224, 224)],
}


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_full_size_networks_equal_their_twins(name, photographs, relative_difference):
    spec = get(name)
    twin = twins.randomize(twins.build(spec), seed=1)
    encoder, _ = port(spec, twins.published_state(spec, twin))
    for size in CASES[name]:
        images = photographs(*size, 1)
        expected = twins.run(twin, spec, images)["output"]
        assert relative_difference(encoder(images), expected) <= 1e-5, size
