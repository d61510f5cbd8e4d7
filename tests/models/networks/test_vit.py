"""Every family of Vision Transformers against the modules of transformers and timm, small."""

from dataclasses import replace

import numpy as np
import pytest
from small_vits import FAMILIES, pair
from twins import packages

from jaxret.convert import from_state_dict, to_state_dict

# Each variant of the code once; the others run with the slow tests.
FAST = {
    ("dinov2-small", "transformers"),
    ("dinov2-giant-reg", "timm"),
    ("dinov3-small", "transformers"),
    ("dinov3-smallplus", "timm"),
    ("mae-huge", "timm"),
    ("clip-b16", "transformers"),
    ("siglip-base-224", "transformers"),
    ("pe-core-large", "timm"),
}
CASES = [
    pytest.param(name, package, marks=[] if (name, package) in FAST else pytest.mark.slow)
    for name in FAMILIES
    for package in ("transformers", "timm")
    if (package, name[:2]) != ("transformers", "pe")
]


def sizes(spec, package):
    patch = dict(spec.arguments)["patch"]
    # timm refuses sides that the patch does not divide.
    odd = (0, 0) if package == "timm" else (5, patch - 3)
    return [(4 * patch, 4 * patch), (3 * patch + odd[0], 5 * patch + odd[1])]


@pytest.mark.parametrize(("name", "package"), CASES)
def test_outputs_equal_those_of_the_packages(name, package, photographs, relative_difference):
    module, encoder = pair(name, package)
    for size in sizes(encoder.spec, package):
        images = photographs(*size)
        expected = packages.outputs_of(module, encoder.spec, images)
        found = encoder.outputs(images)
        assert set(found) == set(expected)
        for output in expected:
            assert relative_difference(found[output], expected[output]) <= 1e-5, (output, size)
    np.testing.assert_allclose(encoder(images), found["map"], atol=1e-5)


@pytest.mark.parametrize("name", FAMILIES)
def test_export_is_the_way_back(name):
    package = "timm" if name.startswith("pe") else "transformers"
    _, encoder = pair(name, package)
    state = to_state_dict(encoder)
    assert from_state_dict(encoder.spec, state).digest() == encoder.digest()


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("dinov2-small", {"heads": 4}),
        ("dinov2-small", {"activation": "gelu_tanh"}),
        ("clip-b16", {"activation": "gelu"}),
        ("siglip-base-224", {"activation": "gelu"}),
        ("siglip-base-224", {"pool_heads": 4}),
        ("dinov3-small", {"epsilon": 1e-2}),
        ("dinov3-small", {"rope_periods": "file", "position_resize": "original"}),
    ],
)
def test_a_wrong_number_is_seen(name, change, photographs, relative_difference):
    module, encoder = pair(name, "transformers")
    patch = dict(encoder.spec.arguments)["patch"]
    images = photographs(6 * patch, 5 * patch)
    expected = packages.outputs_of(module, encoder.spec, images)
    other = replace(encoder, spec=encoder.spec.with_arguments(**change)).outputs(images)
    assert max(relative_difference(other[key], expected[key]) for key in expected) > 1e-5


@pytest.mark.parametrize("name", ["dinov2-small-reg", "dinov3-smallplus", "siglip-base-224"])
def test_bfloat16_keeps_the_direction(name, photographs):
    module, encoder = pair(name, "transformers")
    patch = dict(encoder.spec.arguments)["patch"]
    images = photographs(6 * patch, 5 * patch)
    expected = packages.outputs_of(module, encoder.spec, images)
    found = replace(encoder, dtype="bfloat16").outputs(images)
    for output, wanted in expected.items():
        assert found[output].dtype == np.float32
        flat, wide = (np.reshape(x, (len(x), -1)) for x in (found[output], wanted))
        norms = np.linalg.norm(flat, axis=1) * np.linalg.norm(wide, axis=1)
        assert ((flat * wide).sum(axis=1) / norms).min() > 0.999, output


@pytest.mark.parametrize("name", ["dinov2-small", "pe-core-base"])
def test_stages_are_blocks_and_float64_is_as_near(name, photographs, relative_difference):
    module, encoder = pair(name, "timm")
    patch = dict(encoder.spec.arguments)["patch"]
    images = photographs(5 * patch, 4 * patch)
    blocks = []
    for block in module.blocks:
        block.register_forward_hook(lambda *call: blocks.append(call[2].detach().double().numpy()))
    exact = packages.outputs_of(module.double(), encoder.spec, images)
    stages = encoder.stages(images)
    assert list(stages)[:4] == ["patch_embed", "blocks_0", "blocks_1", "norm"]
    for i, tokens in enumerate(blocks):
        wanted = tokens[:, -20:].reshape(2, 5, 4, -1)
        assert relative_difference(stages[f"blocks_{i}"], wanted) <= 1e-5
    assert relative_difference(stages["norm"], exact["map"]) <= 1e-5
