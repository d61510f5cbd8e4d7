"""Architecture and pixels as a file, or a config.json beside it, states them; and as flags do."""

import json

import numpy as np
import pytest
import torch

from jaxret import UserError, models
from jaxret.convert import convert_file
from jaxret.convert.files import port_file
from jaxret.convert.reading import read_checkpoint

CUSTOM = ([0.5, 0.4, 0.3], [0.2, 0.25, 0.3])


@pytest.fixture(scope="module")
def resnet(small):
    spec, _, published = small("resnet50")
    return spec, published


def loaded(resnet, folder, beside=None, within=None, name="config.json", **options):
    spec, published = resnet
    torch.save({"state_dict": published} | (within or {}), folder / "file.pth")
    if beside is not None:
        (folder / name).write_text(beside if isinstance(beside, str) else json.dumps(beside))
    return port_file(spec, read_checkpoint(folder / "file.pth"), **options)


@pytest.mark.parametrize(
    "architecture",
    [
        "resnetblur50",
        "resnet50d",
        "resnet101",
        "resnet50_gn",
        "ecaresnet50t",
        "resnext50_32x4d",
        "seresnet50",
        "wide_resnet50_2",
        "resnetaa50.d_in12k",
        "vit_base_patch16_224",
        "gluon_resnet50_v1s",
    ],
)
def test_another_architecture_beside_the_weights_is_refused(architecture, resnet, tmp_path):
    with pytest.raises(UserError, match=rf"config\.json says .* {architecture}, not resnet50: "):
        loaded(resnet, tmp_path, {"architecture": architecture, "num_classes": 1000})
    with pytest.raises(UserError, match="its 'meta' says"):
        (tmp_path / "config.json").unlink()
        loaded(resnet, tmp_path, within={"meta": {"architecture": architecture}})


@pytest.mark.parametrize(
    "architecture",
    ["resnet50", "resnet50.a1_in1k", "tv_resnet50", "gluon_resnet50_v1b", "ResNet50"],
)
def test_the_same_network_under_other_names_is_taken(architecture, resnet, tmp_path):
    _, report = loaded(resnet, tmp_path, {"architecture": architecture})
    assert "network: torchvision's resnet50, max-pool as PyTorch pads it" in report.summary()
    assert "resnetblur50" in report.summary()


MEAN, STD = CUSTOM
PLACES = {
    "flat": ({"mean": MEAN, "std": STD}, None, "config.json"),
    "timm": ({"pretrained_cfg": {"mean": MEAN, "std": STD}}, None, "config.json"),
    "hub": ({"image_mean": MEAN, "image_std": STD}, None, "preprocessor_config.json"),
    "cirtorch": (None, {"meta": {"mean": MEAN, "std": STD}}, ""),
    "dirtorch": (None, {"preprocess": {"mean": MEAN, "std": STD, "input_size": 224}}, ""),
}


@pytest.mark.parametrize("place", PLACES)
def test_stated_pixels_are_taken_and_said(place, resnet, tmp_path):
    beside, within, name = PLACES[place]
    encoder, report = loaded(resnet, tmp_path, beside, within, name)
    assert (encoder.spec.mean, encoder.spec.std) == (tuple(MEAN), tuple(STD))
    assert "pixels: in [0, 1], mean (0.5, 0.4, 0.3), std (0.2, 0.25, 0.3)" in report.summary()
    assert f"mean: from {(name and str(tmp_path / name)) or 'its'}" in report.summary()


def test_a_flag_goes_before_what_is_stated(resnet, tmp_path):
    encoder, report = loaded(resnet, tmp_path, {"mean": MEAN, "std": STD}, mean=[0.1, 0.2, 0.3])
    assert (encoder.spec.mean, encoder.spec.std) == ((0.1, 0.2, 0.3), tuple(STD))
    assert "mean: from --mean" in report.summary()


def test_without_a_word_the_rows_pixels_are_said(resnet, tmp_path):
    encoder, report = loaded(resnet, tmp_path)
    assert encoder.spec == resnet[0]
    assert "mean (0.485, 0.456, 0.406), std (0.229, 0.224, 0.225)" in report.summary()


@pytest.mark.parametrize(
    "beside",
    [
        "no json",
        "[1, 2]",
        "[" * 100_000,
        b"\xff\xfe".decode("latin-1"),
        {"architecture": 5, "pretrained_cfg": "none", "mean": None},
        {"model_type": "bert"},
    ],
)
def test_a_config_of_something_else_is_left_alone(beside, resnet, tmp_path):
    assert loaded(resnet, tmp_path, beside)[0].spec == resnet[0]


@pytest.mark.parametrize("field", ["mean", "std"])
@pytest.mark.parametrize(
    "values",
    [
        [123.675, 116.28, 103.53],
        [0.5, 0.5],
        [0.5, 0.5, float("nan")],
        ["0.5", "0.5", "0.5"],
        "0.5",
        {"r": 1},
        0.5,
        [[0.5], [0.5], [0.5]],
        [-1.0, 0.5, 0.5],
    ],
)
def test_what_can_be_no_mean_or_deviation_is_refused(field, values, resnet, tmp_path):
    with pytest.raises(UserError, match=rf"the {field} of the pixels is .*three numbers"):
        loaded(resnet, tmp_path, {field: values})
    if isinstance(values, list):
        with pytest.raises(UserError, match=f"--{field}: the {field} of the pixels"):
            (tmp_path / "config.json").unlink()
            loaded(resnet, tmp_path, **{field: values})


def test_a_deviation_of_zero_is_refused(resnet, tmp_path):
    with pytest.raises(UserError, match="above 0"):
        loaded(resnet, tmp_path, std=[0.0, 1, 1])


@pytest.mark.slow
def test_pixels_and_padding_survive_the_conversion(resnet, tmp_path):
    spec, published = resnet
    torch.save(published, tmp_path / "f.pth")
    done = convert_file(
        spec, tmp_path / "f.pth", tmp_path / "made", mean=MEAN, std=STD, stem_pool="same"
    )
    assert done.provenance.arguments["stem_pool"] == "same"
    from jaxret.models.weights.loading import load_folder

    encoder = load_folder(spec, tmp_path / "made")
    assert (encoder.spec.mean, encoder.spec.std) == (tuple(MEAN), tuple(STD))
    assert dict(encoder.spec.arguments)["stem_pool"] == "same"
    images = np.random.default_rng(0).integers(0, 256, (1, 34, 34, 3), np.uint8)
    plain, _ = port_file(spec, read_checkpoint(tmp_path / "f.pth"))
    assert np.abs(encoder(images) - plain(images)).max() > 1e-3
    convert_file(spec, tmp_path / "f.pth", tmp_path / "made")
    np.testing.assert_array_equal(load_folder(spec, tmp_path / "made")(images), plain(images))


def test_padding_is_of_resnets_alone(small, tmp_path):
    spec, _, published = small("amdim")
    torch.save(published, tmp_path / "f.pth")
    with pytest.raises(UserError, match="--stem_pool is of ResNets, and amdim is none"):
        port_file(spec, read_checkpoint(tmp_path / "f.pth"), stem_pool="same")
    assert models.get("amdim").mean == models.get("resnet50").mean
