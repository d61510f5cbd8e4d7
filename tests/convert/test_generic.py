"""Any ResNet-shaped checkpoint, under whatever prefix and wrapper it was saved."""

import numpy as np
import pytest
import torch
import twins

from jaxret import UserError
from jaxret.convert import from_checkpoint
from jaxret.convert.generic import resnet_spec
from jaxret.models.encoder import template


@pytest.fixture(scope="module")
def plain():
    return twins.randomize(twins.build(resnet_spec("resnet18")), seed=9).state_dict()


@pytest.fixture(scope="module")
def digest(plain):
    return from_checkpoint(plain, "resnet18")[0].digest()


PREFIXES = ["", "module.", "module.encoder_q.", "encoder_q.", "encoder.", "module.encoder."]
PREFIXES += ["backbone.", "module.backbone.", "net.online.trunk."]


@pytest.mark.parametrize("prefix", PREFIXES)
@pytest.mark.parametrize("wrapper", [None, "state_dict", "model", "teacher"])
def test_prefixes_and_wrappers_are_taken_off(prefix, wrapper, plain, digest):
    state = {prefix + name: value for name, value in plain.items()}
    state |= {f"{prefix}fc.weight": torch.zeros(5, 512), "optimizer_step": torch.zeros(())}
    file = {wrapper: state, "epoch": 3} if wrapper else state
    encoder, report = from_checkpoint(file, "resnet18")
    assert encoder.digest() == digest
    assert report.dropped["optimizer_step"] == "not of the encoder"
    assert report.dropped[f"{prefix}fc.weight"] == "classifier or projection head"


def test_the_momentum_encoder_is_not_taken_for_the_encoder(plain, digest):
    state = {f"module.encoder_k.{name}": value + 1 for name, value in plain.items()}
    state |= {f"module.encoder_q.{name}": value for name, value in plain.items()}
    assert from_checkpoint({"state_dict": state}, "resnet18")[0].digest() == digest


def test_two_networks_under_unknown_prefixes_are_not_chosen_from(plain):
    state = {f"left.{name}": value for name, value in plain.items()}
    state |= {f"right.{name}": value for name, value in plain.items()}
    with pytest.raises(UserError, match=r"2 networks .*: left, right\. .*--checkpoint_key=left"):
        from_checkpoint(state, "resnet18")


def test_a_choice_is_said_and_can_be_made(plain, digest):
    average = {name: value + 1 for name, value in plain.items()}
    file = {"model": plain, "model_ema": average}
    encoder, report = from_checkpoint(file, "resnet18")
    assert encoder.digest() == digest
    assert "also in the file: --checkpoint_key=model_ema" in report.summary()
    encoder, report = from_checkpoint(file, "resnet18", key="model_ema")
    assert encoder.digest() != digest and report.key == "model_ema"


def test_nothing_inside_the_encoder_is_forgiven(plain):
    extra = {**plain, "layer4.1.attention.weight": torch.zeros(3)}
    with pytest.raises(UserError, match=r"unexpected \(1\): layer4.1.attention.weight"):
        from_checkpoint(extra, "resnet18")
    with pytest.raises(UserError, match="missing"):
        from_checkpoint(plain, "resnet34")


def test_the_width_is_read_from_the_first_convolution():
    spec = resnet_spec("resnet18", width=2)
    arrays = {name: value for name, value in _zeros(spec).items()}
    encoder, _ = from_checkpoint(arrays, "resnet18", padding="same", name="mine")
    assert dict(encoder.spec.arguments)["width"] == 2
    assert dict(encoder.spec.arguments)["stem_pool"] == "same"
    assert (encoder.spec.name, encoder.spec.channels) == ("mine", 1024)
    assert encoder.spec.parameters == spec.parameters


def _zeros(spec):
    state = twins.build(spec).state_dict()
    return {name: np.zeros(tuple(value.shape), np.float32) for name, value in state.items()}


@pytest.mark.parametrize("arch", ["resnet51", "vit", "resnet"])
def test_an_unknown_architecture_lists_the_known_ones(arch, plain):
    with pytest.raises(UserError, match="resnet18, resnet34, resnet50"):
        from_checkpoint(plain, arch)


def test_a_width_of_zero_is_refused(plain):
    with pytest.raises(UserError, match="at least 1"):
        from_checkpoint(plain, "resnet18", width=0)


def test_parameters_of_a_made_up_row_are_counted():
    spec = resnet_spec("resnet152")
    assert spec.parameters == 60_192_808 - 2_049_000  # torchvision's total less the classifier
    assert template(spec)["params"]
