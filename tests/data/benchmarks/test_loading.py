"""Benchmarks that are incomplete, damaged, interrupted or shared by processes; and distractors."""

import io
import multiprocessing
import pickle
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import pytest
import small_benchmarks
from small_benchmarks import BOX, OXFORD, raw, use_small_benchmarks, write, write_ground_truth

from jaxret.data.benchmarks import loading, parts, registry, stand_ins
from jaxret.data.benchmarks.incomplete import keep
from jaxret.data.benchmarks.revisitop1m import revisitop1m_dataset_builder as revisitop1m
from jaxret.data.ground_truth import files
from jaxret.data.splits import JoinedSplit, PreparedSplit
from jaxret.errors import UserError


@pytest.fixture(autouse=True)
def _small(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if "shared_data" not in request.fixturenames:
        use_small_benchmarks(monkeypatch)


def nothing_prepared(folder: Path) -> bool:
    return not list(folder.rglob("dataset_info.json")) and not list(folder.rglob("*incomplete*"))


def test_an_empty_folder_says_which_files_and_which_command(tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        loading.load("rparis6k", tmp_path)
    sentence = str(caught.value)
    for part in (
        f"{tmp_path}/manual",
        "gnd_rparis6k.pkl and paris_1-v1.tgz and paris_2-v1.tgz",
        f"`python tools/download.py rparis6k --output={tmp_path}/manual`",
    ):
        assert part in sentence
    assert list(tmp_path.iterdir()) == []


def test_the_users_own_place_needs_no_flag(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(UserError, match=r"`python tools/download\.py instre`"):
        loading.load("instre")


@pytest.mark.parametrize("name", ["oxford5k", "roxford5k"])
def test_an_absent_ground_truth_is_named(tmp_path: Path, name: str) -> None:
    """That of the benchmark asked for, which shares its photographs with another."""
    write(name, tmp_path / "manual")
    (tmp_path / "manual" / f"gnd_{name}.pkl").unlink()
    with pytest.raises(UserError, match=rf"ground truth of {name}, gnd_{name}\.pkl, is not in"):
        loading.load(name, tmp_path)
    assert nothing_prepared(tmp_path)


def test_missing_photographs_are_counted_named_and_listed(tmp_path: Path) -> None:
    write("oxford5k", tmp_path / "manual")
    gone = [*OXFORD[:2], *OXFORD[3:]]
    for name in gone:
        (tmp_path / "manual" / f"{name}.jpg").unlink()
    with pytest.raises(UserError) as caught:
        loading.load("oxford5k", tmp_path)
    sentence = str(caught.value)
    assert sentence.startswith("7 of the 8 photographs of oxford5k are missing from")
    assert f": {', '.join(sorted(gone)[:5])}, ... (all of them: " in sentence
    assert "With --allow_missing the 1 that lie there" in sentence
    assert (tmp_path / "oxford5k_missing.txt").read_text().split() == sorted(gone)
    assert nothing_prepared(tmp_path)


def test_with_ten_real_photographs_the_other_5053_are_missing(
    shared_data: Path, tmp_path: Path
) -> None:
    manual = tmp_path / "manual"
    shutil.copytree(shared_data / "oxford5k_sample", manual)
    shutil.copy(shared_data / "gnd" / "gnd_oxford5k.pkl", manual)
    with pytest.raises(UserError, match="5053 of the 5063 photographs of oxford5k are missing"):
        loading.load("oxford5k", tmp_path)
    assert len((tmp_path / "oxford5k_missing.txt").read_text().split()) == 5053
    dataset = loading.load("oxford5k", tmp_path, allow_missing=True)
    assert (len(dataset.database), len(dataset.queries)) == (10, 10)
    assert "INCOMPLETE: 10 of the 5063 database photographs, 10 of the 55" in dataset.notes[0]
    assert "compare with no published ones" in dataset.notes[0]
    truth = files.read(manual / "gnd_oxford5k.pkl")
    for place, name in enumerate(dataset.queries.names):
        whole = truth.gnd[truth.qimlist.index(name)]
        kept = dataset.ground_truth[place]
        for key in ("ok", "junk"):
            there = [i for i in whole[key] if truth.imlist[i] in set(dataset.database.names)]
            assert [dataset.database.names[i] for i in kept[key]] == [
                truth.imlist[i] for i in there
            ]


def test_what_is_left_keeps_its_ground_truth() -> None:
    content = raw("roxford5k")
    truth = files.GroundTruth(content["imlist"], content["qimlist"], content["gnd"])
    names = {*content["imlist"][:2], content["imlist"][4], content["qimlist"][1]}
    kept = keep(truth, names)
    assert kept.imlist == [content["imlist"][place] for place in (0, 1, 4)]
    assert kept.qimlist == [content["qimlist"][1]]
    assert kept.gnd == [{"easy": [], "hard": [2], "junk": [], "bbx": BOX}]


def test_allow_missing_uses_what_is_whole(tmp_path: Path) -> None:
    write("roxford5k", tmp_path / "manual")
    dataset = loading.load("roxford5k", tmp_path, allow_missing=True)
    assert dataset.version == "1.0.0"
    assert not any("INCOMPLETE" in note for note in dataset.notes)


def test_allow_missing_without_any_query_is_refused(tmp_path: Path) -> None:
    write_ground_truth("roxford5k", tmp_path / "manual")
    with pytest.raises(UserError, match="0 database photographs and 0 query photographs"):
        loading.load("roxford5k", tmp_path, allow_missing=True)


@pytest.mark.parametrize("damage", ["empty", "html", "cut"])
def test_unreadable_photographs_count_as_missing(tmp_path: Path, damage: str) -> None:
    encoded = write("oxford5k", tmp_path / "manual")
    name = OXFORD[4]
    bad = {"empty": b"", "html": b"<!DOCTYPE html>", "cut": encoded[name][:-200]}[damage]
    (tmp_path / "manual" / f"{name}.jpg").write_bytes(bad)
    with pytest.raises(UserError, match=rf"1 of the 8 .* are empty, cut off or no JPEG, {name}"):
        loading.load("oxford5k", tmp_path)
    assert nothing_prepared(tmp_path)


def test_a_jpeg_with_bytes_behind_its_end_is_a_photograph(tmp_path: Path) -> None:
    encoded = write("oxford5k", tmp_path / "manual")
    longer = encoded[OXFORD[4]] + b"\0" * 1000
    (tmp_path / "manual" / f"{OXFORD[4]}.jpg").write_bytes(longer)
    assert loading.load("oxford5k", tmp_path).database.read(4) == longer


def test_two_releases_side_by_side_are_refused(tmp_path: Path) -> None:
    encoded = write("oxford5k", tmp_path / "manual")
    other = tmp_path / "manual" / "other" / f"{OXFORD[0]}.jpg"
    other.parent.mkdir()
    other.write_bytes(encoded[OXFORD[0]])
    loading.load("oxford5k", tmp_path / "one", manual_dir=tmp_path / "manual")
    other.write_bytes(stand_ins.with_comment(encoded[OXFORD[0]], "blurred"))
    with pytest.raises(UserError, match=f"Two different files for {OXFORD[0]}"):
        loading.load("oxford5k", tmp_path)


def test_a_cut_off_archive_is_refused(tmp_path: Path) -> None:
    write("oxford5k", tmp_path / "manual", archives=True)
    archive = tmp_path / "manual" / "oxbuild_images-v1.tgz"
    archive.write_bytes(archive.read_bytes()[: archive.stat().st_size // 2])
    with pytest.raises(UserError, match=r"oxbuild_images-v1\.tgz cannot be read beyond its first"):
        loading.load("oxford5k", tmp_path)
    assert nothing_prepared(tmp_path)


def test_a_rar_has_to_be_unpacked_by_hand(tmp_path: Path) -> None:
    write_ground_truth("instre", tmp_path / "manual")
    (tmp_path / "manual" / "INSTRE_release.rar").write_bytes(b"Rar!")
    with pytest.raises(UserError, match=r"INSTRE_release\.rar cannot be read here; unpack it"):
        loading.load("instre", tmp_path)


def test_archives_cannot_write_outside(tmp_path: Path) -> None:
    encoded = write("oxford5k", tmp_path / "manual")
    names = [*OXFORD[:-1], "../../../../" + OXFORD[-1]]
    with tarfile.open(tmp_path / "manual" / "evil.tar", "w") as tar:
        for name in names:
            content = encoded[name.rsplit("/", 1)[-1]]
            entry = tarfile.TarInfo(f"{name}.jpg")
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
            (tmp_path / "manual" / f"{name.rsplit('/', 1)[-1]}.jpg").unlink()
    before = {path for path in tmp_path.parent.rglob("*") if tmp_path not in path.parents}
    assert loading.load("oxford5k", tmp_path).database.read(7) == encoded[OXFORD[-1]]
    after = {path for path in tmp_path.parent.rglob("*") if tmp_path not in path.parents}
    assert after == before


def test_a_place_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    write("oxford5k", tmp_path / "manual")
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"cannot be prepared in .*file .*--data_dir"):
        loading.load("oxford5k", tmp_path / "file", manual_dir=tmp_path / "manual")


SLOW_PREPARATION = """
import pathlib, signal, sys, time
import pytest
signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored in a shell's background job
sys.path.insert(0, {tests!r})
from small_benchmarks import use_small_benchmarks
from jaxret.data.benchmarks import loading, tfds_records as records
use_small_benchmarks(pytest.MonkeyPatch())
shards = records.photograph_shards
def slow(contents, *rest):
    def slowly():
        for number, content in enumerate(contents):
            if number == 5:
                print("half", file=sys.__stdout__, flush=True)
                for _ in range(round(20 * {pause})):  # a thread may get the signal: sleep on
                    time.sleep(0.05)
            yield content
    return shards(slowly(), *rest)
records.photograph_shards = slow
loading.load("roxford5k", {folder!r})
"""


def start_preparation(folder: Path, pause: float) -> "subprocess.Popen[bytes]":
    """A process that prepares, says "half" in the middle of it and pauses there."""
    code = SLOW_PREPARATION.format(
        tests=str(Path(small_benchmarks.__file__).parent), folder=str(folder), pause=pause
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    assert process.stdout is not None
    if process.stdout.readline() != b"half\n":
        process.kill()
        process.communicate()
        raise AssertionError("the preparation never came half way")
    return process


@pytest.mark.parametrize("signal_number", [signal.SIGKILL, signal.SIGINT])
def test_a_killed_preparation_leaves_nothing_that_reads_as_complete(
    tmp_path: Path, signal_number: signal.Signals
) -> None:
    write("roxford5k", tmp_path / "manual")
    with start_preparation(tmp_path, pause=60) as process:
        process.send_signal(signal_number)
    left = list((tmp_path / "oxford5k").glob("[!.]*/*"))
    assert all("incomplete" in path.name for path in left)
    assert bool(left) == (signal_number == signal.SIGKILL)
    shutil.move(tmp_path / "manual", tmp_path / "elsewhere")
    with pytest.raises(UserError, match="roxford5k is not there"):
        loading.load("roxford5k", tmp_path)
    dataset = loading.load("roxford5k", tmp_path, manual_dir=tmp_path / "elsewhere")
    assert len(dataset.database) == 6
    assert not list((tmp_path / "oxford5k").rglob("*incomplete*"))


def test_a_second_process_waits_and_finds_it_prepared(tmp_path: Path) -> None:
    encoded = write("roxford5k", tmp_path / "manual")
    with start_preparation(tmp_path, pause=1) as process:
        started = time.monotonic()
        dataset = loading.load("roxford5k", tmp_path)
        assert time.monotonic() - started > 0.5
        assert process.wait(30) == 0
    assert dataset.database.read(0) == encoded[dataset.database.names[0]]


def _read_in_another_process(split: PreparedSplit) -> list[bytes]:
    return [split.read(place) for place in range(len(split))]


def test_splits_go_to_other_processes(tmp_path: Path) -> None:
    write("roxford5k", tmp_path / "manual")
    split = loading.load("roxford5k", tmp_path).queries
    here = _read_in_another_process(split)  # opens the files here first
    assert len(pickle.dumps(split)) < 5000
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.apply(_read_in_another_process, (split,)) == here


def test_fingerprints_tell_content_names_and_boxes_apart(tmp_path: Path) -> None:
    encoded = write("oxford5k", tmp_path / "a" / "manual")
    write("oxford5k", tmp_path / "b" / "manual")
    changed = stand_ins.with_comment(encoded[OXFORD[0]], "x")
    (tmp_path / "b" / "manual" / f"{OXFORD[0]}.jpg").write_bytes(changed)
    first, second = (loading.load("oxford5k", tmp_path / run) for run in "ab")
    assert first.database.fingerprint() != second.database.fingerprint()
    assert first.queries.fingerprint() == second.queries.fingerprint()
    split = first.queries
    assert isinstance(split, PreparedSplit)
    prints = {
        split.fingerprint(),
        PreparedSplit(split.folder, split.places, split.names, (None, None), split.digests)
        .fingerprint(),
        PreparedSplit(split.folder, split.places, ("a", "b"), split.boxes, split.digests)
        .fingerprint(),
    }  # fmt: skip
    assert len(prints) == 3


def test_a_deleted_record_file_names_the_photograph(tmp_path: Path) -> None:
    write("oxford5k", tmp_path / "manual")
    split = loading.load("oxford5k", tmp_path).database
    for path in tmp_path.glob("oxford5k/photographs/*/*.array_record*"):
        path.unlink()
    with pytest.raises(UserError, match=OXFORD[2]):
        split.read(2)


def write_distractors(folder: Path, number: int, count: int, bad: int = 0) -> list[bytes]:
    folder.mkdir(parents=True, exist_ok=True)
    contents = []
    with tarfile.open(folder / revisitop1m.archive_name(number), "w:gz") as tar:
        for place in range(count + bad):
            content = stand_ins.with_comment(stand_ins.plain(16), f"{number} {place}")
            content = b"" if place < bad else content
            entry = tarfile.TarInfo(f"jpg/{number}/{place:05d}.jpg")
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
            contents += [content] if content else []
    return contents


def test_distractors_come_behind_the_database(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(revisitop1m, "PARTS", 2)
    monkeypatch.setattr(parts, "SHARD_SIZE", 2)
    encoded = write("roxford5k", tmp_path / "manual")
    first = write_distractors(tmp_path / "manual", 1, 5)
    second = write_distractors(tmp_path / "manual" / "more", 2, 3, bad=1)
    dataset = loading.load("roxford5k", tmp_path, distractors="revisitop1m")
    alone = loading.load("roxford5k", tmp_path)
    assert dataset.ground_truth == alone.ground_truth
    assert len(dataset.database) == len(dataset.database.names) == 6 + 5 + 3
    assert len(dataset.database.boxes) == 14
    own = [encoded[name] for name in alone.database.names]
    assert [dataset.database.read(place) for place in range(14)] == own + first + second
    assert dataset.database.names[6:8] == ["jpg/1/00000.jpg", "jpg/1/00001.jpg"]
    assert dataset.database.fingerprint() != alone.database.fingerprint()
    assert dataset.name == "roxford5k+revisitop1m"
    assert "8 distractors of revisitop1m from 2 of its 2 archives" in dataset.notes[-1]
    assert "1 files in the archives are no JPEGs" in dataset.notes[-1]
    with pytest.raises(IndexError):
        dataset.database.read(14)
    # Prepared parts need their archives no longer.
    shutil.rmtree(tmp_path / "manual")
    again = loading.load("roxford5k", tmp_path, distractors="revisitop1m")
    assert again.database.fingerprint() == dataset.database.fingerprint()


def test_missing_distractors_are_refused_or_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(revisitop1m, "PARTS", 3)
    write("rparis6k", tmp_path / "manual")
    with pytest.raises(UserError, match="3 of the 3 archives"):
        loading.load("rparis6k", tmp_path, distractors="revisitop1m", allow_missing=True)
    write_distractors(tmp_path / "manual", 2, 4)
    with pytest.raises(UserError, match=r"2 of the 3 archives .*, revisitop1m\.1\.tar\.gz for one"):
        loading.load("rparis6k", tmp_path, distractors="revisitop1m")
    dataset = loading.load("rparis6k", tmp_path, distractors="revisitop1m", allow_missing=True)
    assert "4 distractors of revisitop1m from 1 of its 3 archives" in dataset.notes[-1]


def test_a_cut_off_archive_of_distractors_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(revisitop1m, "PARTS", 1)
    write("rparis6k", tmp_path / "manual")
    write_distractors(tmp_path / "manual", 1, 50)
    archive = tmp_path / "manual" / "revisitop1m.1.tar.gz"
    archive.write_bytes(archive.read_bytes()[:-300])
    with pytest.raises(UserError, match="cannot be read beyond its first"):
        loading.load("rparis6k", tmp_path, distractors="revisitop1m")
    assert not (tmp_path / "revisitop1m" / "part_001" / "1.0.0").exists()


def test_distractors_are_for_the_revisited_sets(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="for roxford5k and rparis6k, not for instre"):
        loading.load("instre", tmp_path, distractors="revisitop1m")
    with pytest.raises(UserError, match=r"Unknown distractors 'flickr100k'\. Known: revisitop1m"):
        loading.load("roxford5k", tmp_path, distractors="flickr100k")


def test_joined_splits_of_nothing() -> None:
    assert len(JoinedSplit(())) == 0
    assert registry.get("instre").photographs == 9  # the small ones are in use
