"""Every row holds what it promises; a row without expectations fails."""

import pytest

from jaxret import UserError, models
from jaxret.convert.layouts import layouts_of
from jaxret.models.encoder import count_parameters, network, template


def bottleneck_resnet(blocks, width=1):
    """Convolutions and BN pairs of a ResNet with bottlenecks, written out."""
    stem = 64 * width
    total, inputs = 3 * 49 * stem + 2 * stem, stem
    for stage, count in enumerate(blocks):
        planes = 64 * width * 2**stage
        for i in range(count):
            total += inputs * planes + 9 * planes**2 + 4 * planes**2 + 2 * (planes + planes)
            total += 2 * 4 * planes
            if i == 0:
                total += inputs * 4 * planes + 2 * 4 * planes
            inputs = 4 * planes
    return total


def amdim(d, rkhs, depth=10):
    """Convolutions of the trunk, biases of the first two, BN pair of the last."""
    blocks = [(d, 2 * d, 4), (2 * d, 4 * d, 4), (4 * d, 8 * d, 2), (8 * d, 8 * d, 3)]
    total = 3 * 25 * d + d + 9 * d**2 + d
    for inputs, outputs, window in [*blocks, blocks[-1]]:
        total += window**2 * inputs * outputs + outputs**2 + (depth - 1) * 2 * outputs**2
    return total + 9 * 8 * d * rkhs + rkhs**2 + 2 * rkhs


GEM_HEAD = 1 + 2048 * 2048 + 2048
RESNET50 = 25_557_032 - 2_049_000  # torchvision's published total less the classifier

# name -> (trained values, channels), counted apart from jaxret.
EXPECTED = {
    "efficientnet-lite0": (4_652_008 - 1_281_000, 1280),
    "resnet18": (11_689_512 - 513_000, 512),
    "resnet34": (21_797_672 - 513_000, 512),
    "resnet101": (44_549_160 - 2_049_000, 2048),
    "simclr2x": (bottleneck_resnet((3, 4, 6, 3), 2), 4096),
    "simclr4x": (bottleneck_resnet((3, 4, 6, 3), 4), 8192),
    "amdim": (amdim(320, 2560), 2560),
    "amdim-medium": (amdim(256, 2048), 2048),
    "gem-ap": (RESNET50 + GEM_HEAD, 2048),
    "gem-ap-101": (44_549_160 - 2_049_000 + GEM_HEAD, 2048),
    **dict.fromkeys(
        ["resnet50", "simclr1x", "mocov1", "mocov2", "swav", "barlowtwins", "vicreg", "dino"],
        (RESNET50, 2048),
    ),
    **dict.fromkeys(["simsiam", "byol"], (RESNET50, 2048)),
    **{
        f"gem-{data}-{depth}": (bottleneck_resnet(blocks) + GEM_HEAD, 2048)
        for data in ("sfm120k", "gl18")
        for depth, blocks in ((50, (3, 4, 6, 3)), (101, (3, 4, 23, 3)), (152, (3, 8, 36, 3)))
    },
}


def test_the_written_out_counts_are_the_published_ones():
    assert bottleneck_resnet((3, 4, 6, 3)) == RESNET50
    assert round(bottleneck_resnet((3, 4, 6, 3), 2), -5) == 93_900_000
    assert round(bottleneck_resnet((3, 4, 6, 3), 4), -5) == 375_400_000
    assert round(amdim(320, 2560), -5) == 626_400_000
    assert round(amdim(256, 2048), -5) == 400_900_000


def test_every_row_has_expectations_and_every_expectation_a_row():
    assert sorted(models.names()) == sorted(EXPECTED)


@pytest.mark.parametrize("name", models.names())
def test_parameters_are_exact(name):
    spec = models.get(name)
    parameters, channels = EXPECTED[name]
    assert spec.parameters == parameters
    assert count_parameters(template(spec)["params"]) == parameters
    assert spec.channels == channels


@pytest.mark.parametrize("name", models.names())
def test_rows_are_whole(name):
    spec = models.get(name)
    assert hash(spec) == hash(models.get(name))
    assert layouts_of(spec.layout)
    assert spec.sources and spec.licence and spec.note
    assert network(spec).__call__  # arguments fit the architecture


def test_an_unknown_name_lists_the_known_ones_nearest_first():
    with pytest.raises(UserError) as error:
        models.get("resnet5")
    sentence = str(error.value)
    assert "'resnet5'" in sentence
    assert sentence.index("resnet50") < sentence.index("efficientnet-lite0")
    assert all(name in sentence for name in models.names())
