"""Search by an upload: the same results as the command's, the index first, two users at once."""

import dataclasses
import threading
import time

import numpy as np
import pytest
from things import THINGS, VIEWS, view

from jaxret.descriptors import extraction
from jaxret.explore.searching import K_RECIPROCAL, RANKINGS, SUPERGLOBAL
from jaxret.runs.search import search

pytest.importorskip("uvicorn", reason="the extra explore is not installed")


def last(steps):
    found = [step for step in steps if "numbers" in step]
    assert found, steps
    return found[-1]


@pytest.fixture
def entry(server):
    return server.entry(seed=0)


@pytest.mark.parametrize("ranking", ["G", "G+AQE", "G+DFS"])
@pytest.mark.parametrize("box", [None, [20, 15, 140, 100]])
def test_results_are_those_of_the_command(server, entry, settings, tmp_path, ranking, box):
    photograph = tmp_path / "mine.jpg"
    photograph.write_bytes(view("rocket", VIEWS + 1))
    asked = dataclasses.replace(settings[0], ranking=(ranking,), query_crop="bbox")
    expected = search(asked, photograph, box and tuple(box), top=16, report=False)

    steps = server.search(server.upload(photograph.read_bytes()), entry, ranking, box)
    found = last(steps)
    assert [step["ranking"] for step in steps if "numbers" in step] == list(
        dict.fromkeys(["G", ranking])
    )
    assert found["names"] == list(expected.names)
    np.testing.assert_allclose(found["similarities"], expected.similarities, atol=1e-5)


@pytest.mark.parametrize(
    "ranking",
    [
        pytest.param(one, marks=[pytest.mark.slow] * (one in (SUPERGLOBAL, K_RECIPROCAL)))
        for one in RANKINGS
    ],
)
def test_every_ranking_finds_the_thing_first(server, entry, ranking):
    found = last(server.search(server.upload(view("chelsea", VIEWS + 1)), entry, ranking))
    assert found["ranking"] == ranking and found["of"] == len(THINGS) * VIEWS
    assert found["names"][0].startswith("chelsea/")
    assert sorted(found["numbers"]) == list(range(found["of"]))


def test_what_cannot_be_searched_with_is_said(server, entry):
    token = server.upload(view("coffee", 0), "cup.jpg")
    for box in ([0, 0, 161, 120], [50, 50, 20, 60], [-1, 0, 10, 10]):
        [step] = server.search(token, entry, "G", box)
        assert "does not lie inside 'cup.jpg', which has 160x120 pixels" in step["error"]
    [step] = server.search(token, entry, "G+DBA")
    assert "There is no ranking 'G+DBA' here" in step["error"]
    for body in (b"[]", b"no", b'{"entry": 1}', b"[" * 9000):
        assert server.error("/api/search", "POST", body)[0] in (400, 404)
    huge = f"[0, 0, 1, 1{'0' * 400}]"
    for wrong in ("[1, 2, 3]", '"box"', "5", "[1, 2, 3, null]", "[NaN, 0, 1, 1]", huge):
        body = f'{{"entry": "{entry}", "photograph": "{token}", "box": {wrong}, "ranking": "G"}}'
        status, _, text = server.request("POST", "/api/search", body)
        assert status == 400 or b"does not lie inside" in text


def test_two_users_at_once_each_find_their_own(server):
    found = {}

    def user(thing, seed):
        token = server.upload(view(thing, VIEWS + 1), f"{thing}.jpg")
        entry = server.entry(seed=seed)
        for _ in range(4):
            found.setdefault(thing, []).append(last(server.search(token, entry))["names"][0])

    users = [threading.Thread(target=user, args=one) for one in (("astronaut", 0), ("rocket", 1))]
    for one in users:
        one.start()
    for one in users:
        one.join()
    assert {thing: {name.split("/")[0] for name in names} for thing, names in found.items()} == {
        "astronaut": {"astronaut"},
        "rocket": {"rocket"},
    }
    assert all(len(names) == 4 for names in found.values())


def wait(server, entry):
    for _ in range(400):
        state = server.json(f"/api/index?entry={entry}")
        if state["state"] != "making":
            return state
        time.sleep(0.05)
    raise AssertionError("it does not end")


def test_an_index_is_made_when_it_is_asked_for_and_counted(server, monkeypatch):
    entry = server.entry(evaluated=False, seed=0)
    path = f"/api/index?entry={entry}"
    assert server.json(path) == {"state": "absent", "done": 0, "total": 6}
    token = server.upload(view("chelsea", VIEWS + 1))
    refused = server.search(token, entry)[-1]["error"]
    assert "6 photographs of holiday are not described" in refused

    goes_on = threading.Event()
    plain = extraction.Describer.all

    def slow(self, *given):
        for one in plain(self, *given):
            assert goes_on.wait(20)
            yield one

    monkeypatch.setattr(extraction.Describer, "all", slow)
    assert server.json(path, "POST")["state"] == "making"
    assert server.json(path)["total"] == 6
    server.json(path + "&stop=1", "POST")
    goes_on.set()
    assert wait(server, entry)["state"] == "stopped"

    assert server.json(path, "POST")["total"] == 6
    assert wait(server, entry) == {"state": "ready", "done": 0, "total": 0}
    names = last(server.search(token, entry))["names"]
    assert names[0].startswith("chelsea ") and len(names) == 6


def test_the_folder_of_a_result_is_told_and_not_asked_for_by_path(server, entry, folder):
    assert server.json(f"/api/folder?entry={entry}&number=0") == {"folder": str(folder / THINGS[0])}
    assert server.error(f"/api/folder?entry={entry}&number=99")[0] == 404
