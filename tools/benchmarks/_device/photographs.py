"""Pictures that need no package and no file, and how fast the host decodes them."""

import functools
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks._device.report import Row, row
from benchmarks._device.sizes import Sizes
from jaxret.data.dataset import FileSplit
from jaxret.data.images.loader import batches
from jaxret.runtime.machine import cores

WIDTH, HEIGHT = 1024, 768
DISTINCT = 8  # pictures that are drawn; the others are these, moved


def pictures(side: int, count: int) -> np.ndarray:
    """uint8 [count, side, side, 3]: noise of all scales, as much of each as a photograph has."""
    made = _distinct(side)
    return np.stack([np.roll(made[i % DISTINCT], i // DISTINCT, axis=1) for i in range(count)])


@functools.cache
def _distinct(side: int) -> list[np.ndarray]:
    return [np.asarray(picture(side, side, seed)) for seed in range(DISTINCT)]


def picture(width: int, height: int, seed: int) -> Image.Image:
    """Octaves of noise, each half as coarse as the one before and half as strong."""
    random, total = np.random.default_rng(seed), np.zeros((height, width, 3), np.float32)
    for octave in range(1, 9):
        grain = random.integers(0, 256, (min(height, 2**octave), min(width, 2**octave), 3))
        smooth = Image.fromarray(grain.astype(np.uint8)).resize(
            (width, height), Image.Resampling.BICUBIC
        )
        total += (np.asarray(smooth, np.float32) - 127.5) * 2.0**-octave
    return Image.fromarray(np.clip(total * 1.2 + 127.5, 0, 255).astype(np.uint8))


def decoding(sizes: Sizes) -> Iterator[Row]:
    """JPEG files of 1024 x 768 to pixels of the study's size, on all cores of the host."""
    with tempfile.TemporaryDirectory() as folder:
        names = tuple(f"{i:04d}.jpg" for i in range(sizes.photographs))
        for i, name in enumerate(names):
            if i < DISTINCT:
                picture(WIDTH, HEIGHT, i).save(Path(folder) / name, quality=90)
            else:
                shutil.copy(Path(folder) / names[i % DISTINCT], Path(folder) / name)
        split = FileSplit(Path(folder), names, (None,) * len(names))
        start = time.perf_counter()
        seen = sum(batch.count for batch in batches(split, sizes.side, 32, workers=cores()))
        seconds = time.perf_counter() - start
    yield row(
        f"JPEG {WIDTH} x {HEIGHT} to {sizes.side} x {sizes.side}, PIL, {cores()} threads",
        **{"photographs/s": seen / seconds},
    )
