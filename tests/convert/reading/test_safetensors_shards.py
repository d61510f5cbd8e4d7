"""Safetensors in several files: read by their index, which can name nothing outside its folder."""

import json

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from jaxret.convert.files import source_sha256
from jaxret.convert.reading import read_checkpoint
from jaxret.convert.reading.safetensors_files import read_sharded
from jaxret.errors import UserError

TENSORS = {
    "conv1.weight": torch.randn(4, 3, 7, 7),
    "layer1.0.conv1.weight": torch.randn(4, 4, 1, 1).half(),
    "bn1.weight": torch.randn(4).bfloat16(),
    "bn1.num_batches_tracked": torch.tensor(3),
}
INDEX = "model.safetensors.index.json"


@pytest.fixture
def folder(tmp_path):
    """Two shards and their index."""
    place = tmp_path / "snapshot"
    place.mkdir()
    names = list(TENSORS)
    places = {}
    for number, held in enumerate((names[:2], names[2:]), 1):
        file = f"model-{number:05d}-of-00002.safetensors"
        save_file({name: TENSORS[name] for name in held}, place / file)
        places |= dict.fromkeys(held, file)
    (place / INDEX).write_text(json.dumps({"metadata": {}, "weight_map": places}))
    return place


def rewrite(folder, **changes):
    stated = json.loads((folder / INDEX).read_text())
    stated["weight_map"] |= changes
    (folder / INDEX).write_text(json.dumps(stated))


@pytest.mark.parametrize("what", [INDEX, ""])
def test_all_shards_are_read_by_their_index_or_folder(folder, what):
    checkpoint = read_checkpoint(folder / what)
    assert checkpoint.form == "safetensors shards"
    assert set(checkpoint.tensors) == set(TENSORS) == set(read_sharded(folder / what))
    for name, tensor in TENSORS.items():
        np.testing.assert_array_equal(checkpoint.tensors[name], tensor.float().numpy())
    before = source_sha256(checkpoint)
    save_file(
        {name: TENSORS[name] + 1 for name in list(TENSORS)[2:]},
        folder / "model-00002-of-00002.safetensors",
    )
    assert source_sha256(read_checkpoint(folder)) != before


def test_a_folder_of_one_file(tmp_path):
    save_file(TENSORS, tmp_path / "model.safetensors")
    assert set(read_checkpoint(tmp_path).tensors) == set(TENSORS)


@pytest.mark.parametrize("with_index", [True, False])
def test_one_shard_alone_is_said_to_be_one_of_several(folder, with_index):
    if not with_index:
        (folder / INDEX).unlink()
    sentence = r"is one of 2 files .* Give their index, '.*index\.json'"
    with pytest.raises(UserError, match=sentence + (r"\.$" if with_index else " .*not there")):
        read_checkpoint(folder / "model-00001-of-00002.safetensors")


def test_one_of_one_is_a_file_like_any_other(tmp_path):
    save_file(TENSORS, tmp_path / "model-00001-of-00001.safetensors")
    assert read_checkpoint(tmp_path / "model-00001-of-00001.safetensors").tensors


def test_a_missing_shard_is_named(folder):
    (folder / "model-00002-of-00002.safetensors").unlink()
    with pytest.raises(UserError, match=r"lacks model-00002-of-00002\.safetensors.*1 of 2 files"):
        read_checkpoint(folder)


@pytest.mark.parametrize(
    "outside",
    [
        "../other.safetensors",
        "/etc/passwd",
        "/tmp/other.safetensors",
        "sub/other.safetensors",
        "..\\other.safetensors",
        "C:\\other.safetensors",
        "C:other.safetensors",
        "..",
        "",
        "other.bin",
        "\x00.safetensors",
        5,
        None,
        ["other.safetensors"],
    ],
)
def test_an_index_that_points_outside_its_folder_reads_nothing(folder, outside):
    save_file({"evil": torch.ones(1)}, folder.parent / "other.safetensors")
    rewrite(folder, evil=outside)
    with pytest.raises(UserError, match=r"for evil, which .*outside its folder; nothing was read"):
        read_checkpoint(folder)


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "5", "{}", '{"weight_map": {}}', '{"weight_map": [1]}', "[" * 100_000, "null"],
)
def test_what_is_no_index_is_refused(folder, text):
    (folder / INDEX).write_text(text)
    with pytest.raises(UserError, match=r"is no index of safetensors files|is empty \(0"):
        read_checkpoint(folder)


def test_a_tensor_that_is_not_where_it_should_be(folder):
    rewrite(folder, **{"absent.weight": "model-00001-of-00002.safetensors"})
    with pytest.raises(UserError, match=r"does not hold absent\.weight"):
        read_checkpoint(folder)


@pytest.mark.parametrize("keep", [0, 4, 60, -3])
def test_a_shard_cut_short_is_named(folder, keep):
    path = folder / "model-00002-of-00002.safetensors"
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(
        UserError, match=r"model-00002-of-00002\.safetensors is no .*Download it again"
    ):
        read_checkpoint(folder)


@pytest.mark.parametrize(
    "entry",
    [
        {"dtype": "F32", "shape": [1 << 40, 1 << 20], "data_offsets": [0, 16]},
        {"dtype": "F32", "shape": [4], "data_offsets": [0, 1 << 40]},
        {"dtype": "F32", "shape": [4], "data_offsets": [16, 0]},
        {"dtype": "F32", "shape": [4], "data_offsets": [-16, 0]},
        {"dtype": "F32", "shape": [5], "data_offsets": [0, 16]},
        {"dtype": "F32", "shape": "abc", "data_offsets": [0, 16]},
        {"dtype": "object", "shape": [4], "data_offsets": [0, 16]},
        {"dtype": "F32"},
        5,
    ],
)
def test_a_header_that_lies_is_refused(entry, tmp_path):
    header = {"a": entry}
    text = json.dumps(header).encode()
    content = len(text).to_bytes(8, "little") + text + bytes(16)
    (tmp_path / "x.safetensors").write_bytes(content)
    with pytest.raises(UserError, match="cut short"):
        read_checkpoint(tmp_path / "x.safetensors")


def test_a_folder_of_two_indices_is_not_guessed_at(folder):
    (folder / INDEX).rename(folder / "some.safetensors.index.json")
    assert set(read_sharded(folder)) == set(TENSORS) == set(read_checkpoint(folder).tensors)
    (folder / "other.safetensors.index.json").write_text("{}")
    with pytest.raises(UserError, match="holds neither"):
        read_sharded(folder)
