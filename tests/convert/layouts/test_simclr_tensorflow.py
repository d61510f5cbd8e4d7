"""Google's own SimCLR files and the converted PyTorch ones give the same weights.

Their networks differ in the max-pool: each file gets the one that it was made with.
"""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
import twins
from twins.published import tensorflow_names

from jaxret import Settings, models
from jaxret.convert import convert_file, from_checkpoint
from jaxret.models.weights.folders import FolderEncoder
from jaxret.models.weights.loading import load_folder
from jaxret.stages.encoders import Encoders


def write_tensorflow(arrays, prefix):
    tensorflow = pytest.importorskip("tensorflow")
    names = list(arrays)
    tensors = [tensorflow.constant(arrays[name]) for name in names]
    tensorflow.raw_ops.SaveV2(
        prefix=str(prefix), tensor_names=names, shape_and_slices=[""] * len(names), tensors=tensors
    )


@pytest.mark.slow
def test_both_published_forms_convert_to_the_same_arrays(tmp_path):
    spec = models.get("simclr1x")
    twin = twins.randomize(twins.build(spec), seed=6)
    write_tensorflow(tensorflow_names(twin.state_dict()), tmp_path / "model.ckpt-225206")
    torch.save(twins.published_state(spec, twin), tmp_path / "resnet50-1x.pth")
    files = ["model.ckpt-225206", "model.ckpt-225206.index", "resnet50-1x.pth"]
    done = [convert_file(spec, tmp_path / file, tmp_path / f"{i}") for i, file in enumerate(files)]
    assert len({conversion.provenance.digest for conversion in done}) == 1
    assert done[0].provenance.source_sha256 == done[1].provenance.source_sha256
    assert set(done[0].report.dropped) == {
        "global_step",
        "head_supervised/linear_layer/dense/kernel",
        "head_supervised/linear_layer/dense/bias",
    }
    kernel = done[0].report.used["base_model/conv2d_52/kernel"]
    assert kernel == "params/layer4_2/conv3/kernel"


@pytest.fixture
def files(small, tmp_path):
    """The same weights under TensorFlow's names (as .npz) and under PyTorch's."""
    spec, twin, published = small("simclr1x")
    np.savez(tmp_path / "tf.npz", **tensorflow_names(twin.state_dict()))
    torch.save(published, tmp_path / "torch.pth")
    return spec, twin, tmp_path


@pytest.mark.parametrize("said", [None, "torch", "same"])
@pytest.mark.parametrize(("file", "own"), [("tf.npz", "same"), ("torch.pth", "torch")])
def test_each_file_gets_its_own_max_pool_unless_told_otherwise(files, file, own, said):
    spec, twin, folder = files
    pool = said or own
    done = convert_file(spec, folder / file, folder / "made", stem_pool=said)
    stated = json.loads((folder / "made" / "provenance.json").read_text())
    assert stated["arguments"].get("stem_pool", "torch") == pool
    words = {"same": "max-pool as TensorFlow's SAME", "torch": "max-pool as PyTorch pads it"}
    assert words[pool] in done.report.summary()

    encoder = load_folder(spec, folder / "made")
    twin.stem_pool = pool
    images = np.random.default_rng(0).integers(
        0, 256, (1, 40, 46, 3), np.uint8
    )  # even: they differ
    expected = twins.run(twin, replace(encoder.spec), images)["output"]
    twin.stem_pool = "torch"
    assert np.abs(np.asarray(encoder(images)) - expected).max() <= 1e-5 * np.abs(expected).max()


def test_runs_know_converted_weights_by_the_max_pool_too(files, monkeypatch):
    spec, _, folder = files
    from jaxret.models import rows

    monkeypatch.setattr(rows, "ROWS", (spec,))
    convert_file(spec, folder / "tf.npz", folder / "tf" / spec.name)
    convert_file(spec, folder / "torch.pth", folder / "torch" / spec.name)
    theirs, ours = (
        Encoders().identity(spec.name, Settings(model=spec.name, weights_dir=str(folder / place)))
        for place in ("tf", "torch")
    )
    assert theirs.digest == ours.digest  # the arrays are the same
    assert theirs.spec.function() != ours.spec.function()  # the descriptors are not
    assert "max-pool padded as same (its row: torch)" in theirs.notes[0] and not ours.notes
    assert FolderEncoder.find(folder / "tf" / spec.name).load().spec == theirs.spec


def test_as_a_checkpoint_of_ones_own(small):
    spec = models.get("resnet50")
    twin = twins.randomize(twins.build(spec), seed=6)
    encoder, report = from_checkpoint(tensorflow_names(twin.state_dict()), "resnet50")
    assert dict(encoder.spec.arguments)["stem_pool"] == "same"
    assert report.layout == "simclr_tensorflow"
