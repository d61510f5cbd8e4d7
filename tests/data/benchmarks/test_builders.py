"""TFDS builders of the benchmarks: every nesting, sharing, reuse, order and what is stored."""

import io
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import small_benchmarks
import tensorflow_datasets as tfds
from PIL import Image
from small_benchmarks import BOX, raw, use_small_benchmarks, write, write_ground_truth

from jaxret.data.benchmarks import loading, tfds_records
from jaxret.data.benchmarks.rows import study
from jaxret.errors import UserError

NAMES = [row.name for row in study.ROWS]


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    use_small_benchmarks(monkeypatch)


def as_is(folder: Path) -> None:
    pass


def in_jpg(folder: Path) -> None:
    """Everything one folder further down, file names in capitals' endings."""
    for path in sorted(folder.rglob("*.jpg")):
        target = folder / "deep" / "er" / "jpg" / path.relative_to(folder).with_suffix(".JPG")
        target.parent.mkdir(parents=True, exist_ok=True)
        path.rename(target)


def in_one_tar(folder: Path) -> None:
    with tarfile.open(folder / "mine.tar", "w") as tar:
        for path in sorted(folder.rglob("*.jpg")):
            tar.add(path, Path("./data") / path.relative_to(folder))
            path.unlink()


def in_one_zip(folder: Path) -> None:
    with zipfile.ZipFile(folder / "mine.zip", "w") as archive:
        for path in sorted(folder.rglob("*.jpg")):
            archive.write(path, path.relative_to(folder))
            path.unlink()


def half_in_a_zip(folder: Path) -> None:
    with zipfile.ZipFile(folder / "mine.zip", "w") as archive:
        for path in sorted(folder.rglob("*.jpg"))[::2]:
            archive.write(path, path.relative_to(folder))
            path.unlink()


@pytest.mark.parametrize("nesting", [as_is, in_jpg, in_one_tar, in_one_zip, half_in_a_zip])
@pytest.mark.parametrize("name", ["roxford5k", "paris6k", "instre"])
def test_photographs_are_found_in_any_nesting(
    tmp_path: Path, name: str, nesting: Callable[[Path], None]
) -> None:
    encoded = write(name, tmp_path / "manual")
    nesting(tmp_path / "manual")
    _check_equal(loading.load(name, tmp_path), name, encoded)


@pytest.mark.parametrize("name", NAMES)
def test_the_official_archives_are_read(tmp_path: Path, name: str) -> None:
    encoded = write(name, tmp_path / "manual", archives=True)
    assert not list((tmp_path / "manual").rglob("*.jpg"))
    dataset = loading.load(name, tmp_path)
    _check_equal(dataset, name, encoded)
    assert not list(tmp_path.rglob("unpacked"))
    if name != "instre":
        assert "by the name, the re-release of 2022 with blurred faces" in dataset.notes[0]


def _check_equal(dataset: Any, name: str, encoded: dict[str, bytes]) -> None:
    """The dataset is what the official files say, in their order."""
    expected = raw(name)
    assert list(dataset.database.names) == expected["imlist"]
    assert list(dataset.queries.names) == expected["qimlist"]
    for split in (dataset.database, dataset.queries):
        for place, photograph in enumerate(split.names):
            assert split.read(place) == encoded[photograph]
    assert list(dataset.database.boxes) == [None] * len(expected["imlist"])
    assert list(dataset.queries.boxes) == [tuple(BOX)] * 2
    junk = [{"junk": entry.get("junk", []), **entry} for entry in expected["gnd"]]
    assert dataset.ground_truth == junk
    assert dataset.on_bad_image == "fail"


def test_configurations_share_the_photographs(tmp_path: Path) -> None:
    """Either may come first, and the second needs only its ground truth."""
    encoded = write("rparis6k", tmp_path / "manual")
    loading.load("rparis6k", tmp_path)
    shutil.rmtree(tmp_path / "manual")
    write_ground_truth("paris6k", tmp_path / "manual")
    _check_equal(loading.load("paris6k", tmp_path), "paris6k", encoded)
    stored = encoded[raw("paris6k")["imlist"][0]]
    holding = {
        path.parents[1].name for path in tmp_path.rglob("*.array_record*") if stored in _read(path)
    }
    assert holding == {"photographs"}


def _read(path: Path) -> bytes:
    from array_record.python.array_record_module import ArrayRecordReader

    reader = ArrayRecordReader(str(path))
    return b"".join(reader.read(range(reader.num_records())))


def test_a_second_run_reuses_what_is_prepared(tmp_path: Path) -> None:
    write("instre", tmp_path / "manual")
    first = loading.load("instre", tmp_path)
    shutil.rmtree(tmp_path / "manual")
    written = {path: path.stat().st_mtime_ns for path in (tmp_path / "instre").rglob("*")}
    second = loading.load("instre", tmp_path)
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "instre").rglob("*")} == written
    assert second.database.fingerprint() == first.database.fingerprint()
    assert second.ground_truth == first.ground_truth
    assert second.notes == first.notes


def test_rows_as_any_user_of_tfds_reads_them(tmp_path: Path) -> None:
    encoded = write("roxford5k", tmp_path / "manual")
    loading.load("roxford5k", tmp_path)
    builder = loading.builder_class("oxford5k")(
        config="revisited", data_dir=tmp_path, file_format="array_record"
    )
    expected = raw("roxford5k")
    query = builder.as_data_source("queries", decoders=tfds_records.ENCODED)[1]
    assert query["image"] == encoded[expected["qimlist"][1]]
    assert query["name"].decode() == expected["qimlist"][1]
    assert list(query["bbox"]) == BOX
    assert {key: list(query[key]) for key in ("easy", "hard", "junk")} == {
        "easy": [],
        "hard": [4],
        "junk": [3],
    }
    sources = builder.as_data_source()
    assert {split: len(source) for split, source in sources.items()} == {
        "database": 6,
        "queries": 2,
    }
    row = sources["database"][3]
    assert row["name"].decode() == expected["imlist"][3]
    with Image.open(io.BytesIO(encoded[expected["imlist"][3]])) as image:
        np.testing.assert_array_equal(row["image"], np.asarray(image.convert("RGB")))
    assert (
        builder.as_data_source(["queries", "database[:2]"])[1][1]["name"]
        == (sources["database"][1]["name"])
    )


@pytest.mark.parametrize("name", ["oxford5k", "paris6k", "instre", "revisitop1m"])
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


def test_checksums_are_those_of_the_rows() -> None:
    for row in study.ROWS:
        known = loading.builder_class(row.builder).url_infos[row.ground_truth.url]
        assert known.checksum == row.ground_truth.sha256
        assert known.filename == row.ground_truth.file


def test_tensorflow_is_never_imported(tmp_path: Path) -> None:
    write("roxford5k", tmp_path / "manual")
    code = f"""
import sys
sys.path.insert(0, {str(Path(small_benchmarks.__file__).parent)!r})
import pytest
from small_benchmarks import use_small_benchmarks
from jaxret.data.benchmarks import loading
use_small_benchmarks(pytest.MonkeyPatch())
dataset = loading.load("roxford5k", {str(tmp_path)!r})
dataset.database.read(0)
sys.exit("tensorflow" in sys.modules or "torch" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True)
    assert done.returncode == 0, done.stderr.decode()
    assert done.stdout == b""


def test_a_ground_truth_not_the_known_one_is_said(tmp_path: Path) -> None:
    write("oxford5k", tmp_path / "manual")
    notes = loading.load("oxford5k", tmp_path).notes
    assert notes[0].endswith("No checksums of either release are known to compare with.")
    assert "loose files, of an unknown release" in notes[0]
    assert notes[1] == (
        "Ground truth gnd_oxford5k.pkl: not the known file, but it passed every check."
    )


def test_paris_says_what_its_archives_hold_beside(tmp_path: Path) -> None:
    write("rparis6k", tmp_path / "manual")
    (tmp_path / "manual" / "paris_louvre_000136.jpg").write_text("<html>302 Found</html>")
    dataset = loading.load("rparis6k", tmp_path)
    assert "20 further photographs that have never been readable" in dataset.notes[-1]


def test_a_box_outside_its_photograph_stops_the_preparation(tmp_path: Path) -> None:
    encoded = write("roxford5k", tmp_path / "manual")
    name = raw("roxford5k")["qimlist"][0]
    small = next(content for content in encoded.values() if _side(content) == 16)
    (tmp_path / "manual" / f"{name}.jpg").write_bytes(small)
    with pytest.raises(UserError, match=rf"query 0 \({name}\): bbx .* 16 x 16 pixels"):
        loading.load("roxford5k", tmp_path)
    assert not (tmp_path / "oxford5k" / "revisited" / "1.0.0").exists()


def _side(encoded: bytes) -> int:
    with Image.open(io.BytesIO(encoded)) as image:
        return image.width
