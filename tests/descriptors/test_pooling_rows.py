"""Every pooling against a second expression in torch or NumPy, on signed maps of odd shapes."""

import dataclasses

import jax
import numpy as np
import pytest
import torch

from jaxret import defaults, functional
from jaxret.descriptors import pooling_rows
from jaxret.descriptors.crow import crow
from jaxret.descriptors.pooling import gem
from jaxret.descriptors.pooling_rows import REGIONS, ROWS, Pooling, pool
from jaxret.descriptors.rmac import region_grid, region_vectors, rmac
from jaxret.errors import UserError

RNG = np.random.default_rng(0)
MAPS = RNG.standard_normal((3, 7, 5, 12)).astype(np.float32)
OUTPUTS = {
    "map": MAPS,
    "cls": RNG.standard_normal((3, 12)).astype(np.float32),
    "pooled": RNG.standard_normal((3, 8)).astype(np.float32),
}
NCHW = torch.from_numpy(MAPS).permute(0, 3, 1, 2).double()


def torch_gem(p):
    return torch.nn.functional.avg_pool2d(NCHW.clamp(min=1e-6).pow(p), (7, 5)).pow(1 / p)[..., 0, 0]


def torch_rmac():
    total = torch.zeros(3, 12, dtype=torch.float64)
    for level in region_grid(7, 5):
        for top in level.rows:
            for left in level.columns:
                part = NCHW[:, :, top : top + level.size, left : left + level.size]
                vector = part.amax(dim=(2, 3))
                total += vector / (vector.norm(dim=1, keepdim=True) + 1e-6)
    return total


EXPECTED = {
    "rmac": torch_rmac,
    "gem": lambda: torch_gem(2.5),
    "mac": lambda: torch.nn.functional.adaptive_max_pool2d(NCHW, 1)[..., 0, 0],
    "spoc": lambda: torch.nn.functional.adaptive_avg_pool2d(NCHW, 1)[..., 0, 0],
    "mean": lambda: NCHW.flatten(2).mean(2),
    "crow": lambda: torch.from_numpy(np.array(crow(MAPS))),  # tests/descriptors/test_crow.py
    "cls": lambda: torch.from_numpy(OUTPUTS["cls"]),
    "pooled": lambda: torch.from_numpy(OUTPUTS["pooled"]),
    # DINO's eval_copy_detection.py and DINOv2's linear evaluation: side by side, not normalised.
    "cls+gem": lambda: torch.cat([torch.from_numpy(OUTPUTS["cls"]), torch_gem(2.5)], 1),
    "cls+mean": lambda: torch.cat([torch.from_numpy(OUTPUTS["cls"]), NCHW.mean((2, 3))], 1),
}


@pytest.mark.parametrize("name", defaults.POOLINGS)
def test_every_pooling_is_what_its_name_says(name):
    pooled = np.asarray(functional.pool(OUTPUTS, name, p=2.5))
    assert pooled.dtype == np.float32
    np.testing.assert_allclose(pooled, EXPECTED[name]().numpy(), rtol=1e-5, atol=2e-6)


def test_the_rows_are_the_names_of_the_flag_and_each_has_a_source():
    single = [name for name in defaults.POOLINGS if "+" not in name]
    assert list(ROWS) == single and all(row.source for row in ROWS.values())
    for joined in set(defaults.POOLINGS) - set(single):
        assert set(joined.split("+")) <= set(ROWS)


def ilias(fmap, p):
    """What ILIAS's code makes of a map [B, H, W, C], in float64."""
    x = fmap.astype(np.float64)
    least = np.minimum(x.min(axis=(1, 2), keepdims=True), 0)
    powered = np.maximum(x + least, 1e-6) ** p
    return powered.mean(axis=(1, 2)) ** (1 / p) - least[:, 0, 0]


@pytest.mark.parametrize("p", [2.5, 50.0])
def test_gem_shifts_negative_values_as_ilias_does(p):
    np.testing.assert_allclose(gem(MAPS, p, negatives="shift"), ilias(MAPS, p), rtol=1e-5)
    assert np.abs(np.asarray(gem(MAPS, p, negatives="shift")) - gem(MAPS, p)).max() > 0.1


def test_without_negative_values_the_shift_changes_nothing():
    positive = np.abs(MAPS)
    np.testing.assert_allclose(gem(positive, negatives="shift"), gem(positive), rtol=1e-6)


def test_regions_are_the_terms_of_rmac():
    vectors = np.asarray(region_vectors(MAPS, 2, include_global=True))
    np.testing.assert_allclose(vectors.sum(1), rmac(MAPS, 2, include_global=True), rtol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=2), 1, atol=1e-5)
    flat = Pooling(REGIONS, levels=2, include_global=True)(OUTPUTS)
    np.testing.assert_array_equal(np.asarray(flat).reshape(vectors.shape), vectors)


def test_a_layer_takes_the_place_of_the_map():
    outputs = {**OUTPUTS, "layer3": MAPS[:, :3]}
    pooled = Pooling("mac", layer="layer3")(outputs)
    np.testing.assert_array_equal(pooled, MAPS[:, :3].max(axis=(1, 2)))


def test_keys_say_what_decides_a_vector_and_nothing_else():
    assert Pooling().key() == {"rmac_levels": 3, "rmac_include_global": False}  # of older workdirs
    assert Pooling(p=4.0).key() == Pooling().key()
    assert Pooling("gem", levels=2).key() == Pooling("gem").key()
    assert Pooling("gem", p=4.0).key() != Pooling("gem").key() != Pooling("cls+gem").key()
    assert Pooling("mac").key() == {"pooling": "mac"}
    keys = [Pooling(name, layer).key() for name in ROWS for layer in (None, "layer3")]
    assert len({str(key) for key in keys}) == len(keys)
    assert Pooling(REGIONS).key() != Pooling().key()


def test_a_pooling_that_there_is_not_is_refused_with_those_that_there_are():
    with pytest.raises(UserError, match=r"has no cls\. It has rmac, gem, .*, mean\."):
        pool({"map": MAPS}, "cls")
    with pytest.raises(UserError, match=r"no cls\+gem, which needs its cls\. It has .*, mean\."):
        pool({"map": MAPS}, "cls+gem")
    with pytest.raises(UserError, match=r"Unknown pooling 'gme'\. Nearest: gem"):
        pool(OUTPUTS, "gme")
    with pytest.raises(UserError, match="allowed: clamp, shift"):
        pool(OUTPUTS, "gem", negatives="abs")


def test_every_pooling_goes_inside_another_jit_and_onto_every_platform():
    @jax.jit
    def every(outputs):
        return [pool(outputs, name) for name in defaults.POOLINGS]

    lowered = every.trace(OUTPUTS).lower(lowering_platforms=("cpu", "cuda", "tpu"))
    assert "stablehlo" in lowered.as_text()


def test_poolings_are_static_arguments():
    fields = {field.name for field in dataclasses.fields(Pooling)}
    assert {"name", "layer", "p", "negatives", "levels", "include_global"} == fields
    assert hash(Pooling("gem")) == hash(Pooling("gem", p=3.0))
    assert pooling_rows.Pooling("cls+gem").takes() == ("cls", "map")
