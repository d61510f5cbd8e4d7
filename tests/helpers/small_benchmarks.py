"""Benchmarks of a few photographs in the form of the real ones, for tests."""

import dataclasses
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.io

from jaxret.data.benchmarks import registry, stand_ins
from jaxret.data.ground_truth import files

BOX = [3.5, 4, 120, 100.25]

PARIS = [f"paris_{place}_{n:06d}" for place in ("louvre", "eiffel") for n in (3, 1, 2, 7)]
OXFORD = [f"{place}_{n:06d}" for place in ("all_souls", "new") for n in (3, 1, 2, 7)]
INSTRE = [
    f"INSTRE-{part}/{name}/{n:03d}.jpg"
    for part, name in (("S1", "01a_book"), ("S2", "01"), ("M", "01"))
    for n in (1, 2, 3)
]


def use_small_benchmarks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Published counts become those of the small ones."""
    counts = {
        "oxford5k": (8, 2, 8),
        "paris6k": (8, 2, 8),
        "roxford5k": (6, 2, 8),
        "rparis6k": (6, 2, 8),
        "instre": (7, 2, 9),
    }
    rows = {
        name: dataclasses.replace(
            registry.get(name), database=database, queries=queries, photographs=photographs
        )
        for name, (database, queries, photographs) in counts.items()
    }
    monkeypatch.setattr(registry, "BENCHMARKS", rows)


def raw(name: str) -> dict[str, Any]:
    """The content of a small official ground truth."""
    if name == "instre":
        queries = [INSTRE[0], INSTRE[5]]
        database = [image for image in INSTRE if image not in queries]
        answers: list[dict[str, Any]] = [{"ok": [0, 1, 4, 5]}, {"ok": [2, 3]}]
    else:
        images = OXFORD if "oxford" in name else PARIS
        queries = [images[2], images[5]]
        if registry.get(name).kind == "classic":
            database = images
            answers = [{"ok": [2, 0], "junk": [7]}, {"ok": [5, 4, 6], "junk": []}]
        else:
            database = [image for image in images if image not in queries]
            answers = [
                {"easy": [0], "hard": [1, 2], "junk": [5]},
                {"easy": [], "hard": [4], "junk": [3]},
            ]
    return {
        "imlist": database,
        "qimlist": queries,
        "gnd": [{**answer, "bbx": BOX} for answer in answers],
    }


def write_ground_truth(name: str, folder: Path) -> Path:
    """Its official file, in the official format."""
    folder.mkdir(parents=True, exist_ok=True)
    content, path = raw(name), folder / registry.get(name).ground_truth.file
    if path.suffix == ".pkl":
        path.write_bytes(pickle.dumps(content))
        return path
    gnd = np.zeros((1, len(content["gnd"])), dtype=[("ok", "O"), ("bbx", "O")])
    for place, entry in enumerate(content["gnd"]):
        gnd[0, place] = (np.array([entry["ok"]]) + 1, np.array([BOX]))
    cells = {key: np.array([content[key]], dtype=object) for key in ("imlist", "qimlist")}
    scipy.io.savemat(path, {**cells, "gnd": gnd})
    return path


def write(name: str, folder: Path, *, archives: bool = False) -> dict[str, bytes]:
    """Ground truth and stand-ins; returns the encoded stand-ins by name."""
    truth = files.read(write_ground_truth(name, folder), name)
    builder = registry.get(name).builder
    stand_ins.make(truth, builder, folder, archives=archives)
    return {
        stand_in: content
        for path, content in stand_ins.contents(truth, builder)
        for stand_in in {*truth.imlist, *truth.qimlist}
        if stand_ins.official_path(builder, stand_in) == path
    }
