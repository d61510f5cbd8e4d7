"""Small folders of photographs to learn from."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import skimage.data
from PIL import Image
from tiny import TINY

from jaxret.models import rows


@pytest.fixture(autouse=True)
def tiny_row(monkeypatch) -> None:
    """The registry knows the small network, in these tests alone."""
    monkeypatch.setattr(rows, "ROWS", (*rows.ROWS, TINY))


def _patches(count: int, seed: int) -> list[Image.Image]:
    """Pieces of real photographs."""
    sources = [skimage.data.chelsea(), skimage.data.coffee(), skimage.data.astronaut()]
    generator = np.random.default_rng(seed)
    pieces = []
    for i in range(count):
        source = sources[i % len(sources)]
        top, left = (int(generator.integers(side - 120)) for side in source.shape[:2])
        pieces.append(Image.fromarray(source[top : top + 120, left : left + 100]))
    return pieces


@pytest.fixture(scope="session")
def folder_of(tmp_path_factory) -> Callable[..., Path]:
    """(photographs, instances=0) -> folder; with instances, a gnd.json says what shows what."""

    def make(count: int, instances: int = 0) -> Path:
        folder = tmp_path_factory.mktemp("photographs")
        names = [f"{i:03d}.png" for i in range(count)]
        for name, image in zip(names, _patches(count, count), strict=True):
            image.save(folder / name)
        if instances:
            queries = names[:instances]
            database = names[instances:]
            groups = [
                [i for i in range(len(database)) if i % (instances + 1) == one]
                for one in range(instances)
            ]
            gnd = [{"easy": group[1:], "hard": group[:1], "junk": []} for group in groups]
            truth = {"imlist": database, "qimlist": queries, "gnd": gnd}
            (folder / "gnd.json").write_text(json.dumps(truth))
        return folder

    return make
