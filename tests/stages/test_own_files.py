"""Checkpoint files of one's own and whitenings from elsewhere, as a run takes them."""

import dataclasses
import json
import pickle
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import twins
from PIL import Image

import jaxret
from jaxret import models
from jaxret.convert.generic import resnet_spec
from jaxret.errors import UserError
from jaxret.models import rows
from jaxret.models.rows.resnet import resnet
from jaxret.models.weights import saving
from jaxret.stages import whitening
from jaxret.stages.encoders import Encoders, origin_note

TINY = dataclasses.replace(
    resnet("tiny", depth=18, parameters=157_504).with_arguments(stages=1), tap="layer1", channels=64
)


@pytest.fixture(autouse=True)
def a_small_row(monkeypatch):
    monkeypatch.setattr(rows, "ROWS", (TINY, *rows.ROWS))


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    """Weights of a ResNet-18, and their average beside them."""
    folder = tmp_path_factory.mktemp("file")
    spec = resnet_spec("resnet18")
    weights, average = (twins.randomize(twins.build(spec), seed).state_dict() for seed in (1, 2))
    torch.save({"model": weights, "model_ema": average}, folder / "net.pth")
    return folder / "net.pth"


def test_the_flags_of_a_file_reach_it_and_the_notes_say_what_was_assumed(file):
    plain = jaxret.Settings(model="net", checkpoint=str(file), arch="resnet18")
    said = {"checkpoint_key": "model_ema", "mean": (0.1, 0.2, 0.3), "stem_pool": "same"}
    first, second = (
        Encoders().identity("net", settings)
        for settings in (plain, dataclasses.replace(plain, **said))
    )
    assert first.digest != second.digest
    assert second.spec.mean == (0.1, 0.2, 0.3)
    assert dict(second.spec.arguments)["stem_pool"] == "same"
    assert "also in the file: --checkpoint_key=model_ema" in origin_note(first)
    assert "max-pool as PyTorch pads it" in origin_note(first)
    for words in ("taken: model_ema", "mean (0.1, 0.2, 0.3)", "mean: from --mean", "SAME"):
        assert words in origin_note(second)


def test_a_key_for_each_of_several_files(file):
    both = jaxret.Settings(
        model="a",
        checkpoint=f"a={file},b={file}",
        checkpoint_key="a=model_ema,b=model",
        arch="resnet18",
    )
    assert [both.checkpoint_key_of(name) for name in "abc"] == ["model_ema", "model", None]
    assert dataclasses.replace(both, checkpoint_key="x").checkpoint_key_of("b") == "x"


@pytest.mark.parametrize(
    "flag",
    [{"mean": (0.5,) * 3}, {"std": (0.5,) * 3}, {"stem_pool": "same"}, {"checkpoint_key": "m"}],
)
def test_converted_weights_refuse_the_flags_of_a_file(flag, tmp_path):
    saving.save(models.random(TINY, 0), tmp_path / "tiny", "tiny.pth", "")
    settings = jaxret.Settings(model="mine", checkpoint=str(tmp_path / "tiny"), **flag)
    with pytest.raises(UserError, match=f"--{next(iter(flag))} is of a checkpoint file"):
        Encoders().load("mine", settings)


@pytest.fixture
def base(tmp_path):
    """Six photographs under the small row, without a whitening."""
    folder = tmp_path / "photographs"
    folder.mkdir()
    draw = np.random.default_rng(0)
    for number in range(6):
        pixels = draw.integers(0, 256, (40, 40, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")
    gnd = [{"bbx": [0, 0, 30, 30], "easy": [0, 3], "hard": [1], "junk": []}]
    names = [f"{number}.png" for number in range(5)]
    truth = {"imlist": names, "qimlist": ["5.png"], "gnd": gnd}
    (folder / "gnd.json").write_text(json.dumps(truth))
    saving.save(models.random(TINY, 0), tmp_path / "weights" / "tiny", "tiny.pth", "0" * 64)
    return jaxret.Settings(
        model="tiny",
        dataset=str(folder),
        image_size=32,
        ranking=("G",),
        weights_dir=str(tmp_path / "weights"),
        workdir=str(tmp_path / "work"),
    )


def written(path, mean, projection):
    path.write_bytes(pickle.dumps({"m": mean, "P": projection}))
    return str(path)


@pytest.mark.slow
def test_photographs_are_whitened_by_a_file(base, tmp_path):
    rotation, _ = np.linalg.qr(np.random.default_rng(1).standard_normal((64, 64)))
    plain = jaxret.run(dataclasses.replace(base, pca_dim="true"))
    turned = written(tmp_path / "w.pkl", np.zeros((64, 1)), rotation)
    same = jaxret.run(dataclasses.replace(base, whitening=turned))
    assert same.figures[0]["ap"] == plain.figures[0]["ap"]  # a rotation changes no order
    assert same.figures[0]["dim"] == 64
    assert f"Whitened as {turned} says, from 64 to 64 dimensions." in same.notes


def test_a_whitening_file_is_known_by_its_contents(base, tmp_path):
    """Another file under the same name is another whitening, the same one elsewhere is not."""

    def key(name, scale, **changes):
        place = written(tmp_path / name, np.zeros(64), scale * np.eye(64))
        return whitening.origin([], dataclasses.replace(base, whitening=place, **changes), None)

    first = key("w.pkl", 1)
    assert key("other.pkl", 1) == first
    assert key("w.pkl", np.arange(1, 65)) != first
    assert key("w.pkl", 1, pca_dim=3) != first


def test_a_whitening_of_another_length_is_refused(base, tmp_path):
    settings = dataclasses.replace(
        base, whitening=written(tmp_path / "w.pkl", np.zeros(5), np.eye(5))
    )
    with pytest.raises(UserError, match=r"takes descriptors of shape \[N, 5\]"):
        jaxret.run(settings)


@pytest.mark.slow
def test_a_floor_of_the_variances_is_another_whitening(base):
    plain = jaxret.run(dataclasses.replace(base, pca_dim=3))
    raised = jaxret.run(dataclasses.replace(base, pca_dim=3, whitening_floor=0.9))
    assert any("below 0.9 of the largest were raised" in note for note in raised.notes)
    assert not any("raised" in note for note in plain.notes)


@pytest.mark.parametrize("whiten", [True, False])
def test_a_stored_pca_divides_by_the_variance_only_if_it_was_fitted_to(whiten):
    draw = np.random.default_rng(3)
    rows_, components = draw.standard_normal((7, 6)), np.linalg.qr(draw.standard_normal((6, 6)))[0]
    variance = np.array([4.0, 1.0, 0.5, 0.1, 1e-3, 0.0])
    pca = {"mean": np.arange(6.0), "components": components, "explained_variance": variance}
    stored = pca if whiten else {**pca, "whiten": np.array(False)}
    encoder = SimpleNamespace(whitening=stored)
    context = SimpleNamespace(encoders=SimpleNamespace(load=lambda *_: encoder))
    settings = jaxret.Settings(whitening="checkpoint", pca_dim=5 if whiten else None)
    found = whitening._stored_with_weights(settings, context)
    # As dirtorch's `transform` computes it, with whitenp = 0.25, then L2.
    expected = (rows_ - pca["mean"]) @ components[: found.dim].T
    if whiten:
        expected /= variance[:5] ** 0.25
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    np.testing.assert_allclose(found(rows_), expected, atol=2e-6)
