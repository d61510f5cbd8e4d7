"""Stored results: APs, marks, similarities and ranks against what the run and NumPy say."""

import dataclasses
import json
import shutil
import urllib.parse

import numpy as np
import pytest

import jaxret
from jaxret.descriptors import extraction
from jaxret.explore import findings, stored
from jaxret.explore.settings import ExploreSettings
from jaxret.models.encoder import Encoder

pytest.importorskip("uvicorn", reason="the extra explore is not installed")
from exploring import Server


@pytest.fixture
def found(server):
    def found(what, ranking="G", protocol="medium", seed=0, **more):
        asked = {"entry": server.entry(seed=seed), "ranking": ranking, "protocol": protocol, **more}
        return server.json(f"/api/{what}?{urllib.parse.urlencode(asked)}")

    return found


def test_the_catalogue_tells_encoders_of_one_name_apart(server):
    catalogue = server.json("/api/catalogue")
    evaluated = {one["label"]: one["rankings"] for one in catalogue["entries"] if one["rankings"]}
    assert evaluated == {f"tiny (random), seed {seed}": ["G", "G+AQE"] for seed in (0, 1)}
    assert [one["label"] for one in catalogue["datasets"]] == ["things", "holiday"]


@pytest.mark.parametrize("ranking", ["G", "G+AQE"])
@pytest.mark.parametrize("protocol", ["easy", "medium", "hard"])
def test_aps_are_those_of_the_run(evaluated, found, ranking, protocol):
    for seed, results in enumerate(evaluated):
        [figure] = results.select(ranking=ranking, protocol=protocol)
        shown = found("queries", ranking, protocol, seed)
        assert shown["aps"] == figure["ap"]
        assert shown["map"] == figure["map"]
        assert not shown["remade"]


def test_marks_are_those_of_the_ground_truth(folder, found):
    truth = json.loads((folder / "gnd.json").read_text())
    for protocol, right, ignored in (
        ("easy", ["easy"], ["junk", "hard"]),
        ("medium", ["easy", "hard"], ["junk"]),
    ):
        for query, entry in enumerate(truth["gnd"]):
            shown = found("query", protocol=protocol, query=query)
            assert shown["name"] == truth["qimlist"][query]
            assert shown["positives"] == sum(len(entry[key]) for key in right)
            results = shown["results"]
            assert sorted(results["numbers"]) == list(range(len(truth["imlist"])))
            for number, name, mark in zip(
                results["numbers"], results["names"], results["marks"], strict=True
            ):
                assert name == truth["imlist"][number]
                meant = (
                    "correct"
                    if any(number in entry[key] for key in right)
                    else "junk"
                    if any(number in entry[key] for key in ignored)
                    else "wrong"
                )
                assert mark == meant


def test_similarities_are_cosines_in_falling_order(found, settings, evaluated, tmp_path):
    jaxret.run(dataclasses.replace(settings[0], save_descriptors=str(tmp_path)), report=False)
    queries, database = (np.load(tmp_path / f"{name}.npy") for name in ("queries", "database"))
    cosines = np.asarray(database, np.float64) @ np.asarray(queries, np.float64).T
    for query in range(4):
        shown = found("query", query=query)["results"]
        assert shown["similarities"] == sorted(shown["similarities"], reverse=True)
        np.testing.assert_allclose(
            shown["similarities"], cosines[shown["numbers"], query], atol=1e-6
        )


def test_positives_beyond_the_first_results_have_their_rank(found, monkeypatch):
    whole = [found("query", "G+AQE", seed=1, query=query)["results"] for query in range(4)]
    monkeypatch.setattr(findings, "SHOWN", 2)
    beyond = 0
    for query, results in enumerate(whole):
        shown = found("query", "G+AQE", seed=1, query=query)
        assert len(shown["results"]["numbers"]) == 2 and shown["may_be_whole"]
        missed = found("missed", "G+AQE", seed=1, query=query)
        expected = [
            (rank, number)
            for rank, (number, mark) in enumerate(
                zip(results["numbers"], results["marks"], strict=True), 1
            )
            if mark == "correct" and rank > 2
        ]
        assert list(zip(missed["ranks"], missed["numbers"], strict=True)) == expected
        assert len(expected) == shown["missed"]
        beyond += len(expected)
    assert beyond > 0


def test_where_whole_lists_are_too_large_positives_have_no_rank(found, monkeypatch):
    monkeypatch.setattr(findings, "SHOWN", 2)
    monkeypatch.setattr(stored, "MOST_PLACES", 10)
    shown = found("query", "G+AQE", seed=1, query=0)
    missed = found("missed", "G+AQE", seed=1, query=0)
    assert not shown["may_be_whole"] and len(missed["numbers"]) == shown["missed"] > 0
    assert set(missed["ranks"]) == {None}
    assert all(-1 <= one <= 1 for one in missed["similarities"])


def test_lists_are_made_again_from_descriptors_and_never_by_the_encoder(
    workdir, tmp_path, monkeypatch
):
    copy = tmp_path / "copy"
    shutil.copytree(workdir, copy)
    shutil.rmtree(copy / "rankings")

    def refused(*given, **more):
        raise AssertionError("the encoder must not run")

    monkeypatch.setattr(extraction, "_extract_shards", refused)
    monkeypatch.setattr(Encoder, "__call__", refused)
    with Server(ExploreSettings(workdir=str(copy)), copy) as server:
        path = f"/api/queries?entry={server.entry(seed=0)}&ranking=G&protocol=medium"
        assert server.json(path)["remade"]
        shutil.rmtree(copy / "features")
        shutil.rmtree(copy / "rankings")
    with Server(ExploreSettings(workdir=str(copy)), copy) as server:
        path = f"/api/queries?entry={server.entry(seed=0)}&ranking=G&protocol=medium"
        status, sentence = server.error(path)
        assert status == 400
        assert "20 photographs have none" in sentence and "never runs an encoder" in sentence


def test_what_is_not_there_is_said(server, found):
    entry = server.entry(seed=0)
    assert server.error("/api/queries?entry=nothing&ranking=G")[0] == 404
    for query in (f"entry={entry}&ranking=G%2BDFS", f"entry={entry}&ranking=G&protocol=classic"):
        status, sentence = server.error(f"/api/queries?{query}")
        assert status == 400 and ("DFS" in sentence or "easy, medium, hard" in sentence)
    path = f"/api/query?entry={entry}&ranking=G&protocol=easy&query="
    assert server.error(path + "99") == (
        400,
        "There is no query 99, or its photograph cannot be read.",
    )
    assert server.error(path + "-1")[0] == 400
    assert server.error(path + "x")[0] == 400
