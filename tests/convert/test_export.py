"""From PyTorch to jaxret and back: the same bits, under names that PyTorch's modules load."""

import os
from dataclasses import replace

import numpy as np
import pytest
import skimage.data
import torch
import torchvision_functional
import twins
from safetensors.torch import load_file
from torch import nn
from twins.published import cirtorch_names

from jaxret import UserError, models
from jaxret.convert import export, export_file, port, to_state_dict
from jaxret.convert.layouts.simclr_tensorflow import SIMCLR_TENSORFLOW
from jaxret.convert.reading import read_checkpoint
from jaxret.models import fold


def encoder_part(twin):
    """The state dict of the modules that take part in the encoder's map, by their types alone."""
    unused = [
        name for name, module in twin.named_modules() if type(module).__name__ == "UnusedNorm"
    ]
    unused += ["_fc"]  # the classifier of EfficientNet-Lite0
    part = {
        name: value
        for name, value in twin.state_dict().items()
        if not name.startswith(tuple(f"{module}." for module in unused))
    }
    return cirtorch_names(part) if hasattr(twin, "pool") else part


def assert_the_same_bits(found, expected):
    assert sorted(found) == sorted(expected)
    for name, value in expected.items():
        array = np.asarray(found[name])
        assert array.dtype == value.numpy().dtype and array.shape == tuple(value.shape), name
        assert array.tobytes() == value.contiguous().numpy().tobytes(), name


def assert_the_same_map(found, expected):
    expected = np.asarray(expected)
    assert found.shape == expected.shape
    assert np.abs(np.asarray(found) - expected).max() <= 1e-5 * np.abs(expected).max()


def there_and_back(spec):
    twin = twins.randomize(twins.build(spec), seed=3)
    encoder, _ = port(spec, twins.published_state(spec, twin), consume=True)
    return twin, encoder


ONE_A_LAYOUT = ("resnet50", "simclr1x", "byol", "gem-ap", "amdim", "efficientnet-lite0")


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(n, marks=() if n in ONE_A_LAYOUT else pytest.mark.slow)
        for n in models.names()
        if models.get(n).architecture != "vit"  # tests/models/networks/test_vit_original.py
    ],
)
def test_every_row_comes_back_to_the_bit(name, small):
    spec, twin, published = small(name)
    encoder, _ = port(spec, published)
    state = to_state_dict(encoder)
    assert_the_same_bits(state, encoder_part(twin))
    assert port(spec, state)[0].digest() == encoder.digest()


def test_deep_blocks_of_amdim_keep_the_units_whose_names_look_like_the_trunks():
    spec = models.get("amdim").with_arguments(ndf=4, n_rkhs=40, n_depth=6)
    twin, encoder = there_and_back(spec)
    assert "layer_list.2.layer_list.5.conv1.weight" in to_state_dict(encoder)
    assert_the_same_bits(to_state_dict(encoder), encoder_part(twin))


FULL_SIZE = (
    *("resnet50", "simclr1x", "simclr2x", "mocov1", "mocov2", "amdim", "gem-ap", "byol"),
    "efficientnet-lite0",
)


@pytest.mark.slow
@pytest.mark.parametrize("name", FULL_SIZE)
def test_full_size_rows_come_back_to_the_bit(name):
    twin, encoder = there_and_back(models.get(name))
    assert_the_same_bits(to_state_dict(encoder), encoder_part(twin))


@pytest.mark.parametrize("ending", [pytest.param("pth", marks=pytest.mark.slow), "safetensors"])
def test_a_file_loads_into_the_twin_and_gives_the_same_map(ending, small, tmp_path):
    spec, _, published = small("mocov2")
    encoder, _ = port(spec, published)
    path = tmp_path / f"out.{ending}"
    export_file(encoder, path)
    state = load_file(path) if ending == "safetensors" else torch.load(path, weights_only=True)
    twin = twins.build(spec)
    twin.load_state_dict(state, strict=True)
    images = skimage.data.astronaut()[None, 100:197, 150:263]
    expected = twins.run(twin, spec, images)["output"]
    assert_the_same_map(encoder(images), expected)
    assert port(spec, read_checkpoint(path).tensors)[0].digest() == encoder.digest()
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["resnet18", "resnet50"])
def test_torchvisions_own_module_takes_it_strictly_and_gives_the_same_map(name, tmp_path):
    spec = models.get(name)
    _, encoder = there_and_back(spec)
    export_file(encoder, tmp_path / "out.pth")
    module = getattr(torchvision_functional.load().models, name)()
    module.fc = nn.Identity()  # all that the file lacks
    module.load_state_dict(torch.load(tmp_path / "out.pth", weights_only=True), strict=True)
    module.avgpool = nn.Identity()
    images = skimage.data.astronaut()[None, 100:196, 150:278]
    scaled = (images / 255 - np.array(spec.mean)) / np.array(spec.std)
    with torch.no_grad():
        x = torch.from_numpy(scaled.astype(np.float32)).permute(0, 3, 1, 2)
        flat = module.eval()(x).reshape(1, spec.channels, 3, 4)
    assert_the_same_map(encoder(images), flat.permute(0, 2, 3, 1))


def test_what_is_exported_shares_no_memory_with_the_encoder(small):
    spec, _, published = small("resnet18")
    encoder, _ = port(spec, published)
    before = port(spec, published)[0].digest()
    for array in to_state_dict(encoder).values():
        array += 1
    assert replace(encoder).digest() == before


def test_notes_say_what_another_module_would_do_otherwise(small, tmp_path):
    def notes(name, **changes):
        spec, _, published = small(name)
        encoder = replace(port(spec, published)[0], **changes)
        return " ".join(export_file(encoder, tmp_path / "out.pth").notes)

    assert "TensorFlow's SAME" in notes("byol")
    assert "TensorFlow's SAME" not in notes("resnet50")
    assert "(0.485, 0.456, 0.406)" in notes("resnet50")
    assert "strict=False" in notes("amdim")
    assert "PCA" in notes("gem-ap", whitening={"mean": np.zeros(8)})


@pytest.mark.parametrize(
    ("file", "sentence"),
    [
        ("out.bin", r"out.bin must end in .pth or .safetensors"),
        ("out", r"out must end in"),
        ("folder.pth", "folder.pth is a folder: name a file"),
        ("file/out.pth", "out.pth cannot be written: "),
    ],
)
def test_outputs_that_cannot_be_are_refused(file, sentence, small, tmp_path):
    (tmp_path / "folder.pth").mkdir()
    (tmp_path / "file").write_text("")
    spec, _, published = small("resnet18")
    with pytest.raises(UserError, match=sentence):
        export_file(port(spec, published)[0], tmp_path / file)
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["file", "folder.pth"]


@pytest.mark.parametrize("file", ["out.pth", "out.safetensors"])
def test_a_full_disk_leaves_the_old_file(file, small, tmp_path, monkeypatch):
    spec, _, published = small("resnet18")
    encoder, _ = port(spec, published)
    (tmp_path / file).write_text("old")

    class Full:
        def __init__(self, stream):
            self.stream = stream

        def write(self, data):
            raise OSError(28, "No space left on device")

        def __getattr__(self, name):
            return getattr(self.stream, name)

        def __enter__(self):
            return self

        def __exit__(self, *error):
            self.stream.close()

    plain = os.fdopen
    monkeypatch.setattr("os.fdopen", lambda handle, mode: Full(plain(handle, mode)))
    with pytest.raises(UserError, match="cannot be written: No space left on device"):
        export_file(encoder, tmp_path / file)
    monkeypatch.undo()
    assert (tmp_path / file).read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == [file]


def test_networks_without_an_inverse_are_refused(small, monkeypatch):
    spec, _, published = small("simclr1x")
    encoder, _ = port(spec, published)
    with pytest.raises(UserError, match="has been folded"):
        to_state_dict(fold(encoder))
    only = lambda name: (SIMCLR_TENSORFLOW,)  # noqa: E731
    monkeypatch.setattr(export, "layouts_of", only)
    with pytest.raises(UserError, match=r"layout \(simclr_tensorflow\) is read, not written"):
        to_state_dict(encoder)
