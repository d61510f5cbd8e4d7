"""What is learnt from and what is held out: whole instances, whatever ground truth looks like."""

import json

import numpy as np
import pytest

from jaxret import data
from jaxret.data.dataset import Dataset, FileSplit
from jaxret.errors import UserError
from jaxret.training.data.labelled_photographs import (
    NO_INSTANCE,
    LabelledPhotographs,
    check_enough,
    held_out_dataset,
    write_dataset,
)


def dataset(folder, database, queries, gnd, protocols=("easy", "medium", "hard")):
    return Dataset(
        "set", "folder", FileSplit(folder, database), FileSplit(folder, queries), gnd, protocols
    )


def test_instances_are_what_queries_link(tmp_path):
    gnd = [
        {"easy": [0], "hard": [1], "junk": [2]},
        {"easy": [1], "hard": [], "junk": []},  # shares 1 with the first: the same instance
        {"easy": [4], "hard": [], "junk": []},
    ]
    whole = dataset(tmp_path, ("a", "b", "c", "d", "e"), ("q", "r", "s"), gnd)
    found = LabelledPhotographs.of(whole)
    one = found.instance[0]
    assert found.instance.tolist() == [
        one, one, one, NO_INSTANCE, found.instance[4], one, one, found.instance[4],
    ]  # fmt: skip
    assert one != found.instance[4]
    assert np.flatnonzero(found.junk).tolist() == [2]


def test_a_query_that_is_in_the_database_too_is_one_photograph(tmp_path):
    gnd = [{"ok": [1], "junk": []}]
    found = LabelledPhotographs.of(dataset(tmp_path, ("q", "b", "c"), ("q",), gnd, ("classic",)))
    assert found.instance[0] == found.instance[1] == found.instance[3]
    assert found.instance[2] == NO_INSTANCE


@pytest.mark.parametrize("share", [0.2, 1 / 3, 0.7])
def test_no_photograph_of_a_held_out_instance_is_learnt_from(folder_of, share):
    collection = LabelledPhotographs.of(data.load(folder_of(40, instances=6)))
    back = collection.held_out(share, seed=3)
    held, learnt = (set(collection.instance[part].tolist()) for part in (back, ~back))
    assert held & learnt <= {NO_INSTANCE}
    instances = held - {NO_INSTANCE}
    assert len(instances) == round(6 * share)
    nobody = collection.instance == NO_INSTANCE
    assert back[nobody].sum() == round(nobody.sum() * share)


def test_the_held_out_part_is_drawn_by_the_seed(folder_of):
    collection = LabelledPhotographs.of(data.load(folder_of(40, instances=6)))
    first = collection.held_out(0.5, seed=0)
    assert (first == collection.held_out(0.5, seed=0)).all()
    assert (first != collection.held_out(0.5, seed=1)).any()
    assert not collection.held_out(0, seed=0).any()


def test_the_held_out_dataset_keeps_its_ground_truth(folder_of, tmp_path):
    whole = data.load(folder_of(40, instances=6))
    collection = LabelledPhotographs.of(whole)
    back = collection.held_out(1 / 3, seed=3)
    part = held_out_dataset(collection, back, seed=3)
    names = list(part.database.names)
    assert len(part.queries) == 2
    for name, one in zip(part.queries.names, part.ground_truth, strict=True):
        old = whole.ground_truth[list(whole.queries.names).index(name)]
        for kind in ("easy", "hard"):
            assert [names[i] for i in one[kind]] == [whole.database.names[i] for i in old[kind]]

    write_dataset(part, tmp_path / "part")
    again = data.load(tmp_path / "part")
    assert again.protocols == part.protocols
    assert [len(one["easy"]) for one in again.ground_truth] == [
        len(one["easy"]) for one in part.ground_truth
    ]
    assert again.database.read(0) == part.database.read(0)
    assert again.queries.read(1) == part.queries.read(1)


def test_without_ground_truth_a_photograph_is_found_by_itself_taken_again(folder_of, tmp_path):
    whole = data.load(folder_of(10), require_ground_truth=False)
    collection = LabelledPhotographs.of(whole)
    back = collection.held_out(0.4, seed=0)
    part = held_out_dataset(collection, back, seed=0)
    assert len(part.database) == len(part.queries) == 4
    assert list(part.queries.names) == list(part.database.names)
    assert part.queries.read(2) == part.queries.read(2)
    assert part.queries.read(2) != part.database.read(2)
    write_dataset(part, tmp_path / "part")
    truth = json.loads((tmp_path / "part" / "gnd.json").read_text())
    assert [one["ok"] for one in truth["gnd"]] == [[0], [1], [2], [3]]
    assert data.load(tmp_path / "part").protocols == ("classic",)


def test_too_little_is_a_sentence(folder_of):
    collection = LabelledPhotographs.of(data.load(folder_of(10), require_ground_truth=False))
    back = collection.held_out(0.2, seed=0)
    part = held_out_dataset(collection, back, seed=0)
    check_enough(collection, back, part, 8)
    with pytest.raises(UserError, match=r"8 photographs to learn from, 2 more are held out, fewer"):
        check_enough(collection, back, part, 9)
    single = collection.held_out(0.1, seed=0)
    with pytest.raises(UserError, match="too few to measure on"):
        check_enough(collection, single, held_out_dataset(collection, single, seed=0), 8)
