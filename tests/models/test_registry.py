"""Every row holds what it promises; a row without expectations fails."""

import pytest

from jaxret import UserError, models
from jaxret.convert.layouts import LAYOUTS
from jaxret.models.encoder import count_parameters, network, template

# name -> (trained values, channels), counted apart from jaxret: torchvision's published totals
# less the classifier (1000 x features + 1000), and 4,652,008 - 1,281,000 of EfficientNet-Lite0.
EXPECTED = {
    "efficientnet-lite0": (4_652_008 - 1_281_000, 1280),
    "resnet18": (11_689_512 - 513_000, 512),
    "resnet34": (21_797_672 - 513_000, 512),
    "resnet50": (25_557_032 - 2_049_000, 2048),
    "resnet101": (44_549_160 - 2_049_000, 2048),
}


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
    assert spec.layout in LAYOUTS
    assert spec.sources and spec.licence and spec.note
    assert network(spec).__call__  # arguments fit the architecture


def test_an_unknown_name_lists_the_known_ones_nearest_first():
    with pytest.raises(UserError) as error:
        models.get("resnet5")
    sentence = str(error.value)
    assert "'resnet5'" in sentence
    assert sentence.index("resnet50") < sentence.index("efficientnet-lite0")
    assert all(name in sentence for name in models.names())
