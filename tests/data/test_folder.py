"""Folders of one's own, with a gnd.json and without."""

import json
import os

import pytest
from photographs import encode, noise

from jaxret.data import load, names
from jaxret.data.folder import load_folder
from jaxret.data.photographs import find_photographs
from jaxret.errors import UserError

TRUTH = {
    "imlist": ["tower/1.jpg", "tower/2", "bridge/1.jpg"],
    "qimlist": ["tower/3.jpg", "bridge/2.webp"],
    "gnd": [
        {"bbx": [2, 3, 20, 14], "easy": [0], "hard": [1], "junk": []},
        {"bbx": None, "easy": [], "hard": [2], "junk": [0]},
    ],
}


@pytest.fixture
def folder(tmp_path):
    for file in ("tower/1.jpg", "tower/2.png", "tower/3.jpg", "bridge/1.jpg", "bridge/2.webp"):
        (tmp_path / file).parent.mkdir(exist_ok=True)
        form = {"jpg": "JPEG", "png": "PNG", "webp": "WEBP"}[file.rsplit(".")[-1]]
        (tmp_path / file).write_bytes(encode(noise(24, 16), form))
    write(tmp_path, TRUTH)
    return tmp_path


def write(folder, truth):
    (folder / "gnd.json").write_text(json.dumps(truth))


def changed(**changes):
    return {**TRUTH, **changes}


def test_with_ground_truth(folder):
    dataset = load(folder)
    assert dataset.database.names == ("tower/1.jpg", "tower/2.png", "bridge/1.jpg")
    assert dataset.queries.boxes == ((2, 3, 20, 14), None)
    assert dataset.ground_truth[1]["junk"] == [0]
    assert dataset.protocols == ("easy", "medium", "hard")
    assert (dataset.name, dataset.on_bad_image) == (folder.name, "skip")
    assert dataset.image_size is None


def test_with_classic_ground_truth(folder):
    write(folder, changed(gnd=[{"ok": [0], "junk": []}, {"ok": [2], "junk": [1]}]))
    assert load(str(folder)).protocols == ("classic",)


def test_without_it_is_refused_with_an_example(folder):
    (folder / "gnd.json").unlink()
    with pytest.raises(UserError) as raised:
        load(folder)
    example = str(raised.value)
    example = json.loads(example[example.index('{"imlist"') :])
    assert example.keys() == TRUTH.keys()
    write(folder, example)  # the example is a true one: only its photographs are not there
    with pytest.raises(UserError, match="not there"):
        load(folder)


def test_without_it_all_photographs_are_database(folder):
    (folder / "gnd.json").unlink()
    dataset = load(folder, require_ground_truth=False)
    assert dataset.database.names == (
        "bridge/1.jpg",
        "bridge/2.webp",
        "tower/1.jpg",
        "tower/2.png",
        "tower/3.jpg",
    )
    assert len(dataset.queries) == 0 and dataset.ground_truth is None and not dataset.protocols


def test_photographs_that_are_not_there(folder):
    write(folder, changed(imlist=["tower/1.jpg", "towr/2.png", "bridge/1.jpg"]))
    with pytest.raises(UserError, match=r"1 of the 3 .*imlist.*'towr/2.png'.*Nearest.*tower/2.png"):
        load(folder)
    write(folder, changed(qimlist=["a", "b"]))
    with pytest.raises(UserError, match=r"2 of the 2 .*qimlist.*'a', 'b'"):
        load(folder)


def test_link_to_nothing_is_for_the_reader_to_tell(folder):
    (folder / "bridge/1.jpg").unlink()
    (folder / "bridge/1.jpg").symlink_to("nowhere")
    assert len(load(folder).database) == 3


@pytest.mark.parametrize("box", [[2, 3, 40, 14], [2, 3, 20, 140]])
def test_box_outside_of_its_photograph(folder, box):
    write(folder, changed(gnd=[{**TRUTH["gnd"][0], "bbx": box}, TRUTH["gnd"][1]]))
    with pytest.raises(UserError, match=r"tower/3\.jpg.*24 x 16"):
        load(folder)


def test_index_out_of_range(folder):
    write(folder, changed(gnd=[{**TRUTH["gnd"][0], "hard": [3]}, TRUTH["gnd"][1]]))
    with pytest.raises(UserError, match=r"tower/3\.jpg.*hard.*3"):
        load(folder)


def test_unreadable_query_is_left_to_the_loader(folder):
    (folder / "tower/3.jpg").write_bytes(b"")
    assert len(load(folder).queries) == 2


def test_finds_what_is_a_photograph_by_its_ending(tmp_path):
    passed_over = ("a.txt", ".hidden.jpg", ".thumbs/1.jpg", "b/._1.jpg")
    for file in ("b/2.JPG", "b/1.jpeg", "a.png", *passed_over):
        (tmp_path / file).parent.mkdir(exist_ok=True)
        (tmp_path / file).write_bytes(b"")
    (tmp_path / "c.jpg").mkdir()
    (tmp_path / "c.jpg" / "inside.webp").write_bytes(b"")
    (tmp_path / "link.tif").symlink_to("nowhere")
    expected = ["a.png", "b/1.jpeg", "b/2.JPG", "c.jpg/inside.webp", "link.tif"]
    assert list(find_photographs(tmp_path)) == expected


def test_links_in_a_circle_end(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "1.jpg").write_bytes(b"")
    (tmp_path / "a" / "up").symlink_to(tmp_path, target_is_directory=True)
    (tmp_path / "far").symlink_to(tmp_path / "a", target_is_directory=True)
    assert list(find_photographs(tmp_path)) == ["a/1.jpg"]


def test_no_photographs_and_no_folder(tmp_path):
    with pytest.raises(UserError, match=r"no photographs \(\.jpg"):
        load(tmp_path, require_ground_truth=False)
    with pytest.raises(UserError, match="is no folder"):
        load_folder(tmp_path / "x")


@pytest.mark.parametrize(
    ("wanted", "first"), [("dem", "demo"), ("roxfrd", "roxford5k"), ("./no/such", None), ("", None)]
)
def test_unknown_name_lists_the_known_nearest_first(wanted, first):
    with pytest.raises(UserError) as raised:
        load(wanted)
    sentence = str(raised.value)
    assert all(name in sentence for name in names()) and "gnd.json" in sentence
    if first:
        listed = sentence.split("nearest first: ")[1]
        assert listed.startswith(first)


def test_distractors_are_not_for_folders(folder):
    with pytest.raises(UserError, match="revisitop1m goes with"):
        load(folder, distractors="revisitop1m")


def test_home_is_known(folder, monkeypatch):
    monkeypatch.setenv("HOME", os.fspath(folder.parent))
    assert len(load(f"~/{folder.name}").database) == 3


def test_a_real_folder(shared_data):
    dataset = load(shared_data / "demo")
    assert (len(dataset.database), len(dataset.queries)) == (167, 21)
    assert dataset.queries.boxes.count(None) < 21
