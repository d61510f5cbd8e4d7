"""Vision Transformers as their authors run them: their files, positions and periods.

Against the twin of tools/twins, which another test holds against transformers and timm where these
do as the authors do.
"""

import numpy as np
import pytest
import twins
from small_vits import FAMILIES, small
from twins import packages
from verification.files import fill, random_twin, write_published

from jaxret.convert import from_state_dict, port, to_state_dict
from jaxret.convert.files import convert_file
from jaxret.convert.reading import read_checkpoint
from jaxret.models import get, names
from jaxret.models.encoder import named_arrays, template
from jaxret.models.weights.loading import load_folder

FAST = ("dinov2-small", "siglip-base-224")
EVERY = [name if name in FAST else pytest.param(name, marks=pytest.mark.slow) for name in FAMILIES]


@pytest.mark.parametrize("name", EVERY)
def test_every_stage_equals_the_twins(name, tmp_path, photographs, relative_difference):
    spec = small(name)
    twin = random_twin(spec, 1)
    source = write_published(spec, twin, tmp_path)
    convert_file(spec, source, tmp_path / "converted")
    encoder = load_folder(spec, tmp_path / "converted")
    patch = dict(spec.arguments)["patch"]
    images = photographs(3 * patch + 5, 5 * patch - 1)
    expected = twins.run(twin, spec, images)
    stages = encoder.stages(images)
    assert list(stages) == list(expected)
    for stage in expected:
        assert relative_difference(stages[stage], expected[stage]) <= 1e-5, stage


@pytest.mark.parametrize("name", EVERY)
def test_the_authors_file_fills_the_twin(name, tmp_path):
    """The way of tools/verify.py --checkpoint."""
    spec = small(name)
    twin = random_twin(spec, 2)
    source = write_published(spec, twin, tmp_path)
    other = fill(twins.build(spec), spec, read_checkpoint(source).tensors)
    theirs = other.state_dict()
    for key, value in twin.state_dict().items():
        np.testing.assert_array_equal(theirs[key], value, err_msg=key)


@pytest.mark.slow
@pytest.mark.parametrize("name", [n for n in names() if get(n).architecture == "vit"])
def test_every_row_takes_its_published_names(name):
    spec = small(name)
    published = twins.published_state(spec, random_twin(spec, 4))
    encoder, report = port(spec, published)
    assert sorted(report.used.values()) == [path for path, _ in named_arrays(template(spec))]
    assert not set(report.used) & set(report.dropped)
    assert from_state_dict(spec, to_state_dict(encoder)).digest() == encoder.digest()


@pytest.mark.parametrize("name", ["dinov2-giant-reg", "dinov3-small", "clip-b16"])
def test_the_authors_names_are_written(name):
    """An export holds what their files hold, but for what is of no use here."""
    spec = small(name)
    twin = random_twin(spec, 3)
    state = twins.published_state(spec, twin)
    exported = to_state_dict(from_state_dict(spec, state))
    of_no_use = ("mask_token", "periods", "logit_scale", "token_embedding.weight")
    wanted = {key for key in state if not key.endswith(of_no_use)} - {"positional_embedding"}
    assert set(exported) == wanted
    for key in wanted:
        if key.endswith("qkv.bias") and spec.layout == "dinov3":
            continue  # the keys' third is zero here, masked there
        np.testing.assert_array_equal(exported[key], state[key].numpy(), err_msg=key)


@pytest.mark.parametrize(
    ("name", "package"),
    [
        pytest.param("dinov2-small-reg", "transformers", marks=pytest.mark.slow),
        ("clip-b16", "timm"),
        pytest.param("mae-huge", "transformers", marks=pytest.mark.slow),
        pytest.param("dinov3-smallplus", "transformers", marks=pytest.mark.slow),
    ],
)
def test_the_twin_is_the_packages_module_where_they_agree(
    name, package, photographs, relative_difference
):
    """Of the native size all do the same, and of others where the conventions are the same."""
    spec = small(name, rope_periods="float32") if name.startswith("dinov3") else small(name)
    build = packages.of_transformers if package == "transformers" else packages.of_timm
    module = packages.randomize(build(spec))
    encoder = from_state_dict(spec, module.state_dict())
    twin = fill(twins.build(spec), spec, to_state_dict(encoder))
    patch = dict(spec.arguments)["patch"]
    sizes = [(4 * patch, 4 * patch)]
    if spec.name in ("dinov2-small-reg", "clip-b16", "mae-huge", "dinov3-smallplus"):
        sizes.append((6 * patch, 3 * patch))
    for size in sizes:
        images = photographs(*size)
        expected = packages.outputs_of(module, spec, images)
        found = twins.run(twin, spec, images)
        for output in expected:
            mine = found["norm" if output == "map" else output]
            assert relative_difference(mine, expected[output]) <= 1e-5, (output, size)
