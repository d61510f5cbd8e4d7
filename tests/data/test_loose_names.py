"""Names that differ from their files' by case, Unicode form, slashes or ending."""

import json
import unicodedata

import pytest
from photographs import encode, noise

from jaxret.data import load
from jaxret.data.loose_names import LooseNames, split_name
from jaxret.data.query import query_split
from jaxret.errors import UserError

NFC, NFD = (unicodedata.normalize(form, "Café") for form in ("NFC", "NFD"))


@pytest.mark.parametrize(
    ("name", "file"),
    [
        (f"{NFC}/1.jpg", f"{NFD}/1.jpg"),
        (f"{NFD}/1.jpg", f"{NFC}/1.jpg"),
        ("tower/1.jpg", "tower/1.JPG"),
        ("tower/1.JPG", "tower/1.jpg"),
        ("tower/1", "tower/1.JPG"),
        ("tower/1.jpg", "tower/1"),
        ("tower/1.jpg", "tower/1.jpeg"),
        ("Tower/1.jpg", "tower/1.jpg"),
        ("tower\\1.jpg", "tower/1.jpg"),
        (f"TOWER\\{NFD}.JPEG", f"tower/{NFC}.jpg"),
        ("./Tower/1.jpg", "tower/1.jpg"),
        ("STRASSE.png", "straße.PNG"),
        ("\u1fb3.png", "\u1fbc.png"),  # a fold that leaves the composed form
        ("version.1", "Version.1.tif"),
    ],
)
def test_one_file_that_fits_is_taken_and_said_once(tmp_path, name, file):
    (tmp_path / file).parent.mkdir(exist_ok=True)
    for path in (tmp_path / file, tmp_path / "other.jpg"):
        path.write_bytes(encode(noise(9, 7)))
    gnd = [{"easy": [0], "hard": [], "junk": []}]
    truth = {"imlist": [name, "other.jpg"], "qimlist": [name], "gnd": gnd}
    (tmp_path / "gnd.json").write_text(json.dumps(truth))
    dataset = load(tmp_path)
    assert dataset.database.files == (file, "other.jpg") and dataset.queries.files == (file,)
    [note] = dataset.notes
    assert (
        note.startswith("1 names of gnd.json fit a file by all but") and file.split("/")[-1] in note
    )


@pytest.mark.parametrize(
    ("name", "files"),
    [
        ("1.jpg", ("1.JPG", "1.Jpg")),  # two fit
        ("A", ("a.jpg", "a.png")),
        ("1.png", ("1.jpg",)),  # another picture, perhaps
        ("2.jpg", ("1.jpg",)),
        ("Café.jpg", ("Cafe.jpg",)),
    ],
)
def test_several_or_none_are_not_chosen_from(tmp_path, name, files):
    assert LooseNames(lambda: files).find(name) is None
    for file in files:
        (tmp_path / file).write_bytes(encode(noise(9, 7)))
    gnd = [{"easy": [0], "hard": [], "junk": []}]
    truth = {"imlist": [name], "qimlist": [files[0]], "gnd": gnd}
    (tmp_path / "gnd.json").write_text(json.dumps(truth))
    with pytest.raises(UserError, match=r"1 of the 1 photographs in imlist .* not there"):
        load(tmp_path)


def test_the_ending_decides_between_two_files():
    assert LooseNames(lambda: ["a.jpg", "a.png"]).find("A.PNG") == "a.png"


def test_two_names_of_a_database_are_not_one_file(tmp_path):
    (tmp_path / "a.jpg").write_bytes(encode(noise(9, 7)))
    gnd = [{"easy": [0], "hard": [], "junk": []}]
    truth = {"imlist": ["a.jpg", "A.JPG"], "qimlist": ["a.jpg"], "gnd": gnd}
    (tmp_path / "gnd.json").write_text(json.dumps(truth))
    with pytest.raises(UserError, match=r"not there: 'A\.JPG'"):
        load(tmp_path)
    truth["imlist"] = ["A.jpg", "a.JPG"]
    (tmp_path / "gnd.json").write_text(json.dumps(truth))
    with pytest.raises(UserError, match=r"'A.jpg', 'a.JPG'"):
        load(tmp_path)


def test_exact_names_list_no_folder_and_say_nothing(tmp_path, monkeypatch):
    (tmp_path / "a.jpg").write_bytes(encode(noise(9, 7)))
    gnd = [{"easy": [0], "hard": [], "junk": []}]
    truth = {"imlist": ["a.jpg"], "qimlist": ["a.jpg"], "gnd": gnd}
    (tmp_path / "gnd.json").write_text(json.dumps(truth))
    monkeypatch.setattr("jaxret.data.folder.find_photographs", None)
    assert load(tmp_path).notes == ()


@pytest.mark.parametrize("asked", ["photo.JPG", "Photo.jpeg", "photo"])
def test_a_query_is_found_likewise(tmp_path, asked):
    (tmp_path / "photo.jpg").write_bytes(encode(noise(9, 7), "JPEG"))
    assert query_split(tmp_path / asked).names == ("photo.jpg",)


def test_what_loosely_equal_names_have_in_common():
    assert split_name("a/b.c") == ("a/b.c", "")
    assert split_name("a.JPEG") == split_name("A.jpg") == ("a", ".jpg")
