"""A whitening that was learnt elsewhere, held against what its authors' code computes with it."""

import io
import json
import os
import pickle
import sys
import types

import numpy as np
import pytest
import scipy.io
import torch
from sklearn.decomposition import PCA

from jaxret import PCAWhitening, Settings
from jaxret.convert import whitening_files
from jaxret.errors import UserError
from jaxret.runs.feature_files import run_given

CHANNELS, DIM = 12, 5


def read_whitening(place):
    return PCAWhitening.from_pca(**whitening_files.read_whitening(place))


@pytest.fixture(scope="module")
def rows():
    draw = np.random.default_rng(0)
    rows = draw.standard_normal((40, CHANNELS)) @ draw.standard_normal((CHANNELS, CHANNELS))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def whitenapply(x, m, projection):
    """As cirtorch applies it, [N, D] here: P (x - m), divided by its norm plus 1e-6."""
    y = (x.astype(np.float64) - np.ravel(m)) @ np.asarray(projection, np.float64).T
    return y / (np.linalg.norm(y, axis=1, keepdims=True) + 1e-6)


def learnt(rows):
    """(m [D, 1], P [D', D]) of no orthogonality, as a supervised whitening has."""
    draw = np.random.default_rng(1)
    return rows.mean(axis=0)[:, None], draw.standard_normal((DIM, CHANNELS))


def _pickled(protocol):
    def write(path, m, projection):
        path.write_bytes(pickle.dumps({"m": m, "P": projection}, protocol))

    return write


def _in_meta(path, m, projection):
    whitening = {"m": m, "P": projection}
    torch.save(
        {"state_dict": {"a": torch.ones(1)}, "meta": {"Lw": {"sfm": {"ss": whitening}}}}, path
    )


def _npz(path, m, projection):
    with path.open("wb") as file:
        np.savez(file, m=m, P=projection)


def _tensors(path, m, projection):
    torch.save({"m": torch.from_numpy(m), "P": torch.from_numpy(projection)}, path)


WRITERS = {
    "pickle 2": _pickled(2),
    "pickle 4": _pickled(4),
    "npz": _npz,
    "mat": lambda path, m, p: scipy.io.savemat(path, {"m": m, "P": p}, appendmat=False),
    "mat struct": lambda path, m, p: scipy.io.savemat(
        path, {"Lw": {"m": m, "P": p}}, appendmat=False
    ),
    "mat compressed": lambda path, m, p: scipy.io.savemat(
        path, {"m": m, "P": p}, appendmat=False, do_compression=True
    ),
    "network": _in_meta,
    "tensors": _tensors,
}


@pytest.mark.parametrize("form", WRITERS)
def test_cirtorchs_in_every_form_is_applied_as_it_does(form, rows, tmp_path):
    m, projection = learnt(rows)
    WRITERS[form](tmp_path / "whitening", m, projection)
    found = read_whitening(tmp_path / "whitening")
    assert found.dim == DIM
    np.testing.assert_allclose(found(rows), whitenapply(rows, m, projection), atol=2e-6)
    cut = found.truncate(3)
    np.testing.assert_allclose(cut(rows), whitenapply(rows, m, projection[:3]), atol=2e-6)


@pytest.fixture
def vissl(monkeypatch, rows):
    """VISSL's PCA of these rows as it pickles one, and what its `apply` gives."""
    name = "vissl.utils.instance_retrieval_utils.pca"
    parts = name.split(".")
    for i in range(1, len(parts) + 1):
        monkeypatch.setitem(sys.modules, ".".join(parts[:i]), types.ModuleType(".".join(parts[:i])))
    kind = type("PCA", (), {"__module__": name})
    sys.modules[name].PCA = kind
    x = rows.astype(np.float64)
    mean = x.mean(axis=0)
    values, vectors = np.linalg.eigh((x - mean).T @ (x - mean))
    values = np.maximum(values, values.max() * 1e-5)[::-1][:DIM]
    pca = kind()
    pca.n_components, pca.mean = DIM, torch.from_numpy(mean).view(1, -1)
    projection = np.diag(values**-0.5) @ vectors[:, ::-1][:, :DIM].T
    pca.DVt = torch.from_numpy(projection)
    applied = (x - mean) @ projection.T
    return pickle.dumps(pca), applied / np.linalg.norm(applied, axis=1, keepdims=True)


def test_vissls_pca_is_read_without_vissl(vissl, rows, tmp_path, monkeypatch):
    (tmp_path / "pca.pkl").write_bytes(vissl[0])
    monkeypatch.undo()
    assert "vissl" not in sys.modules
    np.testing.assert_allclose(read_whitening(tmp_path / "pca.pkl")(rows), vissl[1], atol=2e-6)


@pytest.mark.parametrize("whiten", [True, False])
def test_scikit_learns_pca(whiten, rows, tmp_path):
    fitted = PCA(n_components=DIM, whiten=whiten).fit(rows)
    (tmp_path / "pca.pkl").write_bytes(pickle.dumps(fitted))
    expected = fitted.transform(rows)
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    np.testing.assert_allclose(read_whitening(tmp_path / "pca.pkl")(rows), expected, atol=1e-5)


def test_our_own_comes_back(rows, tmp_path):
    fitted = PCAWhitening.fit(rows, DIM, power=0.25)
    fitted.save(tmp_path / "w.npz")
    np.testing.assert_array_equal(read_whitening(tmp_path / "w.npz")(rows), fitted(rows))


def test_one_of_several_is_named_by_its_keys(rows, tmp_path):
    m, projection = learnt(rows)
    several = {"sfm": {"ss": {"m": m, "P": projection}, "ms": {"m": m, "P": projection[:3]}}}
    (tmp_path / "w.pkl").write_bytes(pickle.dumps(several))
    with pytest.raises(UserError, match=r"2 whitenings: sfm\.ss, sfm\.ms\. .*w\.pkl#sfm\.ss"):
        read_whitening(tmp_path / "w.pkl")
    assert read_whitening(f"{tmp_path / 'w.pkl'}#sfm.ms").dim == 3
    assert read_whitening(f"{tmp_path / 'w.pkl'}#ms").dim == 3
    with pytest.raises(UserError, match="no whitening under 'xs'"):
        read_whitening(f"{tmp_path / 'w.pkl'}#xs")


class Hostile:
    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return os.system, (f"touch {self.marker}",)


def _mat(**variables):
    stream = io.BytesIO()
    scipy.io.savemat(stream, variables)
    return stream.getvalue()


def _lying_mat(rows, columns):
    """A .mat whose P claims another shape than it has numbers for."""
    content = _mat(m=np.ones((3, 1)), P=np.ones((4, 3)))
    shape = np.array([4, 3], "<i4").tobytes()
    assert content.count(shape) == 1
    return content.replace(shape, np.array([rows, columns], "<i4").tobytes())


def _pickle(**arrays):
    return pickle.dumps(arrays)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (_pickle(m=np.ones(3)), "holds no whitening"),
        (_pickle(m=np.ones(3), P=np.ones((3, 4))), r"P must be \[dimensions, 3\].*transposed"),
        (_pickle(m=np.ones(3), P=np.ones(3)), r"P must be \[dimensions, 3\]"),
        (_pickle(m=np.ones(3), P=np.full((2, 3), np.nan)), "P is empty or holds NaN"),
        (_pickle(m=np.ones(3), P="abc"), "P is no array of numbers"),
        (_pickle(m=np.ones(0), P=np.ones((2, 0))), "m is empty"),
        (_pickle(m=[[1], [2, 3]], P=np.ones((2, 3))), "m is no array"),
        (_mat(m=np.ones((3, 1)), P=np.ones((3, 4))), "transposed"),
        (_mat(Q=np.ones((3, 1))), "holds no whitening"),
        (_lying_mat(400, 300), "cannot be read as a .mat file"),
        (_lying_mat(2**30, 2**30), "claims the shape"),
        (_lying_mat(-4, 3), "claims the shape"),
        (_mat(m=np.ones((3, 1)), P=np.ones((4, 3)))[:200], "cannot be read as a .mat file"),
        (b"MATLAB 7.3 MAT-file" + bytes(500) + b"\x89HDF\r\n\x1a\n", r"HDF5 .*'-v7'"),
        (b"\x89HDF\r\n\x1a\n" + bytes(500), "HDF5"),
        (b"not a whitening\n", "is a text file"),
        (b"", "is empty"),
    ],
)
def test_what_is_no_whitening_is_refused_in_a_sentence(content, sentence, tmp_path):
    (tmp_path / "w").write_bytes(content)
    with pytest.raises(UserError, match=sentence):
        read_whitening(tmp_path / "w")


@pytest.mark.parametrize("protocol", [2, 4])
def test_a_malicious_object_runs_nothing(protocol, tmp_path):
    marker = tmp_path / "it-ran"
    for place in ({"m": np.ones(3), "P": Hostile(marker)}, {"m": np.ones(3), "x": Hostile(marker)}):
        (tmp_path / "w").write_bytes(pickle.dumps(place, protocol))
        with pytest.raises(UserError, match=r"posix\.system.*nothing in it was run"):
            read_whitening(tmp_path / "w")
    objects = np.empty((1, 1), object)
    objects[0, 0] = "x"
    (tmp_path / "w").write_bytes(_mat(m=objects, P=np.ones((2, 1))))
    with pytest.raises(UserError, match="m is no array of numbers"):
        read_whitening(tmp_path / "w")
    assert not marker.exists()


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(UserError, match=r"neither 'learnt', 'checkpoint' nor a file"):
        read_whitening(tmp_path / "absent.pkl")


def test_descriptors_of_ones_own_are_whitened_by_it(rows, tmp_path):
    m, projection = learnt(rows)
    _pickled(3)(tmp_path / "w.pkl", m, projection)
    np.save(tmp_path / "database.npy", rows[:30] * 3)
    np.save(tmp_path / "queries.npy", rows[30:] * 3)
    gnd = [{"ok": [i], "junk": []} for i in range(10)]
    names = {"imlist": [f"{i}" for i in range(30)], "qimlist": [f"q{i}" for i in range(10)]}
    (tmp_path / "gnd.json").write_text(json.dumps({**names, "gnd": gnd}))
    files = [tmp_path / "database.npy", tmp_path / "queries.npy", tmp_path / "gnd.json"]

    def found(**settings):
        workdir = str(tmp_path / "workdir")
        given = Settings(
            workdir=workdir, ranking=("G",), whitening=str(tmp_path / "w.pkl"), **settings
        )
        return run_given(*files, settings=given, report=False)

    for dim in (None, 3):
        results = found(pca_dim=dim)
        white = whitenapply(rows, m, projection[:dim])
        order = np.argsort(-white[30:] @ white[:30].T, axis=1)
        ranks = [int(np.flatnonzero(order[i] == i)[0]) for i in range(10)]
        # One positive at rank r, 0-based: the mean of the precisions before and at it.
        expected = np.mean([1 if r == 0 else 0.5 / (r + 1) for r in ranks])
        assert results.figures[0]["map"] == pytest.approx(expected)
        assert results.figures[0]["dim"] == (dim or DIM)
        assert any(str(tmp_path / "w.pkl") in note for note in results.notes)
    with pytest.raises(UserError, match="Cannot cut a whitening of 5 dimensions to 6"):
        found(pca_dim=6)


def test_a_floor_of_the_variances_is_vissls():
    draw = np.random.default_rng(2)
    rows = draw.standard_normal((30, 6)) * np.array([1, 1, 1, 1e-4, 1e-4, 1e-5])
    fitted = PCAWhitening.fit(rows, 6, floor=1e-5)
    values = np.linalg.eigvalsh(np.cov(rows.T, bias=True))[::-1]
    np.testing.assert_allclose(fitted.variance, np.maximum(values, 1e-5 * values[0]), rtol=1e-6)
    assert (values < 1e-5 * values[0]).sum() == 3
    plain = PCAWhitening.fit(rows, 6)
    np.testing.assert_array_equal(plain.components, fitted.components)
    assert plain.variance[-1] < fitted.variance[-1]


@pytest.mark.parametrize("floor", [-0.1, 1.0])
def test_a_floor_out_of_range_is_refused(floor):
    with pytest.raises(UserError, match="whitening_floor"):
        Settings(whitening_floor=floor)


def test_a_whitening_and_no_whitening_do_not_go_together(tmp_path):
    with pytest.raises(UserError, match="leave out one of the two"):
        Settings(whitening=str(tmp_path / "w.pkl"), pca_dim="true")
