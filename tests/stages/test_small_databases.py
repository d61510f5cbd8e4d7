"""A database too small to learn a whitening from is searched without one."""

import numpy as np
import pytest
from photographs import noise
from PIL import Image
from skimage import data as photographs

import jaxret
from jaxret import defaults
from jaxret.runs.search import as_found, search
from jaxret.stages.whitening import _different, pca_dim, unbearable

LEAST = defaults.PCA_PHOTOGRAPHS


@pytest.mark.parametrize("rows", [1, 2, 7, LEAST - 1])
def test_none_is_learnt_and_the_note_says_so(rows):
    dim, [note] = pca_dim(None, rows, 1280)
    assert dim is None
    assert f"not whitened: the database holds {rows} different photographs" in note
    assert pca_dim(1, rows, 1280) == (1, ())  # asked for, it is tried all the same


@pytest.mark.parametrize(
    ("rows", "dim"), [(LEAST, 8), (63, 8), (64, 16), (128, 32), (184, 32), (2047, 256), (2048, 512)]
)
def test_from_there_on_one_is_learnt(rows, dim):
    assert pca_dim(None, rows, 1280)[0] == dim
    assert pca_dim(None, rows, 8)[0] == min(dim, 8)


def test_copies_do_not_count():
    rows = np.random.default_rng(0).standard_normal((6, 4)).astype(np.float32)
    assert _different(np.repeat(rows, 40, axis=0)) == 6
    assert _different(rows + np.float32(1e-7)) == 6


def test_the_sentence_about_a_dimension_names_the_way_out():
    assert "--pca_dim may be 1 to min(N - 1, C) = 4, or true for no" in unbearable(9, 5, 8)
    assert "--pca_dim can only be true" in unbearable(1, 1, 8)
    assert not unbearable(None, 1, 8) and not unbearable("true", 1, 8)


def _seven_things(folder):
    names = (
        "astronaut",
        "chelsea",
        "coffee",
        "rocket",
        "colorwheel",
        "retina",
        "hubble_deep_field",
    )
    for name in names:
        try:
            pixels = getattr(photographs, name)()
        except Exception:  # not in scikit-image's wheel: another thing
            pixels = np.asarray(noise(200, 200, seed=len(name)))
        Image.fromarray(pixels).convert("RGB").resize((200, 200)).save(folder / f"{name}.png")


def _nine_copies(folder):
    for number in range(9):
        Image.fromarray(photographs.chelsea()).save(folder / f"{number}_chelsea.png")


def _one(folder):
    Image.fromarray(photographs.chelsea()).save(folder / "chelsea.png")


@pytest.mark.slow
@pytest.mark.parametrize("fill", [_seven_things, _nine_copies, _one])
@pytest.mark.parametrize("ranking", ["G", "G+AQE", "G+DBA", "G+DFS"])
def test_a_small_folder_is_searched(tmp_path, fill, ranking):
    folder = tmp_path / "folder"
    folder.mkdir()
    fill(folder)
    cat = Image.fromarray(photographs.chelsea())
    cat.crop((30, 20, cat.width - 20, cat.height)).save(tmp_path / "query.jpg")
    settings = jaxret.Settings(
        dataset=str(folder), workdir=str(tmp_path / "w"), image_size=96, ranking=(ranking,)
    )
    found = search(as_found(settings), tmp_path / "query.jpg")
    count = len(list(folder.iterdir()))
    assert len(found.names) == count
    assert np.abs(found.similarities).max() < 0.9999
    if "DFS" not in ranking:  # which walks over all seven: each is a neighbour of each
        assert "chelsea" in found.names[0] and found.similarities[0] > 0.5
    assert any("not whitened" in note for note in found.results.notes)


@pytest.mark.slow
def test_a_small_folder_is_evaluated(tmp_path):
    folder = tmp_path / "folder"
    folder.mkdir()
    _nine_copies(folder)
    results = jaxret.run(
        jaxret.Settings(
            dataset=str(folder), workdir=str(tmp_path / "w"), image_size=64, ranking=("G",)
        )
    )
    assert any("not whitened" in note for note in results.notes)
