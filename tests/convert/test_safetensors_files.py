"""Sharded safetensors against the library's own writer."""

import json

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from jaxret.convert.reading.safetensors_files import read_sharded
from jaxret.errors import UserError


@pytest.fixture
def arrays():
    generator = torch.Generator().manual_seed(0)
    return {
        "a": torch.randn(3, 5, generator=generator),
        "b": torch.randn(4, generator=generator).bfloat16(),
        "c": torch.randn(2, 2, generator=generator).half(),
        "numbers": torch.arange(7),
        "scalar": torch.tensor(3.5),
    }


@pytest.fixture
def folder(arrays, tmp_path):
    files = {"model-1.safetensors": ["a", "numbers"], "model-2.safetensors": ["b", "c", "scalar"]}
    for file, names in files.items():
        save_file({name: arrays[name] for name in names}, tmp_path / file, {"format": "pt"})
    where = {name: file for file, names in files.items() for name in names}
    index = {"metadata": {"total_size": 1}, "weight_map": where}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    return tmp_path


def test_all_shards_are_read(folder, arrays):
    found = read_sharded(folder)
    assert found.keys() == arrays.keys()
    for name, array in arrays.items():
        expected = array.float().numpy() if array.is_floating_point() else array.numpy()
        np.testing.assert_array_equal(found[name], expected)
        assert found[name].dtype == expected.dtype


def test_one_file_and_an_index_are_read_too(folder):
    assert set(read_sharded(folder / "model-1.safetensors")) == {"a", "numbers"}
    assert set(read_sharded(folder / "model.safetensors.index.json")) == set(read_sharded(folder))


def damage_missing(folder):
    (folder / "model-2.safetensors").unlink()


def damage_cut(folder):
    path = folder / "model-2.safetensors"
    path.write_bytes(path.read_bytes()[:-3])


def damage_other(folder):
    (folder / "model-2.safetensors").write_bytes((folder / "model-1.safetensors").read_bytes())


def damage_outside(folder):
    index = {"weight_map": {"a": "../model-1.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))


def damage_none(folder):
    (folder / "model.safetensors.index.json").unlink()


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (damage_missing, "lacks model-2.safetensors"),
        (damage_cut, "cut short"),
        (damage_other, "does not hold b"),
        (damage_outside, "outside its folder"),
        (damage_none, "holds neither model.safetensors nor"),
    ],
)
def test_what_is_damaged_is_refused_by_name(folder, damage, sentence):
    damage(folder)
    with pytest.raises(UserError, match=sentence):
        read_sharded(folder)
