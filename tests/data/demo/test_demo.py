"""The embedded dataset: complete, the same everywhere, made once, hard in the way it says."""

import numpy as np
import pytest
from PIL import Image

from jaxret.data import load
from jaxret.data.demo import build
from jaxret.data.demo.rephotograph import rephotograph
from jaxret.data.images.decode import decode
from jaxret.data.photographs import GROUND_TRUTH_FILE
from jaxret.errors import UserError


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder in which the demo has been made."""
    folder = tmp_path_factory.mktemp("datasets")
    build.load(folder)
    return folder


def test_holds_what_it_says(place):
    dataset = load("demo", place)
    assert (len(dataset.database), len(dataset.queries)) == (184, 32)
    assert dataset.protocols == ("easy", "medium", "hard")
    assert (dataset.name, dataset.on_bad_image, dataset.image_size) == ("demo", "fail", 320)
    for name, box, truth in zip(
        dataset.queries.names, dataset.queries.boxes, dataset.ground_truth, strict=True
    ):
        instance = name.split("/")[0]
        for label, count in (("easy", 4), ("hard", 5), ("junk", 1)):
            shown = [dataset.database.names[i] for i in truth[label]]
            assert len(shown) == count
            assert all(s.startswith(f"{instance}/") and label in s for s in shown)
        assert box[0] < box[2] and box[1] < box[3]


def test_every_photograph_is_one(place):
    dataset = load("demo", place)
    for split in (dataset.database, dataset.queries):
        for index, name in enumerate(split.names):
            image = decode(split.read(index), name)
            assert sorted(image.size) == [336, 448]
            assert np.asarray(image.convert("L")).std() > 1, f"{name} shows nothing"


def test_is_made_once(place, monkeypatch):
    monkeypatch.setattr(build, "make", lambda folder: pytest.fail("made again"))
    build.load(place)


def test_half_made_is_not_taken_for_whole(tmp_path, monkeypatch):
    def killed(folder):
        (folder / "astronaut").mkdir()
        raise KeyboardInterrupt

    monkeypatch.setattr(build, "make", killed)
    with pytest.raises(KeyboardInterrupt):
        build.load(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_made_by_another_process_meanwhile(tmp_path, monkeypatch):
    def make(folder):
        (folder / GROUND_TRUTH_FILE).write_text("ours")
        whole = tmp_path / folder.name[1:].rsplit("-", 1)[0]
        whole.mkdir()
        (whole / GROUND_TRUTH_FILE).write_text("theirs")

    monkeypatch.setattr(build, "make", make)
    monkeypatch.setattr(build, "load_folder", lambda folder: (_ for _ in ()).throw(LookupError))
    with pytest.raises(LookupError):
        build.load(tmp_path)
    (whole,) = tmp_path.iterdir()
    assert (whole / GROUND_TRUTH_FILE).read_text() == "theirs"


def test_place_that_cannot_be_written_is_said(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="--data_dir"):
        build.load(tmp_path / "file")


def test_missing_photograph_is_said():
    with pytest.raises(UserError, match="pip install --force-reinstall scikit-image"):
        build._installed("skimage/data/no_such.png")


def test_a_seed_is_a_picture():
    source = build._source(build.INSTANCES["coffee"][0][0])
    box = build.INSTANCES["coffee"][1]
    first, again, other = (rephotograph(source, box, build.FAR, s)[0] for s in ("a", "a", "b"))
    assert first == again != other


def test_box_follows_the_object():
    """A red object on grey: after the change the red pixels still fill the returned box."""
    source = Image.new("RGB", (400, 300), (128, 128, 128))
    source.paste((255, 0, 0), (150, 100, 250, 200))
    for strength in (build.QUERY, build.AFAR):
        for seed in "abc":
            encoded, box = rephotograph(source, (150, 100, 250, 200), strength, seed)
            pixels = np.asarray(decode(encoded, "x")).astype(int)
            red = (pixels[..., 0] - pixels[..., 1:].max(axis=-1)) > 60
            ys, xs = np.nonzero(red)
            found = np.array([xs.min(), ys.min(), xs.max() + 1, ys.max() + 1])
            assert np.abs(found - box).max() <= 6


def test_made_again_it_is_the_same(place, tmp_path, monkeypatch):
    monkeypatch.setattr(build, "INSTANCES", {"astronaut": build.INSTANCES["astronaut"]})
    build.make(tmp_path)
    (whole,) = place.iterdir()
    files = sorted(path.relative_to(tmp_path) for path in tmp_path.glob("*/*.jpg"))
    assert len(files) == 12 + 24
    for file in files:
        assert (tmp_path / file).read_bytes() == (whole / file).read_bytes()
