"""Small synthetic JPEGs under all the real names of a benchmark.

The photographs of the benchmarks may not be passed on, but everything that depends on their names,
number and nesting can be tried at full size without them. Each stand-in differs from all others in
its pixels or its comment, and a query's is large enough for its box.
"""

import functools
import hashlib
import io
import math
import tarfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from jaxret.data.benchmarks import registry
from jaxret.data.ground_truth.files import GroundTruth

_SIDE = 16  # pixels of a stand-in that no box is drawn on


def make(truth: GroundTruth, builder: str, folder: Path, *, archives: bool = False) -> int:
    """Write a stand-in for every photograph that the ground truth names.

    Args:
      truth: whose names and boxes.
      builder: "oxford5k", "paris6k" or "instre": decides the nesting, which is the official one.
      folder: where to write.
      archives: write the official archives instead of loose files.

    Returns:
      How many.
    """
    folder.mkdir(parents=True, exist_ok=True)
    stand_ins = list(contents(truth, builder))
    if not archives:
        for path, content in stand_ins:
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(content)
        return len(stand_ins)
    sources = registry.of_builder(builder)[0].archives
    share = math.ceil(len(stand_ins) / len(sources))
    for number, source in enumerate(sources):
        with tarfile.open(folder / source.file, "w:gz", compresslevel=1) as tar:
            for path, content in stand_ins[number * share : (number + 1) * share]:
                entry = tarfile.TarInfo(path)
                entry.size = len(content)
                tar.addfile(entry, io.BytesIO(content))
    return len(stand_ins)


def official_path(builder: str, name: str) -> str:
    """Where the official archives have a photograph: paris_louvre_000001 in paris/louvre/."""
    if builder == "paris6k":
        return f"paris/{name.split('_')[1]}/{name}.jpg"
    return name if name.endswith(".jpg") else f"{name}.jpg"


def contents(truth: GroundTruth, builder: str) -> Iterator[tuple[str, bytes]]:
    """Official path and encoded stand-in of each photograph, by name."""
    sides = {name: _SIDE for name in truth.imlist}
    for name, box in zip(truth.qimlist, truth.boxes, strict=True):
        reach = 0 if box is None else math.ceil(max(box[2:]))
        sides[name] = max(sides.get(name, _SIDE), -(-reach // 128) * 128)
    for name, side in sorted(sides.items()):
        content = noise(name) if side == _SIDE else plain(side)
        yield official_path(builder, name), with_comment(content, name)


def with_comment(jpeg: bytes, comment: str) -> bytes:
    """The JPEG with a comment segment behind its start marker."""
    text = comment.encode()
    return jpeg[:2] + b"\xff\xfe" + (len(text) + 2).to_bytes(2, "big") + text + jpeg[2:]


def noise(name: str) -> bytes:
    """A small JPEG of coloured noise, another one for every name."""
    seed = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big")
    pixels = np.random.default_rng(seed).integers(0, 256, (_SIDE, _SIDE, 3), dtype=np.uint8)
    return _jpeg(Image.fromarray(pixels))


@functools.cache
def plain(side: int) -> bytes:
    """A grey JPEG of side x side pixels."""
    return _jpeg(Image.new("RGB", (side, side), (128, 128, 128)))


def _jpeg(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=60)
    return buffer.getvalue()
