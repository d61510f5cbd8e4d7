"""Benchmarks whose databases come in many archives: Google Landmarks v2 and mini-ILIAS."""

import dataclasses
import shutil
from pathlib import Path

import class_benchmarks as small
import pytest

from jaxret.data.benchmarks import loading, registry
from jaxret.data.benchmarks.gldv2 import loader as gldv2
from jaxret.data.benchmarks.gldv2 import solution
from jaxret.data.benchmarks.parts import Subset
from jaxret.errors import UserError

# archive -> ids in it
INDEX = {
    0: ["000000000000000a", "000000000000000b", "00000000000000c0"],
    1: ["0000000000000d00", "000000000000e000"],
    2: ["00000000000f0000", "0000000000a10000"],
}
TEST = {
    0: ["ffff00000000000a", "ffff00000000000b"],
    1: ["ffff00000000000c", "ffff00000000000d"],
}
SOLUTION = """id,images,Usage
ffff00000000000d,000000000000000b 00000000000f0000,Private
ffff00000000000b,None,Ignored
ffff00000000000a,0000000000000d00,Public
ffff00000000000c,000000000000000a 000000000000e000,Private
"""


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    small.use_counts(monkeypatch)
    monkeypatch.setattr(gldv2, "INDEX_ARCHIVES", 3)
    monkeypatch.setattr(gldv2, "TEST_ARCHIVES", 2)
    counts = {"gldv2": 3, "gldv2-private": 2, "gldv2-public": 1}
    for name, queries in counts.items():
        row = dataclasses.replace(registry.get(name), database=7, queries=queries)
        monkeypatch.setitem(registry.BENCHMARKS, name, row)


def write_gldv2(manual: Path) -> None:
    for split, archives in (("index", INDEX), ("test", TEST)):
        for number, ids in archives.items():
            members = {f"{i[0]}/{i[1]}/{i[2]}/{i}.jpg": small.picture(i) for i in ids}
            small.write_archive(manual / split / f"images_{number:03d}.tar", members)
    (manual / solution.FILE).write_text(SOLUTION)


def answers(dataset) -> dict[str, list[str]]:
    names = list(dataset.database.names)
    pairs = zip(dataset.queries.names, dataset.ground_truth, strict=True)
    return {query: [names[i] for i in entry["ok"]] for query, entry in pairs}


def test_google_landmarks_from_its_archives(tmp_path: Path) -> None:
    write_gldv2(tmp_path / "manual")
    dataset = loading.load("gldv2", tmp_path)
    assert list(dataset.database.names) == [i for ids in INDEX.values() for i in ids]
    assert answers(dataset) == {
        "ffff00000000000d": ["000000000000000b", "00000000000f0000"],
        "ffff00000000000a": ["0000000000000d00"],
        "ffff00000000000c": ["000000000000000a", "000000000000e000"],
    }
    assert [dataset.queries.read(i) for i in range(3)] == [
        small.picture(name) for name in dataset.queries.names
    ]
    assert dataset.database.read(6) == small.picture("0000000000a10000")
    assert (dataset.metrics, dataset.depth, dataset.notes) == (("map@100",), 1000, ())
    assert list(loading.load("gldv2-private", tmp_path).queries.names) == [
        "ffff00000000000d",
        "ffff00000000000c",
    ]
    assert list(loading.load("gldv2-public", tmp_path).queries.names) == ["ffff00000000000a"]


def test_archives_may_go_once_they_are_prepared(tmp_path: Path) -> None:
    write_gldv2(tmp_path / "manual")
    first = loading.load("gldv2", tmp_path)
    shutil.rmtree(tmp_path / "manual" / "index")
    shutil.rmtree(tmp_path / "manual" / "test")
    second = loading.load("gldv2", tmp_path)
    assert second.database.fingerprint() == first.database.fingerprint()
    assert second.queries.fingerprint() == first.queries.fingerprint()


def test_of_the_test_archives_queries_alone_are_kept(tmp_path: Path) -> None:
    write_gldv2(tmp_path / "manual")
    loading.load("gldv2", tmp_path)
    part = loading.builder_class("gldv2")(config="test_000", data_dir=tmp_path)
    assert part.info.metadata["names"] == ["ffff00000000000a"]


def test_unpacked_as_people_have_it(tmp_path: Path) -> None:
    """Folders index and test with a/b/c/id.jpg; the tar files are gone."""
    write_gldv2(tmp_path / "manual")
    packed = loading.load("gldv2", tmp_path)
    manual = tmp_path / "elsewhere" / "gldv2"
    for split, archives in (("index", INDEX), ("test", TEST)):
        for name in (name for ids in archives.values() for name in ids):
            file = manual / split / name[0] / name[1] / name[2] / f"{name}.jpg"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(small.picture(name))
    (manual / solution.FILE).write_text(SOLUTION)
    dataset = loading.load("gldv2", tmp_path / "elsewhere", manual_dir=manual)
    assert sorted(dataset.database.names) == sorted(packed.database.names)
    assert answers(dataset) == answers(packed)
    assert dataset.queries.read(0) == small.picture("ffff00000000000d")
    file.unlink()
    next(manual.rglob("00000000000f0000.jpg")).unlink()
    with pytest.raises(UserError, match="but 6 and 2 are there"):
        loading.load("gldv2", tmp_path / "elsewhere", manual_dir=manual)
    partial = loading.load("gldv2", tmp_path / "x", manual_dir=manual, allow_missing=True)
    assert partial.notes[0].startswith("INCOMPLETE: 6 of the 7 index photographs, 2 of the 3")
    with pytest.raises(UserError, match=r"3 of the 5 archives .*index/images_000\.tar for one"):
        loading.load("gldv2", tmp_path / "x", manual_dir=manual, subset="0-2")


def test_some_archives_alone(tmp_path: Path) -> None:
    write_gldv2(tmp_path / "manual")
    (tmp_path / "manual" / "index" / "images_001.tar").unlink()
    with pytest.raises(UserError) as caught:
        loading.load("gldv2", tmp_path)
    for part in ("1 of the 5 archives", "index/images_001.tar for one", "--subset=0-9"):
        assert part in str(caught.value)
    dataset = loading.load("gldv2", tmp_path, subset="0,2")
    assert dataset.name == "gldv2[0,2]"
    assert list(dataset.database.names) == [*INDEX[0], *INDEX[2]]
    assert answers(dataset) == {
        "ffff00000000000d": ["000000000000000b", "00000000000f0000"],
        "ffff00000000000a": [],
        "ffff00000000000c": ["000000000000000a"],
    }
    assert dataset.notes[0].startswith(
        "5 of the 7 index photographs, 3 of the 3 queries and 3 of 5 answers of gldv2; a smaller"
    )
    partial = loading.load("gldv2", tmp_path, allow_missing=True)
    assert partial.notes[0].startswith("INCOMPLETE: 5 of the 7 index photographs")


def test_all_answers_and_a_number_of_others(tmp_path: Path) -> None:
    write_gldv2(tmp_path / "manual")
    positives = {name for line in SOLUTION.split("\n")[1:] for name in line.split(",")[1:2]}
    positives = {i for names in positives for i in names.split()} - {"None"}
    none = loading.load("gldv2", tmp_path, subset="positives+0")
    assert set(none.database.names) == positives
    one = loading.load("gldv2", tmp_path, subset="positives+1")
    assert len(set(one.database.names) - positives) == 1
    assert answers(one) == answers(loading.load("gldv2", tmp_path))
    assert set(loading.load("gldv2", tmp_path, subset="positives+9").database.names) == {
        i for ids in INDEX.values() for i in ids
    }


@pytest.mark.parametrize(
    ("text", "archives", "others"),
    [
        ("3", (3,), None),
        ("0-2,5", (0, 1, 2, 5), None),
        ("5,0-2,1", (0, 1, 2, 5), None),
        ("positives+70000", None, 70000),
        (None, None, None),
    ],
)
def test_subsets_as_the_flag_says_them(text, archives, others) -> None:
    assert Subset.of(text, 10) == Subset(archives, others)


@pytest.mark.parametrize("text", ["", "10", "a", "3-", "-3", "5-3", "positives", "positives+x"])
def test_subsets_that_are_none(text) -> None:
    with pytest.raises(UserError, match="--subset="):
        Subset.of(text, 10)


def test_a_subset_is_for_these_alone(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="gldv2-public, ilias-mini; holidays is prepared whole"):
        loading.load("holidays", tmp_path, subset="0-9")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("id,images\n", "columns id, images, Usage"),
        ("", "columns id, images, Usage"),
        ("id,images,Usage\na,b,Both\n", "line 2"),
        ("id,images,Usage\na,b,Public\na,c,Public\n", "line 3"),
    ],
)
def test_a_ground_truth_that_is_another(tmp_path: Path, text: str, sentence: str) -> None:
    write_gldv2(tmp_path / "manual")
    (tmp_path / "manual" / solution.FILE).write_text(text)
    with pytest.raises(UserError, match=sentence):
        loading.load("gldv2", tmp_path)


def test_a_ground_truth_that_is_missing(tmp_path: Path) -> None:
    with pytest.raises(
        UserError, match=r"retrieval_solution_v2\.1\.csv of gldv2.*116 more like it"
    ):
        loading.load("gldv2", tmp_path)


def test_an_index_archive_cut_off_costs_its_own_work_only(tmp_path: Path) -> None:
    write_gldv2(tmp_path / "manual")
    archive = tmp_path / "manual" / "index" / "images_001.tar"
    whole = archive.read_bytes()
    archive.write_bytes(whole[: len(whole) // 3])
    with pytest.raises(UserError, match="cannot be read beyond its first"):
        loading.load("gldv2", tmp_path)
    assert (tmp_path / "gldv2" / "index_000").is_dir()
    assert not (tmp_path / "gldv2" / "index_001" / "1.0.0").exists()
    archive.write_bytes(whole)
    assert len(loading.load("gldv2", tmp_path).database) == 7


YFCC = {"yfcc100m/00000.tar": ["11aa", "22bb", "33cc"], "mini-ilias/00003.tar": ["44dd", "55ee"]}
MINI = ["22bb", "44dd", "55ee"]


def write_mini(manual: Path) -> None:
    small.write_archives("ilias-core", manual)
    for file, keys in YFCC.items():
        members = {f"{key}.jpg": small.picture(key) for key in keys}
        members |= {f"{key}.json": b"{}" for key in keys}
        small.write_archive(manual / file, members)
    (manual / "mini_ilias_yfcc100m_ids.txt").write_text("\n".join(MINI) + "\n")


def test_mini_ilias_is_core_over_the_listed_distractors(tmp_path: Path) -> None:
    write_mini(tmp_path / "manual")
    core = loading.load("ilias-core", tmp_path)
    dataset = loading.load("ilias-mini", tmp_path)
    assert list(dataset.database.names) == [
        *small.ILIAS_POSITIVES,
        "00000/22bb",
        "00003/44dd",
        "00003/55ee",
    ]
    assert dataset.database.read(3) == small.picture("22bb")
    assert dataset.ground_truth == core.ground_truth
    assert dataset.queries.fingerprint() == core.queries.fingerprint()
    assert dataset.notes[0] == "3 distractors of mini-ILIAS from 2 archives."
    assert (dataset.name, dataset.depth, dataset.query_crop) == ("ilias-mini", 1000, "none")
    assert not any("4715 photographs" in note for note in dataset.notes)


def test_distractors_may_go_once_they_are_prepared(tmp_path: Path) -> None:
    write_mini(tmp_path / "manual")
    first = loading.load("ilias-mini", tmp_path)
    for file in YFCC:
        (tmp_path / "manual" / file).unlink()
    assert loading.load("ilias-mini", tmp_path).database.fingerprint() == (
        first.database.fingerprint()
    )


def test_distractors_that_are_missing_are_counted(tmp_path: Path) -> None:
    write_mini(tmp_path / "manual")
    (tmp_path / "manual" / "mini-ilias" / "00003.tar").unlink()
    with pytest.raises(
        UserError, match="2 of the 3 distractors of ilias-mini are in none of the 1"
    ):
        loading.load("ilias-mini", tmp_path)
    partial = loading.load("ilias-mini", tmp_path, allow_missing=True)
    assert partial.notes[0].startswith("INCOMPLETE: 1 of the 3 distractors of mini-ILIAS")
    with pytest.raises(UserError, match="--subset=0 is not for ilias-mini"):
        loading.load("ilias-mini", tmp_path, subset="0")


def test_an_archive_with_none_of_the_list(tmp_path: Path) -> None:
    write_mini(tmp_path / "manual")
    members = {"77ff.jpg": small.picture("77ff")}
    small.write_archive(tmp_path / "manual" / "yfcc100m" / "00007.tar", members)
    assert len(loading.load("ilias-mini", tmp_path).database) == 6
