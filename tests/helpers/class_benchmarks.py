"""Benchmarks beyond the study's with a few photographs each, under names as the real ones have."""

import dataclasses
import io
import json
import tarfile
import zipfile
from collections.abc import Iterable
from pathlib import Path

import pytest
from PIL import Image

from jaxret.data.benchmarks import registry, stand_ins

GPR1200 = [
    f"{category}_{name}_{number}.jpg"
    for category, name in ((0, "00a1b2c3d4e5f607"), (1, "inat_Aves"), (2, "sketch"))
    for number in range(10)
]
HOLIDAYS = [f"{n}.jpg" for n in (100000, 100001, 100002, 125800, 125801, 149900, 149901)]
UKBENCH = [f"ukbench{number:05d}.jpg" for number in range(12)]
ORIGINALS = ["200000.jpg", "200100.jpg", "215600.jpg"]
STRONG = ["200001.jpg", "200002.jpg", "215601.jpg"]
CROPS = [f"crops/{share}/{name}" for share in (10, 80) for name in ORIGINALS]
JPEG = [f"jpegqual/{quality}/{name}" for quality in (3, 75) for name in ORIGINALS]
NEW = [f"new/{number}.png" for number in ("0000", "0001", "1367")]
OLD = [f"old/{number}.jpg" for number in ("0000", "0001", "1367")]
SOP = {  # in the order of the list: path -> class
    "bicycle_final/251952414262_0.JPG": 11319,
    "bicycle_final/251952414262_1.JPG": 11319,
    "chair_final/111182689872_0.JPG": 11320,
    "bicycle_final/251952414262_2.JPG": 11319,
    "chair_final/111182689872_1.JPG": 11320,
}
MET = {"MET/34/0.jpg": 34, "MET/34/1.jpg": 34, "MET/35/0.jpg": 35, "MET/700/0.jpg": 700}
MINI_MET = {"MET/34/0.jpg": 34, "MET/35/0.jpg": 35}
MET_QUERIES = {
    "test_met/0a1b2c.jpg": 34,
    "test_met/9f8e7d.jpg": 35,
    "test_other/44aa.jpg": None,
    "test_noart/55bb.jpg": None,
}
ILIAS_QUERIES = ["bold_bimp_000/query/Q000_00.jpg", "zippy_zootlenibble_999/query/Q999_00.jpg"]
ILIAS_POSITIVES = [
    "bold_bimp_000/pos/P000_00.jpg",
    "bold_bimp_000/pos/P000_01.jpg",
    "zippy_zootlenibble_999/pos/P999_00.jpg",
]
ILIAS_BOXES = {  # two places in the first query
    "bold_bimp_000/query/Q000_00_bbox.txt": "3 4 10 20\n30 2 11 9\n",
    "zippy_zootlenibble_999/query/Q999_00_bbox.txt": "0 0 50 40\n",
}
SIDE = 64  # pixels of an ILIAS query, which has boxes

# name -> database, queries, photographs
COUNTS = {
    "gpr1200": (30, 30, 30),
    "holidays": (7, 3, 7),
    "ukbench": (12, 12, 12),
    "copydays": (3, 3, 6),
    "copydays-crops": (3, 6, 9),
    "copydays-jpeg": (3, 6, 9),
    "amstertime": (3, 3, 6),
    "amstertime-old": (3, 3, 6),
    "sop": (5, 5, 5),
    "met": (4, 4, 8),
    "met-mini": (2, 4, 6),
    "ilias-core": (3, 2, 5),
}


def use_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Published counts become those of the small ones."""
    rows = dict(registry.BENCHMARKS)
    for name, (database, queries, photographs) in COUNTS.items():
        rows[name] = dataclasses.replace(
            rows[name], database=database, queries=queries, photographs=photographs
        )
    monkeypatch.setattr(registry, "BENCHMARKS", rows)


def picture(name: str) -> bytes:
    """An encoded picture that no other name has."""
    if name.endswith(".png"):
        buffer = io.BytesIO()
        with Image.open(io.BytesIO(stand_ins.noise(name))) as image:
            image.save(buffer, "PNG")
        return buffer.getvalue()
    if name in ILIAS_QUERIES:
        return stand_ins.with_comment(stand_ins.plain(SIDE), name)
    return stand_ins.with_comment(stand_ins.noise(name), name)


def archives(name: str) -> dict[str, dict[str, bytes]]:
    """Official archive -> path in it -> content, nested as its makers have it."""
    if name == "gpr1200":
        return {"GPR1200.zip": _pictures(GPR1200, "images/")}
    if name == "holidays":
        return {
            "jpg1.tar.gz": _pictures(HOLIDAYS[:4], "jpg/"),
            "jpg2.tar.gz": _pictures(HOLIDAYS[4:], "jpg/"),
        }
    if name == "ukbench":
        return {"ukbench.zip": _pictures(UKBENCH, "full/")}
    if name.startswith("copydays"):
        return {
            "copydays_original.tar.gz": _pictures(ORIGINALS),
            "copydays_strong.tar.gz": _pictures(STRONG),
            "copydays_crop.tar.gz": _pictures(CROPS),
            "copydays_jpeg.tar.gz": _pictures(JPEG),
        }
    if name.startswith("amstertime"):
        beside = {"AmsterTime/image_pairs.csv": b"new,old\n"}
        return {"AmsterTime.zip": _pictures([*NEW, *OLD], "AmsterTime/") | beside}
    if name == "sop":
        inside = _pictures(SOP, "Stanford_Online_Products/")
        train = {"Stanford_Online_Products/bicycle_final/111085122871_0.JPG": picture("train")}
        lists = {"Stanford_Online_Products/Ebay_test.txt": sop_list().encode()}
        return {"Stanford_Online_Products.zip": inside | train | lists}
    if name.startswith("met"):
        database = MINI_MET if name == "met-mini" else MET
        file = "small_MET.tar.gz" if name == "met-mini" else "MET.tar.gz"
        queries = {
            f"{folder}.tar.gz": _pictures([q for q in MET_QUERIES if q.startswith(folder)])
            for folder in ("test_met", "test_other", "test_noart")
        }
        return {file: _pictures(database), **queries, "ground_truth.tar.gz": met_lists()}
    assert name == "ilias-core"
    boxes = {f"ilias_core/{path}": text.encode() for path, text in ILIAS_BOXES.items()}
    texts = {"ilias_core/bold_bimp_000/query/T000.txt": b"a bold bimp"}
    return {
        "ilias_core.tar": _pictures([*ILIAS_QUERIES, *ILIAS_POSITIVES], "ilias_core/")
        | boxes
        | texts
    }


def write_archives(name: str, folder: Path) -> None:
    """Its official archives in a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for file, members in archives(name).items():
        write_archive(folder / file, members)


def write_loose(name: str, folder: Path) -> None:
    """What the archives hold, unpacked each into a folder of the archive's name, one further down.

    As people have it: `copydays/copydays_strong/200001.jpg`.
    """
    for file, members in archives(name).items():
        for path, content in members.items():
            target = folder / name / file.split(".")[0] / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)


def write_archive(archive: Path, members: dict[str, bytes]) -> None:
    archive.parent.mkdir(parents=True, exist_ok=True)
    if archive.suffix == ".zip":
        with zipfile.ZipFile(archive, "w") as opened:
            for path, content in members.items():
                opened.writestr(path, content)
        return
    with tarfile.open(archive, "w:gz" if archive.suffix == ".gz" else "w") as tar:
        for path, content in members.items():
            entry = tarfile.TarInfo(path)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))


def sop_list() -> str:
    lines = ["image_id class_id super_class_id path"]
    lines += [f"{59552 + n} {label} 1 {path}" for n, (path, label) in enumerate(SOP.items())]
    return "\n".join(lines) + "\n"


def met_lists() -> dict[str, bytes]:
    def entries(labels: dict[str, int]) -> bytes:
        return json.dumps([{"id": label, "path": path} for path, label in labels.items()]).encode()

    queries = [
        {"path": path} | ({} if label is None else {"MET_id": str(label)})
        for path, label in MET_QUERIES.items()
    ]
    return {
        "ground_truth/MET_database.json": entries(MET),
        "ground_truth/mini_MET_database.json": entries(MINI_MET),
        "ground_truth/testset.json": json.dumps(queries).encode(),
    }


def _pictures(names: Iterable[str], below: str = "") -> dict[str, bytes]:
    return {f"{below}{name}": picture(name) for name in names}
