"""Which poolings a network has, and what the settings' words become; nothing is computed."""

import functools

import jax
import numpy as np
import pytest
from small_vits import FAMILIES, small

from jaxret.descriptors.pooling_rows import REGIONS, Pooling
from jaxret.errors import UserError
from jaxret.models import get
from jaxret.models.encoder import forward_outputs, output_channels, template
from jaxret.models.rows import ROWS
from jaxret.settings import Settings
from jaxret.stages.poolings import channels, layer_of, name_of, pooling_of

HEADS = ("gem-ap", "gem-sfm120k-50")


def of(model, **changes):
    return pooling_of(get(model), Settings(**changes))


def test_the_default_is_the_rows_own():
    assert of("resnet50") == Pooling()
    assert of("dinov2-small") == Pooling("cls") and channels(get("dinov2-small"), Pooling("cls"))
    assert of("clip-b16") == Pooling("pooled")
    assert channels(get("clip-b16"), Pooling("pooled")) == 512
    assert channels(get("dinov2-small"), Pooling("cls+gem")) == 768


@pytest.mark.parametrize("name", HEADS)
def test_the_descriptor_of_a_head_is_where_it_always_was(name):
    assert name_of(get(name), Settings()) == "pooled"
    assert of(name) == of(name, pooling="pooled") == Pooling()
    assert of(name).key() == Pooling().key()
    assert of(name, pooling="rmac") == Pooling("rmac", "layer4")
    assert channels(get(name), of(name)) == get(name).channels


def test_every_row_has_the_pooling_that_it_states():
    for row in ROWS:
        assert channels(row, pooling_of(row, Settings())) > 0


@pytest.mark.parametrize("name", FAMILIES)
def test_what_a_network_gives_is_known_before_it_runs(name):
    spec = small(name)
    images = jax.ShapeDtypeStruct((1, 64, 64, 3), np.uint8)
    given = jax.eval_shape(functools.partial(forward_outputs, spec), template(spec), images)
    assert output_channels(spec) == {name: one.shape[-1] for name, one in given.items()}


def test_layers_by_their_names():
    assert layer_of(get("resnet18"), Settings(layers="layer3")) == "layer3"
    assert channels(get("resnet18"), of("resnet18", layers="layer3")) == 256
    assert layer_of(small("dinov2-small"), Settings(layers="block_1")) == "blocks_1"
    assert layer_of(get("resnet18"), Settings(layers="layer4")) is None  # the encoder's own
    with pytest.raises(UserError, match="resnet18 has no layer layer5: it has conv1, maxpool, lay"):
        of("resnet18", layers="layer5")


@pytest.mark.parametrize(
    ("model", "changes", "sentence"),
    [
        ("resnet50", {"pooling": "cls"}, r"resnet50 has no cls\. It has rmac, gem"),
        (
            "siglip2-base-512",
            {"pooling": "cls+gem"},
            r"has no cls\+gem, which needs its cls\. .* mean, pooled\.",
        ),
        ("dino-vits16", {"pooling": "pooled"}, "dino-vits16 has no pooled"),
        ("resnet18", {"pooling": "cls", "layers": "layer3"}, "resnet18 has no cls"),
    ],
)
def test_what_a_network_has_not_is_one_sentence(model, changes, sentence):
    with pytest.raises(UserError, match=sentence):
        of(model, **changes)


def test_a_layer_has_a_map_alone():
    with pytest.raises(UserError, match="--layers=block_1 pools the map of one"):
        pooling_of(small("dino-vits16"), Settings(pooling="cls", layers="block_1"))


def test_regions_are_of_rmac_alone():
    assert of("resnet50", rmac_whitening="regions").name == REGIONS
    assert of("resnet50", rmac_whitening="regions", pooling="gem") == Pooling("gem")
    for wrong in ({"pca_dim": "true"}, {"scales": (1.0, 0.5)}, {"resize": "keep"}):
        with pytest.raises(UserError, match="regions whitens the regions of one encoder"):
            Settings(rmac_whitening="regions", **wrong)
