"""Checkpoints that try to run something: refused by name, and nothing ran."""

import functools
import importlib
import io
import os
import pickle
import random
import re
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch

from jaxret.convert.reading import read_checkpoint, safe_pickle
from jaxret.errors import UserError

FIXTURES = Path(__file__).parent / "fixtures"


class Call:
    """Pickles as the instruction to call `function(*arguments)`."""

    def __init__(self, function, *arguments):
        self.reduced = function, arguments

    def __reduce__(self):
        return self.reduced


def _write_zip(value, path: Path) -> None:
    torch.save({"state_dict": {"a": torch.ones(2)}, "evil": value}, path)


def _write_stream(value, path: Path) -> None:
    contents = {"state_dict": {"a": torch.ones(2)}, "evil": value}
    torch.save(contents, path, _use_new_zipfile_serialization=False)


def _write_pickle(value, path: Path) -> None:
    path.write_bytes(pickle.dumps({"a": np.ones(2), "evil": value}, 2))


def _write_new_pickle(value, path: Path) -> None:
    path.write_bytes(pickle.dumps({"a": np.ones(2), "evil": value}, 4))


WRITERS = [_write_zip, _write_stream, _write_pickle, _write_new_pickle]


@pytest.mark.parametrize("write", WRITERS)
@pytest.mark.parametrize(
    "function, arguments, asked_for",
    [
        (os.system, ("touch {}",), "posix.system"),
        (subprocess.check_call, (["touch", "{}"],), "subprocess.check_call"),
        (exec, ("open('{}', 'w')",), "exec"),
        (eval, ("open('{}', 'w')",), "eval"),
        (open, ("{}", "w"), "open"),
        (getattr, (os, "system"), "getattr"),
        (importlib.import_module, ("antigravity",), "importlib.import_module"),
        (functools.partial, (print,), "builtins.print"),
        (functools.partial, (os.system, "touch {}"), "posix.system"),
        (np.load, ("{}",), "numpy.*load"),
        (torch.load, ("{}",), "torch.serialization.load"),
        (torch.hub.load, ("owner/name", "model"), "torch.hub.load"),
    ],
)
def test_refused_by_name_and_nothing_ran(tmp_path, write, function, arguments, asked_for):
    marker, path = tmp_path / "it-ran", tmp_path / "evil.pth"

    def aim(value):
        if isinstance(value, list):
            return [aim(item) for item in value]
        return value.format(marker) if isinstance(value, str) else value

    arguments = tuple("posix" if value is os else aim(value) for value in arguments)
    write(Call(function, *arguments), path)
    with pytest.raises(UserError, match=rf"asks for \S*{asked_for}, which jaxret does not allow"):
        read_checkpoint(path)
    assert not marker.exists()


def test_the_marker_would_have_been_written(tmp_path):
    # The counterpart of the test above: without restrictions these bytes do run.
    marker = tmp_path / "it-ran"
    pickle.loads(pickle.dumps(Call(os.system, f"touch {marker}")))
    assert marker.exists()


def test_whole_saved_model_is_refused_with_its_class(tmp_path):
    torch.save(torch.nn.Linear(2, 2), tmp_path / "model.pt")
    with pytest.raises(UserError, match=r"torch\.nn\.modules\.linear\.Linear.*state_dict"):
        read_checkpoint(tmp_path / "model.pt")


@pytest.mark.parametrize(
    "name, sentence",
    [
        (b"c_codecs\nencode\n", "an attempt to change a function"),
        (b"cnumpy.core.multiarray\n_reconstruct\n", "an attempt to change a function"),
        (b"cargparse\nNamespace\n", "cannot be read to its end"),
        (b"ccollections\nOrderedDict\n", "cannot be read to its end"),
    ],
)
@pytest.mark.parametrize(
    "state",
    [
        b"}X\x08\x00\x00\x00__code__K\x01s",  # attributes as a dict
        b"}}X\x08\x00\x00\x00__code__K\x01s\x86",  # as slots
    ],
)
def test_what_a_name_stands_for_cannot_be_altered(tmp_path, name, sentence, state):
    path = tmp_path / "x.pkl"
    path.write_bytes(b"\x80\x02" + name + state + b"b.")
    with pytest.raises(UserError, match=sentence):
        read_checkpoint(path)
    assert read_checkpoint(FIXTURES / "byol_dill.pkl").tensors


@pytest.mark.parametrize(
    "module, name",
    [
        ("collections", "OrderedDict.__init__.__globals__"),
        ("numpy.core.multiarray", "_reconstruct.__globals__"),
        ("argparse", "Namespace.__init__"),
        ("argparse", "ArgumentParser"),
        ("sklearn.decomposition.pca", "os"),
        ("haiku._src.data_structures", "jax"),
        ("builtins", "__import__"),
        ("numpy", "dtype\nx"),
    ],
)
def test_only_whole_names_of_the_table_resolve(module, name):
    unpickler = safe_pickle.RestrictedUnpickler(io.BytesIO())
    with pytest.raises(safe_pickle.ForbiddenName, match=re.escape(f"{module}.{name}")):
        unpickler.find_class(module, name)


def test_codecs_only_encode_latin1(tmp_path):
    (tmp_path / "x.pkl").write_bytes(pickle.dumps(Call(_encode(), "a", "zip"), 2))
    with pytest.raises(UserError, match="encoded as zip"):
        read_checkpoint(tmp_path / "x.pkl")


def _encode():
    import _codecs

    return _codecs.encode


def test_object_arrays_and_structured_ones_run_nothing(tmp_path):
    objects = np.array([Call(os.system, f"touch {tmp_path / 'it-ran'}")], dtype=object)
    (tmp_path / "x.pkl").write_bytes(pickle.dumps({"a": objects}, 2))
    with pytest.raises(UserError, match=r"posix\.system"):
        read_checkpoint(tmp_path / "x.pkl")
    structured = np.zeros(2, dtype=[("x", "f4"), ("y", "i4")])
    (tmp_path / "y.pkl").write_bytes(pickle.dumps({"a": structured}, 2))
    with pytest.raises(UserError, match="structured"):
        read_checkpoint(tmp_path / "y.pkl")
    assert not (tmp_path / "it-ran").exists()


def test_npz_with_pickled_objects_is_refused(tmp_path):
    with (tmp_path / "x.npz").open("wb") as file:
        np.savez(file, a=np.array([Call(os.system, f"touch {tmp_path / 'it-ran'}")], object))
    with pytest.raises(UserError, match="pickle"):
        read_checkpoint(tmp_path / "x.npz")
    assert not (tmp_path / "it-ran").exists()


def test_lists_that_hold_lists_that_hold_lists(tmp_path):
    # Each level holds the one below twice: 2**60 items if they were walked one by one.
    value: list = []
    for _ in range(60):
        value = [value, value]
    (tmp_path / "x.pkl").write_bytes(pickle.dumps({"a": np.ones(2), "deep": value}, 2))
    assert read_checkpoint(tmp_path / "x.pkl").tensors["a"].tolist() == [1, 1]
    circle: list = []
    circle.append(circle)
    (tmp_path / "y.pkl").write_bytes(pickle.dumps({"a": np.ones(2), "circle": circle}, 2))
    assert read_checkpoint(tmp_path / "y.pkl").tensors["a"].tolist() == [1, 1]


@pytest.mark.parametrize("form", ["zip", "stream", "pickle"])
def test_damaged_bytes_end_in_a_sentence_or_in_arrays(tmp_path, form):
    path = tmp_path / "x"
    if form == "pickle":
        data = (FIXTURES / "byol_dill.pkl").read_bytes()
    else:
        zipped = form == "zip"
        torch.save({"a": torch.ones(3)}, path, _use_new_zipfile_serialization=zipped)
        data = path.read_bytes()
    dice = random.Random(0)
    for _ in range(150):
        damaged = bytearray(data)
        for _ in range(dice.randint(1, 3)):
            damaged[dice.randrange(len(damaged))] = dice.randrange(256)
        path.write_bytes(damaged)
        try:
            read_checkpoint(path)
        except UserError as error:
            assert str(path) in str(error) or "'" in str(error)
