"""TensorFlow checkpoints, read by TensorFlow where it is installed and refused where it is not."""

import runpy
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

from jaxret.convert.reading import read_checkpoint
from jaxret.errors import UserError

FIXTURES = Path(__file__).parent / "fixtures"
EXPECTED = runpy.run_path(str(FIXTURES / "expected.py"))


@pytest.mark.parametrize("ending", ["", ".index", ".data-00000-of-00001"])
def test_tensorflow(ending):
    pytest.importorskip("tensorflow")
    checkpoint = read_checkpoint(FIXTURES / f"model.ckpt-225206{ending}")
    assert checkpoint.form == "tensorflow"
    assert checkpoint.path == str(FIXTURES / "model.ckpt-225206")
    wanted = EXPECTED["tensorflow_variables"]()
    assert set(checkpoint.tensors) == set(wanted)
    for key, value in wanted.items():
        np.testing.assert_array_equal(checkpoint.tensors[key], value)


def test_tensorflow_without_tensorflow(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    with pytest.raises(UserError, match=r"pip install 'jaxret\[tensorflow\]'"):
        read_checkpoint(FIXTURES / "model.ckpt-225206")


def test_tensorflow_without_its_data(tmp_path):
    (tmp_path / "model.ckpt-[1].index").write_bytes(b"x")
    with pytest.raises(UserError, match="0 of 1 data files"):
        read_checkpoint(tmp_path / "model.ckpt-[1]")


@pytest.mark.parametrize("ending", [".index", ".data-00000-of-00001"])
def test_damaged_tensorflow_files(tmp_path, ending):
    pytest.importorskip("tensorflow")
    for file in FIXTURES.glob("model.ckpt-225206.*"):
        shutil.copy(file, tmp_path)
    file = tmp_path / f"model.ckpt-225206{ending}"
    data = bytearray(file.read_bytes())
    data[10] ^= 1
    file.write_bytes(data)
    with pytest.raises(UserError, match="is damaged"):
        read_checkpoint(tmp_path / "model.ckpt-225206")
