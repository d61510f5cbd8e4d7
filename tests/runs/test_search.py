"""One photograph against a folder without ground truth; what is kept between searches."""

import dataclasses
import shutil
from pathlib import Path

import pytest
from PIL import Image
from skimage import data as photographs

import jaxret
from jaxret.data.images.decode import BadImage
from jaxret.descriptors import extraction as extraction
from jaxret.errors import UserError
from jaxret.runs.search import as_found, search

SIDE = 96
THINGS = ("astronaut", "chelsea", "coffee")


@pytest.fixture
def folder(tmp_path):
    """Three things, four views of each, no ground truth."""
    folder = tmp_path / "my photographs"
    folder.mkdir()
    for name in THINGS:
        whole = Image.fromarray(getattr(photographs, name)())
        for view in range(4):
            left, top = 10 * view, 5 * view
            whole.crop((left, top, whole.width, whole.height)).save(folder / f"{name}_{view}.jpg")
    return folder


@pytest.fixture
def query(tmp_path):
    """Another view of the cat, beside the folder."""
    whole = Image.fromarray(photographs.chelsea())
    whole.crop((45, 30, whole.width - 5, whole.height)).save(tmp_path / "cat.jpg")
    return tmp_path / "cat.jpg"


@pytest.fixture
def settings(folder, tmp_path):
    plain = jaxret.Settings(
        dataset=str(folder), workdir=str(tmp_path / "workdir"), image_size=SIDE, pca_dim=4
    )
    return as_found(plain)


@pytest.fixture
def passes(monkeypatch):
    """Names of the photographs that the encoder sees."""
    seen = []
    plain = extraction.Describer.all

    def counted(self, split, positions, *others):
        for batch, vectors in plain(self, split, positions, *others):
            seen.extend(split.names[int(i)] for i in batch.indices)
            yield batch, vectors

    monkeypatch.setattr(extraction.Describer, "all", counted)
    return seen


@pytest.mark.slow
def test_the_same_thing_comes_first_with_its_likeness(settings, query, tmp_path):
    found = search(settings, query)
    assert len(found.names) == 10
    assert all(name.startswith("chelsea") for name in found.names[:4])
    assert sorted(found.similarities, reverse=True) == list(found.similarities)
    assert -1.001 <= found.similarities[-1] <= found.similarities[0] <= 1.001
    page = (tmp_path / "workdir" / "report.html").read_text()
    assert "cat.jpg" in page
    assert page.count("data:image/jpeg;base64,") >= 11
    assert "There are no figures" in page
    assert "Search for cat.jpg in my photographs" in page


def test_only_new_and_changed_photographs_are_described(settings, folder, query, passes):
    search(settings, query, report=False)
    assert len(passes) == 13
    del passes[:]
    again = search(settings, query, report=False)
    assert not passes
    assert any("All 12 photographs were reused" in note for note in again.results.notes)

    shutil.copy(folder / "coffee_0.jpg", folder / "a copy.jpg")
    (folder / "astronaut_3.jpg").rename(folder / "zzz.jpg")
    (folder / "coffee_1.jpg").unlink()
    Image.fromarray(photographs.rocket()).save(folder / "rocket.png")
    Image.fromarray(photographs.moon()).save(folder / "chelsea_2.jpg")
    changed = search(settings, query, top=20, report=False)
    assert sorted(passes) == ["chelsea_2.jpg", "rocket.png"]
    assert len(changed.names) == 13
    assert set(changed.names[:3]) == {f"chelsea_{view}.jpg" for view in (0, 1, 3)}

    fresh = search(
        dataclasses.replace(settings, workdir=settings.workdir + "2"), query, top=20, report=False
    )
    assert fresh.names == changed.names
    assert fresh.similarities == pytest.approx(changed.similarities, abs=1e-5)


@pytest.mark.slow
def test_what_the_folder_holds_does_not_move_batch_norm_unless_asked(settings, query, passes):
    search(dataclasses.replace(settings, bn_recalibration="ema"), query, report=False)
    del passes[:]
    search(settings, query, report=False)
    assert len(passes) == 13  # another encoder: nothing of the recalibrated one is taken


@pytest.mark.parametrize("ranking", ["G+AQE", "G+DFS"])
def test_every_ranking_can_search(settings, query, ranking):
    ranked = dataclasses.replace(settings, ranking=(ranking,), aqe_n=2, dfs_kd=4, dfs_kq=2)
    assert search(ranked, query, report=False).names[0].startswith("chelsea")


def test_without_pca_the_likeness_is_that_of_r_mac_alone(settings, query):
    plain = search(dataclasses.replace(settings, pca_dim="true"), query, report=False)
    assert min(plain.similarities) > 0  # maxima after ReLU6 are never negative
    assert plain.similarities != search(settings, query, report=False).similarities


def test_a_box_asks_for_a_part_and_is_drawn(settings, query):
    whole = search(settings, query, report=False)
    part = search(settings, query, (0, 0, 60, 60), report=False)
    assert part.similarities != whole.similarities


def test_an_unreadable_photograph_of_the_folder_is_named_and_left_out(settings, folder, query):
    (folder / "broken.jpg").write_bytes(b"no picture")
    for _ in range(2):
        found = search(settings, query, top=20, report=False)
        assert len(found.names) == 12
        assert found.results.datasets[0]["skipped"] == ["broken.jpg"]
        assert any("broken.jpg" in note for note in found.results.notes)


def test_bad_queries_are_refused_in_a_sentence(settings, query, tmp_path):
    (tmp_path / "text.jpg").write_text("no picture")
    for wrong in ("text.jpg", "absent.jpg"):
        with pytest.raises(BadImage, match=wrong):
            search(settings, tmp_path / wrong)
    with pytest.raises(UserError, match="does not lie inside"):
        search(settings, query, (0, 0, 5000, 10))
    assert not (tmp_path / "workdir").exists()


def test_a_folder_without_ground_truth_runs_with_all_but_the_metrics(settings, folder, passes):
    results = jaxret.run(dataclasses.replace(settings, ranking=("G",)))
    assert not results.figures
    assert results.datasets[0]["queries"] == 10
    assert any("has no ground truth" in note for note in results.datasets[0]["notes"])
    assert len(passes) == 12  # its own photographs are the queries: none is described twice
    page = (Path(settings.workdir) / "report.html").read_text()
    assert "coffee_0.jpg" in page
    assert "✗" not in page


def test_a_folder_called_like_a_benchmark_is_told_from_it(settings, folder, tmp_path):
    named = folder.rename(tmp_path / "oxford5k")
    changed = dataclasses.replace(settings, dataset=str(named), ranking=("G",))
    [row] = jaxret.run(changed, report=False).datasets
    assert row["name"] == str(named)
