"""Google's own SimCLR files and the converted PyTorch ones give the same weights."""

import pytest
import torch
import twins
from twins.published import tensorflow_names

from jaxret import models
from jaxret.convert import convert_file


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
