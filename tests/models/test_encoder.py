"""What an Encoder takes and gives, and what it refuses."""

from dataclasses import replace

import jax.numpy as jnp
import numpy as np
import pytest

from jaxret import UserError, models
from jaxret.models.encoder import Encoder, digest_of


@pytest.fixture(scope="module")
def encoder():
    spec = replace(models.get("resnet18").with_arguments(stages=2), tap="layer2")
    return models.random(spec, seed=5)


def test_gives_a_float32_map_of_the_stride_of_the_tap(encoder, photographs):
    fmap = encoder(photographs(65, 39))
    assert fmap.dtype == jnp.float32
    assert fmap.shape == (2, 9, 5, 128)


@pytest.mark.parametrize("size", [(1, 1), (2, 5)])
def test_a_photograph_of_one_pixel_has_a_map(encoder, size, photographs):
    assert np.isfinite(encoder(photographs(*size))).all()


@pytest.mark.parametrize(
    "images",
    [
        np.zeros((2, 8, 8, 3), np.float32),
        np.zeros((8, 8, 3), np.uint8),
        np.zeros((2, 3, 8, 8), np.uint8),
        [[1, 2]],
    ],
)
def test_anything_but_rgb_pixels_is_refused(encoder, images):
    with pytest.raises(UserError, match="uint8 images"):
        encoder(images)


def test_bfloat16_stays_near_float32_and_comes_back_as_float32(encoder, photographs):
    images = photographs(64, 64)
    exact, rough = encoder(images), replace(encoder, dtype="bfloat16")(images)
    assert rough.dtype == jnp.float32
    difference = np.abs(np.asarray(rough - exact)).max() / np.abs(np.asarray(exact)).max()
    assert 1e-5 < difference < 3e-2  # 8 bits a value, and it was not float32 all along


def test_the_digest_knows_names_shapes_and_values(encoder):
    variables = {"params": {"a": np.arange(6, dtype=np.float32)}}
    renamed = {"params": {"b": variables["params"]["a"]}}
    reshaped = {"params": {"a": variables["params"]["a"].reshape(2, 3)}}
    changed = {"params": {"a": variables["params"]["a"] + np.float32(1e-6)}}
    digests = {digest_of(tree) for tree in (variables, renamed, reshaped, changed)}
    assert len(digests) == 4
    assert Encoder(encoder.spec, variables).digest() == digest_of(variables)


def test_random_weights_are_told_by_their_seed(encoder):
    again, other = (models.random(encoder.spec, seed) for seed in (5, 6))
    assert again.digest() == encoder.digest() != other.digest()


def test_amdim_pools_onto_the_grid_of_a_resnet_and_says_what_it_cannot_see(photographs):
    spec = models.get("amdim").with_arguments(ndf=4, n_rkhs=40, n_depth=1)
    encoder = models.random(spec)
    assert encoder(photographs(224, 353, 1)).shape == (1, 7, 12, 32)
    assert not spec.has_batch_norm
    with pytest.raises(UserError, match="at least 95 pixels"):
        encoder(photographs(94, 200, 1))


def test_a_gem_head_gives_a_unit_vector(photographs):
    spec = models.get("gem-ap").with_arguments(stages=1, descriptor=24)
    descriptor = models.random(spec)(photographs(50, 40, 3))
    assert descriptor.shape == (3, 1, 1, 24)
    np.testing.assert_allclose(np.linalg.norm(descriptor, axis=-1), 1, rtol=1e-6)


@pytest.mark.slow
def test_outputs_are_the_map_and_what_a_head_makes_of_it(photographs):
    images = photographs(65, 97)
    plain = models.random("resnet18")
    assert set(plain.outputs(images)) == {"map"}
    np.testing.assert_allclose(plain.outputs(images)["map"], plain(images), atol=1e-5)

    spec = models.get("gem-ap").with_arguments(descriptor=8)
    gem = models.random(replace(spec, channels=8))
    outputs = gem.outputs(images)
    assert {name: x.shape for name, x in outputs.items()} == {
        "map": (2, 3, 4, 2048),
        "pooled": (2, 8),
    }
    np.testing.assert_allclose(outputs["pooled"], gem(images)[:, 0, 0], atol=1e-5)
    np.testing.assert_allclose(outputs["map"], gem.stages(images)["layer4"], atol=1e-4)
