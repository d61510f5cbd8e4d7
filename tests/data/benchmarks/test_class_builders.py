"""Builders of the benchmarks beyond the study's: every layout, what answers what, and refusals."""

import io
import shutil
from pathlib import Path

import class_benchmarks as small
import pytest
import tensorflow_datasets as tfds
from PIL import Image, ImageOps

from jaxret.data.benchmarks import archives, layout, loading, registry
from jaxret.data.benchmarks.ilias import layout as ilias_layout
from jaxret.data.benchmarks.ilias.layout import boxes_of, enclosing
from jaxret.data.benchmarks.rows import study
from jaxret.data.images.decode import to_pixels
from jaxret.errors import UserError

NAMES = list(small.COUNTS)


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    small.use_counts(monkeypatch)


# What the makers say, written out: database, queries, and the answers of each query by name.
def expected(name: str) -> tuple[list[str], list[str], list[set[str]]]:
    if name == "gpr1200":
        same = [{o for o in small.GPR1200 if o[0] == n[0]} for n in small.GPR1200]
        return small.GPR1200, small.GPR1200, same
    if name == "holidays":
        answers = [{"100001.jpg", "100002.jpg"}, {"125801.jpg"}, {"149901.jpg"}]
        return small.HOLIDAYS, ["100000.jpg", "125800.jpg", "149900.jpg"], answers
    if name == "ukbench":
        fours = [set(small.UKBENCH[start : start + 4]) for start in (0, 4, 8)]
        return small.UKBENCH, small.UKBENCH, [four for four in fours for _ in range(4)]
    if name == "copydays":
        answers = [{"200000.jpg"}, {"200000.jpg"}, {"215600.jpg"}]
        return small.ORIGINALS, small.STRONG, answers
    if name.startswith("copydays"):
        copies = small.CROPS if name == "copydays-crops" else small.JPEG
        return small.ORIGINALS, copies, [{copy.split("/")[-1]} for copy in copies]
    if name == "amstertime":
        return small.OLD, small.NEW, [{old} for old in small.OLD]
    if name == "amstertime-old":
        return small.NEW, small.OLD, [{new} for new in small.NEW]
    if name == "sop":
        names = list(small.SOP)
        same = [{o for o in names if small.SOP[o] == small.SOP[n] and o != n} for n in names]
        return names, names, same
    if name.startswith("met"):
        exhibits = small.MINI_MET if name == "met-mini" else small.MET
        answers = [
            {photo for photo, label in exhibits.items() if label == asked}
            for asked in small.MET_QUERIES.values()
        ]
        return list(exhibits), list(small.MET_QUERIES), answers
    objects = [query.split("/")[0] for query in small.ILIAS_QUERIES]
    positives = small.ILIAS_POSITIVES
    answers = [{photo for photo in positives if photo.startswith(one)} for one in objects]
    return positives, small.ILIAS_QUERIES, answers


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("write", [small.write_archives, small.write_loose])
def test_every_benchmark_from_its_archives_and_unpacked(tmp_path: Path, name, write) -> None:
    write(name, tmp_path / "manual")
    dataset = loading.load(name, tmp_path)
    database, queries, answers = expected(name)
    assert list(dataset.database.names) == database
    assert list(dataset.queries.names) == queries
    for split in (dataset.database, dataset.queries):
        assert [split.read(place) for place in range(len(split))] == [
            small.picture(photograph) for photograph in split.names
        ]
    assert [{database[i] for i in entry["ok"]} for entry in dataset.ground_truth] == answers
    for query, entry in zip(queries, dataset.ground_truth, strict=True):
        itself = query in database and query not in {database[i] for i in entry["ok"]}
        assert [database[i] for i in entry["junk"]] == ([query] if itself else [])
    row = registry.get(name)
    assert (dataset.metrics, dataset.depth, dataset.query_crop) == (
        row.metrics,
        row.depth,
        row.query_crop,
    )
    assert dataset.protocols == ("classic",)
    assert set(row.notes) < set(dataset.notes)
    if name == "ilias-core":
        assert dataset.queries.boxes == ((3, 2, 41, 24), (0, 0, 50, 40))


@pytest.mark.parametrize("name", ["sop", "met", "copydays", "ilias-core"])
def test_a_second_run_needs_no_official_file(tmp_path: Path, name: str) -> None:
    small.write_archives(name, tmp_path / "manual")
    first = loading.load(name, tmp_path)
    shutil.rmtree(tmp_path / "manual")
    second = loading.load(name, tmp_path)
    assert second.database.fingerprint() == first.database.fingerprint()
    assert second.ground_truth == first.ground_truth
    assert second.notes == first.notes


def test_both_directions_of_amstertime_share_their_photographs(tmp_path: Path) -> None:
    small.write_archives("amstertime", tmp_path / "manual")
    there = loading.load("amstertime", tmp_path)
    shutil.rmtree(tmp_path / "manual")
    (tmp_path / "manual").mkdir()
    (tmp_path / "manual" / "nothing.txt").touch()
    back = loading.load("amstertime-old", tmp_path)
    assert back.queries.fingerprint() == there.database.fingerprint()


def test_all_benchmarks_in_one_folder_do_not_mix(tmp_path: Path) -> None:
    for name in NAMES:
        small.write_loose(name, tmp_path / "manual")
    for name in NAMES:
        assert list(loading.load(name, tmp_path).database.names) == expected(name)[0]


def test_all_against_all_describes_nothing_twice(tmp_path: Path) -> None:
    small.write_archives("sop", tmp_path / "manual")
    dataset = loading.load("sop", tmp_path)
    assert dataset.queries.fingerprint() == dataset.database.fingerprint()


@pytest.mark.parametrize("name", NAMES)
def test_an_empty_folder_says_which_files_and_how(tmp_path: Path, name: str) -> None:
    (tmp_path / "manual").mkdir()
    with pytest.raises(UserError) as caught:
        loading.load(name, tmp_path)
    sentence, row = str(caught.value), registry.get(name)
    assert row.files[0].file in sentence
    if name.startswith("amstertime"):
        assert "its makers give it out at https://doi.org/10.4121/19580806" in sentence
    else:
        assert f"`python tools/download.py {name} --output={tmp_path}/manual`" in sentence


def test_too_few_and_too_many_are_counted(tmp_path: Path) -> None:
    small.write_loose("holidays", tmp_path / "manual")
    gone = next((tmp_path / "manual").rglob("125801.jpg"))
    gone.unlink()
    with pytest.raises(
        UserError, match=r"holidays has 7 photographs, and 6 lie in .*jpg1\.tar\.gz"
    ):
        loading.load("holidays", tmp_path)
    partial = loading.load("holidays", tmp_path, allow_missing=True)
    assert partial.notes[0].startswith("INCOMPLETE: 6 of the 7 database photographs")
    assert partial.ground_truth[1]["ok"] == []
    for number in ("125801", "125802"):
        (gone.parent / f"{number}.jpg").write_bytes(small.picture(number))
    with pytest.raises(UserError, match=r"and 8 lie in .* Name a folder that holds only its own"):
        loading.load("holidays", tmp_path)


@pytest.mark.parametrize("name", NAMES)
def test_a_part_of_every_benchmark_can_be_asked_for(tmp_path: Path, name: str) -> None:
    """Every third photograph is gone; what is left is numbered anew and keeps its answers."""
    small.write_loose(name, tmp_path / "manual")
    pictures = [
        p for p in (tmp_path / "manual").rglob("*.*") if p.suffix.lower() in (".jpg", ".png")
    ]
    for file in sorted(pictures)[2::3]:
        file.unlink()
    dataset = loading.load(name, tmp_path, allow_missing=True)
    assert dataset.notes[0].startswith("INCOMPLETE")
    assert dataset.metrics == registry.get(name).metrics
    database, queries, answers = expected(name)
    here = list(dataset.database.names)
    assert here == [photograph for photograph in database if photograph in here]
    for query, entry in zip(dataset.queries.names, dataset.ground_truth, strict=True):
        assert {here[i] for i in entry["ok"]} == answers[queries.index(query)] & set(here)


def test_listed_photographs_that_are_missing_are_named(tmp_path: Path) -> None:
    small.write_loose("met-mini", tmp_path / "manual")
    next((tmp_path / "manual").rglob("MET/35/0.jpg")).unlink()
    with pytest.raises(
        UserError, match=r"1 of the 6 photographs of met are missing .*MET/35/0\.jpg"
    ):
        loading.load("met-mini", tmp_path)
    assert (tmp_path / "met_missing.txt").read_text() == "MET/35/0.jpg\n"
    partial = loading.load("met-mini", tmp_path, allow_missing=True)
    assert list(partial.database.names) == ["MET/34/0.jpg"]


def test_a_png_cut_off_is_no_photograph(tmp_path: Path) -> None:
    small.write_loose("amstertime", tmp_path / "manual")
    file = next((tmp_path / "manual").rglob("new/0001.png"))
    file.write_bytes(file.read_bytes()[:-40])
    with pytest.raises(UserError, match=r"1 of the 6 .* new/0001\.png"):
        loading.load("amstertime", tmp_path)


def test_a_category_of_nine_is_refused(tmp_path: Path) -> None:
    small.write_loose("gpr1200", tmp_path / "manual")
    file = next((tmp_path / "manual").rglob(small.GPR1200[3]))
    file.rename(file.with_name("1_moved.jpg"))
    with pytest.raises(UserError, match="category 0 has 9 photographs instead of 10"):
        loading.load("gpr1200", tmp_path)


def test_a_place_without_a_pair_is_refused(tmp_path: Path) -> None:
    small.write_loose("amstertime", tmp_path / "manual")
    file = next((tmp_path / "manual").rglob("old/0001.jpg"))
    file.rename(file.with_name("0777.jpg"))
    with pytest.raises(UserError, match="place 0001 has no pair"):
        loading.load("amstertime", tmp_path)


@pytest.mark.parametrize(
    ("name", "file", "content", "sentence"),
    [
        (
            "sop",
            "Ebay_test.txt",
            b"class path\n1 a.jpg\n",
            "not the list of sop: image_id class_id",
        ),
        ("sop", "Ebay_test.txt", b"", "not the list of sop"),
        ("met", "testset.json", b"{", "testset.json: no JSON"),
        ("met", "testset.json", b'[{"MET_id": 3}]', "testset.json is not a list of met"),
        ("met", "MET_database.json", b'{"path": 1}', "MET_database.json is not a list of met"),
        ("ilias-core", "Q000_00_bbox.txt", b"1 2 3\n", "lines of x y width height"),
        ("ilias-core", "Q000_00_bbox.txt", b"\n", "one or more"),
        ("ilias-core", "Q000_00_bbox.txt", b"a b c d\n", "no box file"),
        ("ilias-core", "Q000_00_bbox.txt", b"1 2 0 5\n", "lines of x y width height"),
    ],
)
def test_lists_that_are_something_else(tmp_path, name, file, content, sentence) -> None:
    small.write_loose(name, tmp_path / "manual")
    next((tmp_path / "manual").rglob(file)).write_bytes(content)
    with pytest.raises(UserError, match=sentence):
        loading.load(name, tmp_path)
    assert not list(tmp_path.glob("*/*/1.0.0/*_dataset_info.json"))


def test_a_query_of_ilias_without_its_box(tmp_path: Path) -> None:
    small.write_loose("ilias-core", tmp_path / "manual")
    next((tmp_path / "manual").rglob("Q999_00_bbox.txt")).unlink()
    with pytest.raises(UserError, match=r"box of zippy_zootlenibble_999/query/Q999_00\.jpg"):
        loading.load("ilias-core", tmp_path)


def test_boxes_enclose_all_places_and_end_at_the_border() -> None:
    assert boxes_of("a.bbox.json", b"[[318, 91, 182, 190]]") == [[318, 91, 182, 190]]
    assert boxes_of("a_bbox.txt", b"1 2 3 4\r\n5 6 7 8") == [[1, 2, 3, 4], [5, 6, 7, 8]]
    assert enclosing([(-3, 5, 10, 2), (4, 1, 20, 3)]) == (0, 1, 24, 7)
    with pytest.raises(UserError, match="no box file"):
        boxes_of("a.bbox.json", b"[3]")


@pytest.mark.parametrize("orientation", range(1, 9))
def test_boxes_of_a_turned_photograph_hold_what_they_held_upright(orientation: int) -> None:
    """The makers draw boxes on the photograph turned upright; splits hold them as it is stored."""
    upright = Image.new("RGB", (64, 48), "black")
    upright.paste("white", (10, 20, 30, 44))
    turned = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # what undoes each, PIL's Transpose
    stored = upright.transpose(Image.Transpose(turned[orientation])) if orientation > 1 else upright
    buffer, exif = io.BytesIO(), Image.Exif()
    exif[0x0112] = orientation
    stored.save(buffer, "JPEG", exif=exif, quality=100, subsampling=0)
    assert ImageOps.exif_transpose(Image.open(buffer)).getpixel((20, 30)) > (200,) * 3
    box = ilias_layout._stored((10, 20, 30, 44), buffer.getvalue(), "q")
    seen = to_pixels(buffer.getvalue(), "q", 32, box)
    assert seen.min() > 200
    whole = ilias_layout._stored((0, 0, 900, 900), buffer.getvalue(), "q")
    assert whole == (0, 0, *stored.size)


def test_the_form_for_webdataset_is_read(tmp_path: Path) -> None:
    """The makers' tar files with photographs of at most 500 pixels, boxes as JSON."""
    members = {name: small.picture(name) for name in (*small.ILIAS_QUERIES, *small.ILIAS_POSITIVES)}
    members |= {
        query.replace(".jpg", ".bbox.json"): b"[[1, 2, 30, 40], [5, 5, 50, 6]]"
        for query in small.ILIAS_QUERIES
    }
    small.write_archive(tmp_path / "manual" / "ilias" / "00000.tar", members)
    dataset = loading.load("ilias-core", tmp_path)
    assert dataset.queries.boxes == ((1, 2, 55, 42),) * 2


def test_a_cut_off_archive_leaves_nothing(tmp_path: Path) -> None:
    small.write_archives("holidays", tmp_path / "manual")
    archive = tmp_path / "manual" / "jpg2.tar.gz"
    archive.write_bytes(archive.read_bytes()[:-200])
    with pytest.raises(UserError, match=r"jpg2\.tar\.gz cannot be read beyond its first"):
        loading.load("holidays", tmp_path)
    assert not list(tmp_path.rglob("dataset_info.json"))


@pytest.mark.parametrize("name", sorted({row.builder for row in registry.BENCHMARKS.values()}))
def test_builders_describe_themselves(tmp_path: Path, name: str) -> None:
    builder = loading.builder_class(name)(data_dir=tmp_path, file_format="array_record")
    assert builder.name == name
    assert "@" in builder.info.citation and "{" in builder.info.citation
    assert len(builder.info.description) > 300
    assert builder.info.homepage.startswith("http")
    assert str(builder.version) in builder.RELEASE_NOTES
    assert builder.MANUAL_DOWNLOAD_INSTRUCTIONS
    assert all(
        tag in tfds.core.dataset_metadata.valid_tags() for tag in builder.get_metadata().tags
    )


def test_every_row_says_where_it_is_from_and_what_may_be_done() -> None:
    from jaxret.evaluation.measures import measure

    for row in registry.BENCHMARKS.values():
        assert row.licence
        assert all(source.url.startswith(("http", "ftp")) for source in row.files)
        assert [measure(key).key for key in row.metrics] == list(row.metrics)
        if row.name not in {one.name for one in study.ROWS}:
            configs = loading.builder_class(row.builder).builder_configs
            assert row.loader or {row.config, row.pictures} <= set(configs)


def test_layouts_of_the_study_are_files() -> None:
    assert type(layout.of(registry.get("instre"))) is layout.OfGroundTruthFile


@pytest.mark.parametrize("ending", [".tar", ".tar.gz", ".zip"])
def test_an_archive_cut_anywhere_is_never_read_as_whole(tmp_path: Path, ending: str) -> None:
    whole = tmp_path / f"whole{ending}"
    small.write_archive(whole, {name: small.picture(name) for name in small.UKBENCH[:4]})
    content = whole.read_bytes()
    assert len(list(archives.members(whole, lambda path: True))) == 4
    cut = tmp_path / f"cut{ending}"
    # at the borders of blocks, where a tar looks whole, and inside of them
    last = content.rstrip(b"\0") if ending == ".tar" else content
    ends = {*range(0, len(last), 512), len(last) - 1, len(last) // 2, len(last) - 9}
    for end in ends:
        cut.write_bytes(content[:end])
        with pytest.raises(UserError, match="cut off or damaged"):
            list(archives.members(cut, lambda path: True))
