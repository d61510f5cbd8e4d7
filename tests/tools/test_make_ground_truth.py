"""Photographs sorted into folders become a gnd.json that loads."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from jaxret.data import load
from jaxret.data.ground_truth.folders import ground_truth_of_folders
from jaxret.errors import UserError

ROOT = Path(__file__).resolve().parents[2]
TOOL = ROOT / "tools" / "make_ground_truth.py"


def photographs(folder, *files):
    for file in files:
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 6)).save(folder / file)


def run(*arguments):
    command = [sys.executable, str(TOOL), *map(str, arguments)]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}  # installed or not
    return subprocess.run(command, capture_output=True, text=True, check=False, env=env)


def test_command_makes_what_loads(tmp_path):
    photographs(tmp_path, "tower/1.jpg", "tower/2.png", "tower/deep/3.jpg", "bridge/a.jpg")
    photographs(tmp_path, "bridge/b.jpg", "_others/x.jpg", "loose.jpg", "lonely/1.jpg")
    (tmp_path / "tower" / "4.jpg").write_bytes(b"")
    done = run(f"--folder={tmp_path}")
    assert done.returncode == 0, done.stderr
    assert "left out tower/4.jpg: the file is empty" in done.stdout
    assert "lonely: a single photograph" in done.stdout
    dataset = load(tmp_path)
    assert dataset.queries.names == ("bridge/a.jpg", "tower/1.jpg")
    answers = [[dataset.database.names[i] for i in q["ok"]] for q in dataset.ground_truth]
    assert answers == [["bridge/b.jpg"], ["tower/2.png", "tower/deep/3.jpg"]]
    assert {"lonely/1.jpg", "loose.jpg", "_others/x.jpg"} <= set(dataset.database.names)
    assert len(dataset.database) == 6 and dataset.protocols == ("classic",)

    again = run(f"--folder={tmp_path}")
    assert again.returncode == 1 and "--overwrite" in again.stderr
    assert "Traceback" not in again.stderr
    assert run(f"--folder={tmp_path}", "--overwrite").returncode == 0


def test_folders_by_difficulty_make_the_revisited_form(tmp_path):
    photographs(tmp_path, "tower/query/q1.jpg", "tower/query/q2.jpg", "tower/easy/e.jpg")
    photographs(tmp_path, "tower/hard/h.jpg", "tower/junk/j.jpg", "tower/plain.jpg")
    photographs(tmp_path, "bridge/1.jpg", "bridge/2.jpg")
    truth = ground_truth_of_folders(tmp_path).truth
    in_tower = ["tower/easy/e.jpg", "tower/hard/h.jpg", "tower/junk/j.jpg", "tower/plain.jpg"]
    assert truth["imlist"] == ["bridge/2.jpg", *in_tower]
    assert truth["qimlist"] == ["bridge/1.jpg", "tower/query/q1.jpg", "tower/query/q2.jpg"]
    assert truth["gnd"][0] == {"easy": [0], "hard": [], "junk": []}
    assert truth["gnd"][1] == truth["gnd"][2] == {"easy": [1, 4], "hard": [2], "junk": [3]}
    (tmp_path / "gnd.json").write_text(json.dumps(truth))
    assert load(tmp_path).protocols == ("easy", "medium", "hard")


@pytest.mark.parametrize(("asked", "queries"), [(1, 1), (2, 2), (3, 3), (9, 3)])
def test_one_photograph_always_stays_to_be_found(tmp_path, asked, queries):
    photographs(tmp_path, *(f"tower/{i}.jpg" for i in range(4)))
    truth = ground_truth_of_folders(tmp_path, asked).truth
    assert len(truth["qimlist"]) == queries and len(truth["imlist"]) == 4 - queries


def test_query_folder_with_nothing_to_find_stays_in_the_database(tmp_path):
    photographs(tmp_path, "a/query/1.jpg", "a/junk/2.jpg", "b/1.jpg", "b/2.jpg")
    made = ground_truth_of_folders(tmp_path)
    assert made.alone == ["a"] and made.truth["qimlist"] == ["b/1.jpg"]
    assert made.truth["imlist"] == ["a/junk/2.jpg", "a/query/1.jpg", "b/2.jpg"]


def test_nothing_to_find(tmp_path):
    photographs(tmp_path, "1.jpg", "2.jpg", "a/1.jpg", "_b/1.jpg", "_b/2.jpg")
    with pytest.raises(UserError, match="no folder with two photographs"):
        ground_truth_of_folders(tmp_path)
    done = run(f"--folder={tmp_path / 'nowhere'}")
    assert done.returncode == 1 and "is no folder" in done.stderr
