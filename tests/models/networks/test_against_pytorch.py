"""Every architecture against its PyTorch twin with the same weights, on real photographs.

The twin's weights go through the port, so names, transposition and arithmetic are tested at once.
"""

from dataclasses import replace

import pytest
import twins

from jaxret.convert import from_state_dict
from jaxret.models import get


def cut(name, stages, **arguments):
    """A row's network with its first stages only."""
    spec = get(name).with_arguments(stages=stages, **arguments)
    return replace(spec, tap=f"layer{stages}")


# The same classes as the large rows, at a size that compiles in a second.
SMALL = {
    "basic": cut("resnet18", 4),
    "bottleneck": cut("resnet50", 2),
    "wide": cut("resnet50", 1, width=2, stem_pool="same"),
    "same": cut("resnet50", 2, padding="same", stem_pool="same"),
    "gem": replace(get("gem-ap").with_arguments(stages=1, descriptor=32), channels=32),
    "cirtorch": replace(get("gem-gl18-50").with_arguments(stages=1, descriptor=32), channels=32),
    "amdim": get("amdim").with_arguments(ndf=8, n_rkhs=72, n_depth=2),
    "amdim9": replace(
        get("amdim").with_arguments(ndf=8, n_rkhs=72, n_depth=2),
        tap="layer_list_9",
        grid_stride=None,
    ),
}
SIZES = [(128, 128), (143, 158)]


@pytest.fixture(scope="module", params=SMALL)
def pair(request):
    spec = SMALL[request.param]
    twin = twins.randomize(twins.build(spec), seed=1)
    return twin, from_state_dict(spec, twins.published_state(spec, twin))


@pytest.mark.parametrize("size", SIZES)
def test_output_equals_the_twins(pair, size, photographs, relative_difference):
    twin, encoder = pair
    images = photographs(*size)
    expected = twins.run(twin, encoder.spec, images)["output"]
    assert relative_difference(encoder(images), expected) <= 1e-5


def test_every_stage_equals_the_twins(pair, photographs, relative_difference):
    twin, encoder = pair
    images = photographs(129, 127)
    expected = twins.run(twin, encoder.spec, images)
    stages = encoder.stages(images)
    assert list(stages) == list(expected)
    for name in expected:
        assert relative_difference(stages[name], expected[name]) <= 1e-5, name
