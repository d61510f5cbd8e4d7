"""PyTorch files in all three containers, compared with what torch itself says of the tensors."""

import argparse
import collections
import io
import pickle
import struct
import sys
import tarfile
import types
import zipfile
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA

from jaxret.convert.reading import read_checkpoint
from jaxret.errors import UserError

CONTAINERS = {"torch zip": True, "torch stream": False}


@pytest.fixture(params=CONTAINERS)
def form(request) -> str:
    return request.param


def _save(value, path: Path, form: str, **keywords) -> Path:
    torch.save(value, path, _use_new_zipfile_serialization=CONTAINERS[form], **keywords)
    return path


def _state_dict() -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    kernel = torch.randn(3, 5, 7, 2, generator=generator)
    return {
        "conv1.weight": kernel,
        "permuted": kernel.permute(3, 2, 0, 1),
        "view": kernel.flatten()[4:20:3],
        "fc.weight": torch.randn(6, 4, generator=generator).t(),
        "half": torch.randn(9, generator=generator).half(),
        "bfloat": torch.randn(9, generator=generator).bfloat16(),
        "double": torch.randn(9, generator=generator).double(),
        "parameter": torch.nn.Parameter(torch.randn(2, 2, generator=generator)),
        "bn1.num_batches_tracked": torch.tensor(12),
        "mask": torch.ones(3, dtype=torch.uint8),
        "flag": torch.tensor([True, False]),
        "empty": torch.zeros(0, 3),
    }


def _assert_same(tensors: dict[str, np.ndarray], state_dict: dict[str, torch.Tensor]) -> None:
    assert list(tensors) == list(state_dict)
    for name, tensor in state_dict.items():
        array = tensors[name]
        wanted = np.float32 if tensor.is_floating_point() else tensor.numpy().dtype
        assert array.dtype == wanted
        assert array.flags.c_contiguous
        np.testing.assert_array_equal(array, np.array(tensor.tolist(), wanted).reshape(array.shape))
        assert array.shape == tuple(tensor.shape)


def test_strides_dtypes_and_order_are_kept(tmp_path, form):
    path = _save(_state_dict(), tmp_path / "weights.bin", form)
    checkpoint = read_checkpoint(path)
    assert (checkpoint.form, checkpoint.wrapper, checkpoint.extras) == (form, "", {})
    _assert_same(checkpoint.tensors, _state_dict())


@pytest.mark.parametrize("wrapper", ["state_dict", "model", "teacher"])
def test_wrappers_are_named_and_what_stands_beside_them_is_kept(tmp_path, form, wrapper):
    contents = {
        wrapper: collections.OrderedDict(_state_dict()),
        "epoch": 200,
        "arch": "resnet50",
        "hyperparams": {"ndf": 320},
        "optimizer": {"state": {0: {"momentum": torch.zeros(4)}}},
    }
    checkpoint = read_checkpoint(_save(contents, tmp_path / "x.pth.tar", form))
    assert checkpoint.wrapper == wrapper
    assert checkpoint.extras == {"epoch": 200, "arch": "resnet50", "hyperparams": {"ndf": 320}}
    _assert_same(checkpoint.tensors, _state_dict())


def test_modules_state_dict_with_metadata(tmp_path, form):
    model = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4))
    checkpoint = read_checkpoint(_save(model.state_dict(), tmp_path / "x", form))
    _assert_same(checkpoint.tensors, dict(model.state_dict()))


def test_dino_takes_the_teacher_and_its_arguments(tmp_path, form):
    teacher, student = {"module.a": torch.ones(2)}, {"module.a": torch.zeros(2)}
    arguments = argparse.Namespace(arch="resnet50", crops=[1, 2], out_dim=60000)
    contents = {"student": student, "teacher": teacher, "epoch": 800, "args": arguments}
    checkpoint = read_checkpoint(_save(contents, tmp_path / "full.pth", form))
    assert checkpoint.wrapper == "teacher"
    assert checkpoint.tensors["module.a"].tolist() == [1, 1]
    assert checkpoint.extras["args"] == vars(arguments)


def test_odds_and_ends_that_training_scripts_leave(tmp_path, form):
    contents = {
        "state_dict": _state_dict(),
        "best_acc1": np.float64(71.5),
        "history": collections.defaultdict(list, loss=[1.0, 0.5]),
        "args": argparse.Namespace(output=Path("runs/1")),
        "classes": {"cat", "dog"},
        "means": np.arange(3.0),
    }
    extras = read_checkpoint(_save(contents, tmp_path / "x", form)).extras
    assert extras["best_acc1"] == 71.5
    assert extras["history"] == {"loss": [1.0, 0.5]}
    assert extras["args"] == {"output": "runs/1"}
    assert extras["classes"] == {"cat", "dog"}


class Python2Pickler(pickle._Pickler):
    """Writes text and bytes as Python 2 writes its one string type."""

    dispatch: ClassVar = dict(pickle._Pickler.dispatch)

    def save_string(self, value) -> None:
        data = value.encode("latin1") if isinstance(value, str) else value
        short = len(data) < 256
        header = b"U" + bytes([len(data)]) if short else b"T" + struct.pack("<i", len(data))
        self.write(header + data)
        self.memoize(value)

    dispatch[str] = dispatch[bytes] = save_string


def _python2() -> types.ModuleType:
    module = types.ModuleType("pickle_of_python_2")
    module.Pickler = Python2Pickler
    module.dump = lambda value, file, protocol: Python2Pickler(file, protocol).dump(value)
    return module


@pytest.fixture
def old_sklearn(monkeypatch):
    """A fitted PCA that pickles under the module name of scikit-learn 0.20."""
    rows = np.random.default_rng(0).normal(size=(40, 12))
    fitted = PCA(n_components=5, whiten=True).fit(rows)
    module = types.ModuleType("sklearn.decomposition.pca")
    module.PCA = type("PCA", (), {"__module__": module.__name__})
    monkeypatch.setitem(sys.modules, module.__name__, module)
    old = module.PCA()
    old.__dict__.update(vars(fitted))
    return fitted, old


@pytest.mark.parametrize("pickler", [pickle, _python2()], ids=["python3", "python2"])
def test_gem_ap_with_its_old_pca(tmp_path, form, old_sklearn, pickler):
    fitted, old = old_sklearn
    contents = {
        "state_dict": _state_dict(),
        "model_options": {"arch": "resnet50_rmac", "out_dim": 2048, "pooling": "gem", "gemp": 3},
        "pca": {"Landmarks_clean": old},
        "current_iter": 296,
    }
    path = _save(contents, tmp_path / "Resnet50-AP-GeM.pt", form, pickle_module=pickler)
    checkpoint = read_checkpoint(path)
    _assert_same(checkpoint.tensors, _state_dict())
    assert checkpoint.extras["model_options"]["arch"] == "resnet50_rmac"
    assert checkpoint.extras["current_iter"] == 296
    pca = checkpoint.extras["pca"]["Landmarks_clean"]
    assert set(pca) == {"mean", "components", "explained_variance", "whiten"}
    assert pca["whiten"] is True
    for name in ("mean", "components", "explained_variance"):
        np.testing.assert_array_equal(pca[name], getattr(fitted, f"{name}_"))


def test_todays_sklearn_pca(tmp_path, form, old_sklearn):
    fitted, _ = old_sklearn
    contents = {"state_dict": _state_dict(), "pca": {"mine": fitted}}
    checkpoint = read_checkpoint(_save(contents, tmp_path / "x", form))
    np.testing.assert_array_equal(checkpoint.extras["pca"]["mine"]["mean"], fitted.mean_)


def _oldest_tar(path: Path, state_dict: dict[str, torch.Tensor], graph: bytes) -> Path:
    """The container of torch before spring 2017: storages, tensors and the pickle that names them.

    Layout from `legacy_load` in torch/serialization.py.
    """
    storages, tensors = io.BytesIO(), io.BytesIO()
    pickle.dump(len(state_dict), storages, 2)
    pickle.dump(len(state_dict), tensors, 2)
    for key, tensor in enumerate(state_dict.values()):
        flat = tensor.numpy().astype("<f4").ravel(order="K")
        pickle.dump((key, "cuda:0", torch.FloatStorage), storages, 2)
        storages.write(struct.pack("<q", flat.size) + flat.tobytes())
        pickle.dump((100 + key, key, torch.FloatTensor), tensors, 2)
        dims = tensor.dim()
        tensors.write(struct.pack("<ii", dims, 0))
        tensors.write(struct.pack(f"<{2 * dims + 1}q", *tensor.shape, *tensor.stride(), 0))
    pickle.dump([], storages, 2)
    with tarfile.open(path, "w") as archive:
        for name, data in {
            "sys_info": pickle.dumps({"protocol_version": 1000}, 2),
            "pickle": graph,
            "storages": storages.getvalue(),
            "tensors": tensors.getvalue(),
        }.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return path


class _Reference:
    def __init__(self, key: int):
        self.key = key


class OldPickler(pickle._Pickler):
    """Names tensors by the text of their key, wrapped as `nn.Parameter` was pickled then."""

    def persistent_id(self, value):
        return str(value.key) if isinstance(value, _Reference) else None


def _graph(names: list[str]) -> bytes:
    file = io.BytesIO()
    OldPickler(file, 2).dump(
        collections.OrderedDict((name, _Reference(100 + i)) for i, name in enumerate(names))
    )
    return file.getvalue()


def test_oldest_tar_form(tmp_path):
    kernel = torch.arange(24.0).reshape(2, 3, 4)
    state_dict = {"conv1.weight": kernel, "fc.weight": kernel.permute(2, 0, 1)}
    path = _oldest_tar(tmp_path / "resnet50-19c8e357.pth", state_dict, _graph(list(state_dict)))
    checkpoint = read_checkpoint(path)
    assert checkpoint.form == "torch tar"
    _assert_same(checkpoint.tensors, state_dict)


def test_oldest_tar_form_with_parameters(tmp_path):
    # nn.Parameter reduced to (class, (tensor,), (requires_grad, volatile, hooks)) then.
    name, hooks = b"X\x06\x00\x00\x00weight", b"ccollections\nOrderedDict\n)R"
    parameter = b"ctorch.nn.parameter\nParameter\nU\x03100Q\x85R(\x88\x89" + hooks + b"tb"
    graph = b"\x80\x02}" + name + parameter + b"s."
    state_dict = {"weight": torch.arange(6.0).reshape(2, 3)}
    checkpoint = read_checkpoint(_oldest_tar(tmp_path / "x.pth", state_dict, graph))
    _assert_same(checkpoint.tensors, state_dict)


def test_repacked_with_compression(tmp_path):
    path = _save(_state_dict(), tmp_path / "x", "torch zip")
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(tmp_path / "y", "w") as target:
        for name in source.namelist():
            target.writestr(name, source.read(name), zipfile.ZIP_DEFLATED)
    _assert_same(read_checkpoint(tmp_path / "y").tensors, _state_dict())


def test_flipped_bit_is_found(tmp_path):
    state_dict = {"weight": torch.full((1000,), 3.0)}
    data = bytearray(_save(state_dict, tmp_path / "x", "torch zip").read_bytes())
    where = data.index(struct.pack("<f", 3.0) * 10)
    data[where + 100] ^= 1
    (tmp_path / "x").write_bytes(data)
    with pytest.raises(UserError, match="checksum"):
        read_checkpoint(tmp_path / "x")


@pytest.mark.parametrize("keep", [0.2, 0.6, 0.99])
def test_cut_short(tmp_path, form, keep):
    data = _save(_state_dict(), tmp_path / "x", form).read_bytes()
    (tmp_path / "x").write_bytes(data[: int(keep * len(data))])
    with pytest.raises(UserError, match="ownload it again"):
        read_checkpoint(tmp_path / "x")


def test_sparse_and_complex_tensors_are_named(tmp_path):
    for name, tensor in {"s": torch.eye(3).to_sparse(), "c": torch.ones(2).cfloat()}.items():
        path = _save({"fine": torch.ones(1), name: tensor}, tmp_path / name, "torch zip")
        with pytest.raises(UserError, match=f"Tensor '{name}'"):
            _ = read_checkpoint(path).tensors


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of torch.jit, about itself
def test_torchscript_is_refused(tmp_path):
    torch.jit.script(torch.nn.ReLU()).save(str(tmp_path / "x"))
    with pytest.raises(UserError, match="TorchScript"):
        read_checkpoint(tmp_path / "x")
