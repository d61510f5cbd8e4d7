"""The five benchmarks with forty photographs each, for suites: names, ground truths, counts."""

import dataclasses
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.io

from jaxret.data.benchmarks import registry, stand_ins
from jaxret.data.benchmarks.rows import study
from jaxret.data.ground_truth import files

COUNT, QUERIES = 40, 4
STUDY = {row.name: row for row in study.ROWS}
BOX = [3.5, 4, 120, 100.25]
NAMES = {
    "oxford5k": [f"{place}_{n:06d}" for place in ("all_souls", "new") for n in range(20)],
    "paris6k": [f"paris_{place}_{n:06d}" for place in ("louvre", "eiffel") for n in range(20)],
    "instre": [f"INSTRE-S1/{name}/{n:03d}.jpg" for name in ("01a", "02b") for n in range(20)],
}


def use_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Published counts become those of the stand-ins."""
    rows = {
        name: dataclasses.replace(
            row,
            database=COUNT if row.query_in_database else COUNT - QUERIES,
            queries=QUERIES,
            photographs=COUNT,
        )
        for name, row in STUDY.items()
    }
    monkeypatch.setattr(registry, "BENCHMARKS", rows)


def content(name: str) -> dict[str, Any]:
    """A ground truth: the photographs of a query's own place answer it."""
    row = registry.BENCHMARKS[name]
    images = NAMES[row.builder]
    queries = [images[place] for place in (2, 7, 22, 31)]
    database = images if row.query_in_database else [i for i in images if i not in queries]
    half = len(database) // 2
    gnd: list[dict[str, Any]] = []
    for number in range(QUERIES):
        first = 0 if number < 2 else half
        if row.kind == "revisited":
            lists = {
                "easy": [first, first + 1],
                "hard": [first + 2, first + 3],
                "junk": [first + 4],
            }
        else:
            lists = {"ok": list(range(first, first + 6))}
            lists |= {"junk": [first + 7]} if row.query_in_database else {}
        gnd.append({**lists, "bbx": BOX})
    return {"imlist": database, "qimlist": queries, "gnd": gnd}


def write(folder: Path) -> None:
    """Official files and photographs of all five, as a folder for --manual_dir."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, row in STUDY.items():
        raw, path = content(name), folder / row.ground_truth.file
        if path.suffix == ".pkl":
            path.write_bytes(pickle.dumps(raw))
        else:
            _write_mat(raw, path)
        stand_ins.make(files.read(path, name), row.builder, folder)


def _write_mat(raw: dict[str, Any], path: Path) -> None:
    gnd = np.zeros((1, QUERIES), dtype=[("ok", "O"), ("bbx", "O")])
    for place, entry in enumerate(raw["gnd"]):
        gnd[0, place] = (np.array([entry["ok"]]) + 1, np.array([BOX]))
    cells = {key: np.array([raw[key]], dtype=object) for key in ("imlist", "qimlist")}
    scipy.io.savemat(path, {**cells, "gnd": gnd})
