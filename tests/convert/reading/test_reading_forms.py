"""The form is told from the content; what is no checkpoint is called by its name."""

import gzip
import runpy
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from jaxret.convert.reading import read_checkpoint
from jaxret.errors import UserError

FIXTURES = Path(__file__).parent / "fixtures"
EXPECTED = runpy.run_path(str(FIXTURES / "expected.py"))


def test_safetensors_whatever_its_ending(tmp_path):
    from safetensors.torch import save_file

    state_dict = {"a": torch.randn(2, 3), "b": torch.randn(4).bfloat16(), "n": torch.tensor(3)}
    save_file(state_dict, tmp_path / "model.pth", metadata={"format": "pt"})
    checkpoint = read_checkpoint(tmp_path / "model.pth")
    assert checkpoint.form == "safetensors"
    assert set(checkpoint.tensors) == set(state_dict)
    for name, tensor in state_dict.items():
        wanted = tensor.float().numpy() if tensor.is_floating_point() else tensor.numpy()
        np.testing.assert_array_equal(checkpoint.tensors[name], wanted)
        assert checkpoint.tensors[name].dtype == wanted.dtype
    data = (tmp_path / "model.pth").read_bytes()
    (tmp_path / "model.pth").write_bytes(data[:-5])
    with pytest.raises(UserError, match="Download it again"):
        read_checkpoint(tmp_path / "model.pth")


def test_npz(tmp_path):
    arrays = {"a": np.ones((2, 3), np.float16), "b": np.asfortranarray(np.eye(3)), "n": 3}
    np.savez(tmp_path / "x.npz", **arrays)
    (tmp_path / "x.npz").rename(tmp_path / "x.pth")
    checkpoint = read_checkpoint(tmp_path / "x.pth")
    assert checkpoint.form == "npz"
    assert {name: str(value.dtype) for name, value in checkpoint.tensors.items()} == {
        "a": "float32",
        "b": "float32",
        "n": "int64",
    }
    assert all(value.flags.c_contiguous for value in checkpoint.tensors.values())


def test_pickle_of_plain_arrays(tmp_path):
    import pickle

    arrays = {"a": np.arange(6.0, dtype=">f8").reshape(2, 3), "b": np.asfortranarray(np.eye(3))}
    for protocol in (2, 3, 4, 5):
        (tmp_path / "x").write_bytes(pickle.dumps({"state_dict": arrays, "epoch": 1}, protocol))
        checkpoint = read_checkpoint(tmp_path / "x")
        assert (checkpoint.form, checkpoint.wrapper) == ("pickle", "state_dict")
        for name, value in arrays.items():
            np.testing.assert_array_equal(checkpoint.tensors[name], value)
            assert checkpoint.tensors[name].dtype == np.float32


@pytest.mark.parametrize("name", ["byol_dill.pkl", "byol_pickle.pkl", "byol_frozendict.pkl"])
def test_byol(name):
    checkpoint = read_checkpoint(FIXTURES / name)
    assert (checkpoint.form, checkpoint.wrapper) == ("pickle", "experiment_state")
    assert checkpoint.extras == {"step": 300_000}
    wanted = {
        f"{module}/{leaf}": value
        for tree in (EXPECTED["byol_params"](), EXPECTED["byol_state"]())
        for module, leaves in tree.items()
        for leaf, value in leaves.items()
    }
    assert set(checkpoint.tensors) == set(wanted)
    for key, value in wanted.items():
        np.testing.assert_array_equal(checkpoint.tensors[key], value)


def test_torch_is_asked_for_by_name(tmp_path, monkeypatch):
    torch.save({"a": torch.ones(1)}, tmp_path / "x.pth")
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(UserError, match=r"pip install 'jaxret\[convert\]'"):
        read_checkpoint(tmp_path / "x.pth")


@pytest.mark.parametrize(
    "content, sentence",
    [
        (b"", r"is empty \(0 bytes\)"),
        (b"\n<!DOCTYPE html><html><title>Google Drive - Quota exceeded", "is a web page"),
        (b"<html><body>404", "is a web page"),
        (b"Not Found\n", "is a text file"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:1", "Git LFS pointer"),
        (gzip.compress(b"x" * 1000, mtime=0), "gzip archive"),
        (b"\x89HDF\r\n\x1a\n" + bytes(100), "HDF5"),
        (bytes(1000), "no checkpoint of a form"),
        (b"\xff\xd8\xff\xe0" + bytes(range(256)), "no checkpoint of a form"),
        (b"PK\x03\x04" + bytes(60), "cut short"),
        (b"\x80\x02}q\x00.", "holds no tensors by name"),
        (b"\x80\x02K\x05.", "holds a single int"),
        (b"\x80\x02}q\x00(X\x01", "cannot be read to its end"),
    ],
)
def test_what_is_no_checkpoint_is_called_by_its_name(tmp_path, content, sentence):
    (tmp_path / "x.pth").write_bytes(content)
    with pytest.raises(UserError, match=sentence):
        read_checkpoint(tmp_path / "x.pth")


def test_delivery_that_was_not_unpacked(tmp_path):
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr("Resnet50-AP-GeM.pt", b"1234")
    with pytest.raises(UserError, match=r"holding Resnet50-AP-GeM\.pt.*Unpack"):
        read_checkpoint(tmp_path / "x.zip")
    with zipfile.ZipFile(tmp_path / "empty.zip", "w"):
        pass
    with pytest.raises(UserError, match="no checkpoint of a form"):
        read_checkpoint(tmp_path / "empty.zip")


def test_places_that_are_no_files(tmp_path):
    with pytest.raises(UserError, match="is a directory"):
        read_checkpoint(tmp_path)
    with pytest.raises(UserError, match="There is no checkpoint at"):
        read_checkpoint(tmp_path / "missing.pth")
    with pytest.raises(UserError, match=r"give '.*model\.ckpt-225206'"):
        read_checkpoint(FIXTURES)
    with pytest.raises(UserError, match="not a regular file"):
        read_checkpoint("/dev/null")


def test_keys_are_named_where_no_tensors_are_found(tmp_path):
    torch.save({"weights": {"a": 1.0}, "epoch": 3}, tmp_path / "x")
    with pytest.raises(UserError, match="Its keys are 'weights', 'epoch'"):
        read_checkpoint(tmp_path / "x")
