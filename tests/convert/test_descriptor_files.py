"""Descriptors out of files of every form; files that lie are refused before anything is made."""

import io
import pickle
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import scipy.io
import torch

from jaxret.convert.descriptor_files import read_rows
from jaxret.errors import UserError

ROWS = np.random.default_rng(0).standard_normal((5, 3)).astype(np.float32)
OTHER = np.ones((2, 3), np.float32)
NAMES = [f"{i}.jpg" for i in range(5)]


def _safetensors(path, array):
    from safetensors.numpy import save_file

    save_file({"x": array}, path)


def _hdf5(path, **arrays):
    h5py = pytest.importorskip("h5py")
    with h5py.File(path, "w") as file:
        for name, array in arrays.items():
            file[name] = array


def _matlab73(path, array):
    """As MATLAB writes it: a header of 512 bytes, then HDF5 with the axes turned over."""
    h5py = pytest.importorskip("h5py")
    with h5py.File(path, "w", userblock_size=512) as file:
        file["X"] = array.T
    with path.open("r+b") as file:
        file.write(b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(116))


def _csv(path, separator=",", heading="", names=()):
    lines = [separator.join(map(repr, row)) for row in ROWS.astype(float).tolist()]
    lines = (
        [f"{n}{separator}{line}" for n, line in zip(names, lines, strict=True)] if names else lines
    )
    path.write_text("\n".join([heading, *lines] if heading else lines) + "\n")


@pytest.mark.parametrize(
    "write",
    [
        lambda path: np.save(path, ROWS),
        lambda path: np.save(path, np.asfortranarray(ROWS.astype(np.float64))),
        lambda path: np.savez(path, x=ROWS),
        lambda path: np.savez_compressed(path, x=ROWS, queries=OTHER),
        lambda path: torch.save(torch.from_numpy(ROWS), path),
        lambda path: torch.save({"features": torch.from_numpy(ROWS).double()}, path),
        lambda path: torch.save({"a": {"vecs": torch.from_numpy(ROWS)}, "epoch": 3}, path),
        lambda path: torch.save([torch.from_numpy(row) for row in ROWS], path),
        lambda path: _safetensors(path, ROWS),
        lambda path: scipy.io.savemat(path, {"X": ROWS, "Q": OTHER}),
        lambda path: scipy.io.savemat(path, {"X": ROWS}, do_compression=True),
        lambda path: _matlab73(path, ROWS),
        lambda path: _hdf5(path, x=ROWS),
        lambda path: _hdf5(path, **{"group/x": ROWS, "group/q": OTHER}),
        _csv,
        lambda path: _csv(path, ";"),
        lambda path: _csv(path, "\t"),
        lambda path: _csv(path, " "),
        lambda path: _csv(path, heading="f0,f1,f2"),
        lambda path: _csv(path, heading="# three numbers"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("ending", [".npy", ".bin"])
def test_read_by_content_whatever_the_ending(tmp_path, write, ending):
    made = tmp_path / "made.npz"
    try:  # where NumPy and SciPy add no ending of their own
        with made.open("wb") as file:
            write(file)
    except (TypeError, AttributeError, ValueError, OSError):  # others take a path
        write(made)
    path = made.rename(tmp_path / f"rows{ending}")
    found = read_rows(path, 5, "names")
    np.testing.assert_array_equal(found.vectors, ROWS)
    assert found.vectors.dtype == np.float32 and found.names is None
    assert found.source.startswith(str(path))


@pytest.mark.parametrize("heading", ["", "image,f0,f1,f2"])
def test_a_text_may_name_its_rows(tmp_path, heading):
    _csv(tmp_path / "rows.csv", heading=heading, names=NAMES)
    found = read_rows(tmp_path / "rows.csv", 5, "names")
    assert found.names == tuple(NAMES)
    np.testing.assert_array_equal(found.vectors, ROWS)


def test_a_vector_a_name(tmp_path):
    vectors = dict(zip(NAMES, torch.from_numpy(ROWS), strict=True))
    torch.save(vectors, tmp_path / "rows.pt")
    found = read_rows(tmp_path / "rows.pt", 5, "names")
    assert found.names == tuple(NAMES)
    np.testing.assert_array_equal(found.vectors, ROWS)


def test_one_of_several_arrays_is_named_or_fits_alone(tmp_path):
    path = tmp_path / "rows.npz"
    np.savez(path, a=ROWS, b=ROWS + 1, q=OTHER)
    with pytest.raises(UserError, match=r"several arrays that fit: a \[5, 3\], b \[5.*npz#a"):
        read_rows(path, 5, "names")
    np.testing.assert_array_equal(read_rows(f"{path}#b", 5, "names").vectors, ROWS + 1)
    found = read_rows(path, 2, "names")
    assert found.source == f"{path}#q"
    with pytest.raises(UserError, match=r"no array 'c': a \[5, 3\]"):
        read_rows(f"{path}#c", 5, "names")
    with pytest.raises(UserError, match="for the 9 names, but holds a"):
        read_rows(path, 9, "names")


@pytest.mark.parametrize("form", ["npy", "npz", "pt", "mat", "csv"])
def test_columns_instead_of_rows_are_told(tmp_path, form):
    path = tmp_path / f"rows.{form}"
    turned = np.ascontiguousarray(ROWS.T)
    {
        "npy": lambda: np.save(path, turned),
        "npz": lambda: np.savez(path, x=turned),
        "pt": lambda: torch.save(torch.from_numpy(turned), path),
        "mat": lambda: scipy.io.savemat(path, {"X": turned}),
        "csv": lambda: np.savetxt(path, turned, delimiter=","),
    }[form]()
    with pytest.raises(UserError, match=r"3 rows, but its other axis fits the 5 names.*Turn it"):
        read_rows(path, 5, "names")


# Files that lie or are damaged


def _npy_header(shape, dtype="<f4"):
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        stream, {"descr": dtype, "fortran_order": False, "shape": shape}
    )
    return stream.getvalue()


def _npz_that_claims(path, shape):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x.npy", _npy_header(shape) + b"1234")


class Malicious:
    def __reduce__(self):
        return open, ("/tmp/jaxret-was-run", "w")


def _matlab_that_claims(path, rows):
    scipy.io.savemat(path, {"X": ROWS})
    content = path.read_bytes()
    at = content.index((5).to_bytes(4, "little") + (3).to_bytes(4, "little"))
    path.write_bytes(content[:at] + rows.to_bytes(4, "little") + content[at + 4 :])


def _hdf5_that_claims(path, shape):
    h5py = pytest.importorskip("h5py")
    with h5py.File(path, "w") as file:
        file.create_dataset("x", shape, "f4", chunks=(1, 16))


def _hdf5_elsewhere(path):
    h5py = pytest.importorskip("h5py")
    with h5py.File(path, "w") as file:
        file.create_dataset("x", (5, 3), "f4", external=[("/etc/passwd", 0, 60)])


def _hdf5_virtual(path):
    h5py = pytest.importorskip("h5py")
    with h5py.File(path, "w") as file:
        layout = h5py.VirtualLayout((5, 3), "f4")
        layout[:] = h5py.VirtualSource(str(path) + ".other", "y", (5, 3))
        file.create_virtual_dataset("x", layout)


def _hdf5_link(path):
    h5py = pytest.importorskip("h5py")
    with h5py.File(str(path) + ".other", "w") as file:
        file["y"] = ROWS
    with h5py.File(path, "w") as file:
        file["x"] = h5py.ExternalLink(str(path) + ".other", "y")


@pytest.mark.parametrize(
    ("write", "sentence"),
    [
        (lambda path: path.write_bytes(b""), "is empty"),
        (lambda path: path.write_bytes(_npy_header((5, 2**40)) + b"1234"), "cannot be read"),
        (lambda path: path.write_bytes(_npy_header((5, 3), "|O") + b"1234"), "no array of numbers"),
        (lambda path: _npz_that_claims(path, (5, 2**40)), r"'x.npy' claims the shape"),
        (lambda path: path.write_bytes(pickle.dumps(Malicious())), "nothing in it was run"),
        (lambda path: torch.save({"x": Malicious()}, path), "nothing in it was run"),
        (lambda path: _matlab_that_claims(path, 2**30), "'X' claims the shape|cannot be read"),
        (lambda path: _matlab_that_claims(path, 6), "cannot be read|for the 5 names"),
        (lambda path: _hdf5_that_claims(path, (5, 2**40)), "'x' claims the shape"),
        (_hdf5_elsewhere, "lies in other files"),
        (_hdf5_virtual, "lies in other files"),
        (_hdf5_link, "no array of numbers"),
        (lambda path: path.write_text("<html><body>404</body></html>"), "no lines of numbers"),
        (lambda path: path.write_text("1,2\n3\n"), "cannot be read as descriptors"),
        (lambda path: path.write_text("1,2\n3,x\n"), "cannot be read as descriptors"),
        (lambda path: path.write_text("words"), "no lines of numbers"),
        (lambda path: np.save(path, np.zeros(5)), r"must hold numbers \[photographs, dimension\]"),
        (lambda path: np.save(path, np.array(["a"])), "no array of numbers"),
        (lambda path: path.mkdir(), "cannot be read"),
        (lambda path: None, "No such file"),
    ],
)  # fmt: skip
def test_what_lies_or_is_damaged_is_refused(tmp_path, write, sentence):
    path = tmp_path / "rows.npy"
    write(path)
    with pytest.raises(UserError, match=sentence):
        read_rows(path, 5, "names")
    assert not Path("/tmp/jaxret-was-run").exists()


@pytest.mark.parametrize("form", ["npy", "npz", "pt", "mat", "h5"])
@pytest.mark.parametrize("share", [0.3, 0.7, 0.95])
def test_cut_short(tmp_path, form, share):
    path = tmp_path / f"rows.{form}"
    large = np.random.default_rng(0).standard_normal((50, 40)).astype(np.float32)
    {
        "npy": lambda: np.save(path, large),
        "npz": lambda: np.savez(path, x=large),
        "pt": lambda: torch.save(torch.from_numpy(large), path),
        "mat": lambda: scipy.io.savemat(path, {"X": large}),
        "h5": lambda: _hdf5(path, x=large),
    }[form]()
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(UserError, match=r"rows\."):
        read_rows(path, 50, "names")


def test_hdf5_without_its_reader_says_what_to_install(tmp_path, monkeypatch):
    _hdf5(tmp_path / "rows.h5", x=ROWS)
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(UserError, match=r"needs h5py: pip install 'jaxret\[hdf5\]'"):
        read_rows(tmp_path / "rows.h5", 5, "names")
