"""Which network in a file is taken, whatever stands around it; a choice is never silent."""

import argparse
import collections
import datetime
import enum
import functools
import os
import pickle
import sys
import types

import pytest
import torch
import twins
from twins.published import sequential_names

from jaxret import UserError
from jaxret.convert import convert_file, from_state_dict, port
from jaxret.convert.files import port_file
from jaxret.convert.reading import read_checkpoint
from jaxret.models.weights.loading import read_provenance


@pytest.fixture(scope="module")
def plain(small):
    """(row, its weights under torchvision's names, other weights, the digest of the first)."""
    spec, _, _ = small("resnet18")
    first, second = (twins.randomize(twins.build(spec), seed).state_dict() for seed in (7, 8))
    return spec, first, second, from_state_dict(spec, first).digest()


def read(spec, contents, path, **options):
    torch.save(contents, path)
    return port_file(spec, read_checkpoint(path), **options)


WRAPPERS = ["model_state_dict", "net", "network", "weights", "ema", "state_dict_ema", "module"]
WRAPPERS += ["params", "encoder", "state.model", "checkpoint.ema.shadow", "models.[0]"]


@pytest.mark.parametrize("prefix", ["", "module.", "model.encoder."])
@pytest.mark.parametrize("wrapper", WRAPPERS)
def test_one_network_under_any_wrapper_is_found(wrapper, prefix, plain, tmp_path):
    spec, state, _, digest = plain
    contents = {prefix + name: value for name, value in state.items()}
    for key in reversed(wrapper.split(".")):
        contents = [contents] if key == "[0]" else {key: contents, "epoch": 3}
    contents["optimizer"] = {"state": {0: {"exp_avg": torch.zeros(3)}}, "param_groups": [{}]}
    encoder, report = read(spec, contents, tmp_path / "file.pth")
    assert encoder.digest() == digest
    assert "taken" not in report.summary()  # nothing was chosen


class Colour(enum.Enum):
    RED = 1


@pytest.fixture
def foreign(monkeypatch):
    """Makes classes of modules that are there while a file is written, and no longer after."""

    def make(module, name, base):
        made = type(name, (base,), {"__module__": module})
        parts = module.split(".")
        for i in range(1, len(parts) + 1):
            parent = ".".join(parts[:i])
            if parent != "__main__" and parent not in sys.modules:
                monkeypatch.setitem(sys.modules, parent, types.ModuleType(parent))
        monkeypatch.setattr(sys.modules[module], name, made, raising=False)
        return made

    return make


def beside(what, foreign):
    if what == "attribute dict":
        return foreign("lightning.fabric.utilities.data", "AttributeDict", dict)(lr=0.1, net="r")
    if what == "own class":
        config = foreign("__main__", "TrainConfig", object)()
        config.steps, config.inner = 5, {"a": [1, 2]}
        return config
    if what == "own list":
        return foreign("mine.containers", "Stack", list)([1, 2, {"a": 3}])
    if what == "own set":
        return foreign("mine.containers", "Pile", set)([1, 2])
    return {
        "partial": functools.partial(torch.nn.LayerNorm, eps=1e-6),
        "namespace": argparse.Namespace(arch="resnet18", norm=torch.nn.BatchNorm2d),
        "simple namespace": types.SimpleNamespace(lr=0.1),
        "counter": collections.Counter("aab"),
        "deque": collections.deque([1, 2], maxlen=3),
        "dtype": torch.float16,
        "date": datetime.datetime(2026, 1, 2),
        "enum": Colour.RED,
    }[what]


BESIDE = ["partial", "namespace", "simple namespace", "counter", "deque", "dtype", "date", "enum"]
BESIDE += ["attribute dict", "own class", "own list", "own set"]


@pytest.mark.parametrize("protocol", [2, 4])
@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("what", BESIDE)
def test_objects_beside_the_weights_are_passed_over(
    what, zipped, protocol, plain, tmp_path, foreign, monkeypatch
):
    spec, state, _, digest = plain
    torch.save(
        {"net": state, "extra": beside(what, foreign), "epoch": 1},
        tmp_path / "file.pth",
        pickle_protocol=protocol,
        _use_new_zipfile_serialization=zipped,
    )
    monkeypatch.undo()
    before = set(sys.modules)
    encoder, _ = port_file(spec, read_checkpoint(tmp_path / "file.pth"))
    assert encoder.digest() == digest
    assert not {name for name in set(sys.modules) - before if name.startswith(("mine", "light"))}


class Hostile:
    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return os.system, (f"touch {self.marker}",)


@pytest.mark.parametrize("where", ["beside", "within", "partial", "own class", "list"])
@pytest.mark.parametrize("zipped", [True, False])
def test_a_wrapper_that_holds_a_malicious_object_is_refused_and_runs_nothing(
    where, zipped, plain, tmp_path, foreign
):
    spec, state, _, _ = plain
    evil = Hostile(tmp_path / "it-ran")
    holder = foreign("mine.containers", "Stack", list)([evil])
    contents = {
        "beside": {"net": state, "extra": evil},
        "within": {"net": {**state, "extra.weight": evil}},
        "partial": {"net": state, "extra": functools.partial(os.system, f"touch {evil.marker}")},
        "own class": {"net": state, "extra": holder},
        "list": {"models": [state, evil]},
    }[where]
    torch.save(contents, tmp_path / "file.pth", _use_new_zipfile_serialization=zipped)
    with pytest.raises(UserError, match=r"asks for posix\.system, .* nothing in it was run"):
        port_file(spec, read_checkpoint(tmp_path / "file.pth"))
    assert not evil.marker.exists()


def test_a_state_dict_that_was_pickled_without_torch_save(plain, tmp_path):
    spec, state, _, digest = plain
    for protocol in (2, 4):
        (tmp_path / "file.pkl").write_bytes(pickle.dumps({"net": dict(state)}, protocol))
        encoder, _ = port_file(spec, read_checkpoint(tmp_path / "file.pkl"))
        assert encoder.digest() == digest


def prefixed(state, prefix):
    return {prefix + name: value for name, value in state.items()}


# (what the file holds of the weights and of their average, key of the average)
AVERAGES = {
    "state_dict_ema": lambda w, a: {"state_dict": w, "state_dict_ema": a},
    "model_ema": lambda w, a: {"model": w, "model_ema": a},
    "ema": lambda w, a: {"ema": a, "net": w},
    "ema_model": lambda w, a: {"state_dict": prefixed(w, "model.") | prefixed(a, "ema_model.")},
    "backbone_momentum": lambda w, a: prefixed(w, "backbone.") | prefixed(a, "backbone_momentum."),
    "encoder_k": lambda w, a: {
        "state_dict": prefixed(w, "module.encoder_q.") | prefixed(a, "module.encoder_k.")
    },
    "swa": lambda w, a: {"swa": {"state": a}, "last": {"state": w}},
}


@pytest.mark.parametrize("key", AVERAGES)
def test_an_average_beside_the_weights_is_named_and_can_be_taken(key, plain, tmp_path):
    spec, weights, average, digest = plain
    contents = AVERAGES[key](weights, average)
    encoder, report = read(spec, contents, tmp_path / "file.pth")
    assert encoder.digest() == digest
    assert "taken: " in report.summary()
    assert f"{key}" in report.summary().partition("also in the file: --checkpoint_key=")[2]
    encoder, report = read(spec, contents, tmp_path / "file.pth", key=key)
    assert encoder.digest() == from_state_dict(spec, average).digest()
    assert key in report.key


def test_a_teacher_and_its_student(plain, tmp_path):
    spec, student, teacher, _ = plain
    expected = from_state_dict(spec, teacher).digest()
    apart = {"student": student, "teacher": teacher, "epoch": 800}
    encoder, report = read(spec, apart, tmp_path / "file.pth")  # as DINO's own evaluation
    assert encoder.digest() == expected
    assert "also in the file: --checkpoint_key=student" in report.summary()
    together = prefixed(student, "student.") | prefixed(teacher, "teacher.")
    with pytest.raises(UserError, match=r"2 networks .*: student, teacher\. .*checkpoint_key=stu"):
        port(spec, together)
    assert port(spec, together, key="teacher")[0].digest() == expected
    assert port(spec, {"state_dict": together}, key="teacher")[0].digest() == expected


def test_weights_on_top_beside_others_are_called_top(plain):
    spec, weights, other, digest = plain
    with pytest.raises(UserError, match=r"2 networks .*: top, other\. .*--checkpoint_key=top\."):
        port(spec, {**weights, "other": other})
    assert port(spec, {**weights, "other": other}, key="top")[0].digest() == digest


def test_one_network_under_two_keys_is_one(plain, tmp_path):
    spec, weights, _, digest = plain
    encoder, report = read(spec, {"model": weights, "best": weights}, tmp_path / "file.pth")
    assert encoder.digest() == digest and "taken" not in report.summary()


@pytest.mark.parametrize("key", ["nothing", "mod", "e"])
def test_a_key_that_names_no_network_lists_those_that_are_there(key, plain):
    spec, weights, average, _ = plain
    with pytest.raises(UserError, match=r"no network of resnet18 .*: model, model_ema\."):
        port(spec, {"model": weights, "model_ema": average}, key=key)


def test_the_choice_is_kept_in_the_provenance(plain, tmp_path):
    spec, weights, average, _ = plain
    torch.save({"model": weights, "model_ema": average}, tmp_path / "file.pth")
    done = convert_file(spec, tmp_path / "file.pth", tmp_path / "made", key="model_ema")
    assert done.provenance.key == read_provenance(tmp_path / "made").key == "model_ema"


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize(
    "prefix", ["", "features.", "backbone.", "module.backbone.", "encoder.net.", "0."]
)
def test_a_resnet_as_nn_sequential(prefix, zipped, plain, tmp_path):
    spec, state, _, digest = plain
    contents = {"state_dict": sequential_names(state, prefix), "epoch": 1}
    contents["state_dict"] |= {f"{prefix}9.weight": torch.zeros(10, 512)}
    torch.save(contents, tmp_path / "f.pth", _use_new_zipfile_serialization=zipped)
    encoder, report = port_file(spec, read_checkpoint(tmp_path / "f.pth"))
    assert (encoder.digest(), report.layout) == (digest, "resnet_sequential")


def test_positions_that_hold_something_else_are_refused(plain):
    spec, state, _, _ = plain
    shifted = {
        (f"{int(name[0]) + 1}{name[1:]}" if int(name[0]) > 3 else name): value
        for name, value in sequential_names(state).items()
    }
    with pytest.raises(UserError, match="it has no"):
        from_state_dict(spec, shifted)
    lacking = {n: v for n, v in sequential_names(state).items() if n != "4.0.bn1.running_var"}
    with pytest.raises(UserError, match=r"missing \(1\): batch_stats/layer1_0/bn1/var"):
        from_state_dict(spec, lacking)
