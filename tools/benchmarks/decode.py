"""JPEG files to batches of pixels: jaxret's loader and a PyTorch DataLoader over PIL, in one run.

    python tools/benchmark.py decode --photographs=128 --workers=2 --json=out.json

Every contender reads 1024x768 JPEGs, cuts each to a box, resizes to --size and delivers uint8
batches of 32; they must deliver the same pixels before they are timed. Worker processes are started
before the first round and kept. Grain takes part where it is installed; it starts its processes
anew for every pass, which weighs on a short one.
"""

import argparse
import importlib.util
import json
import statistics
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset

from benchmarks._rounds import machine, ratios, time_in_rounds
from jaxret.data.dataset import FileSplit
from jaxret.data.images.loader import batches
from jaxret.runtime.machine import cores

BASELINE = "torch DataLoader"
BATCH = 32
WIDTH, HEIGHT = 1024, 768
BOX = (102.4, 76.8, 921.6, 691.2)

Contender = Callable[[], Iterator[np.ndarray]]


class PilPhotographs(Dataset):
    """What the public evaluation code does to a photograph."""

    def __init__(self, split: FileSplit, size: int) -> None:
        self.paths = [split.path(i) for i in range(len(split))]
        self.size = size

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> np.ndarray:
        with self.paths[index].open("rb") as stream:
            image = Image.open(stream).convert("RGB").crop(BOX)
        return np.array(image.resize((self.size, self.size), Image.Resampling.BILINEAR))


def write_photographs(folder: Path, count: int) -> FileSplit:
    """Real photographs of 1024x768, each from another angle, as JPEGs of quality 90."""
    import skimage.data

    originals = [skimage.data.chelsea(), skimage.data.coffee(), skimage.data.astronaut()]
    for i in range(count):
        turned = Image.fromarray(originals[i % 3]).rotate(7 * (i // 3))
        turned.resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC).save(
            folder / f"{i:04d}.jpg", quality=90
        )
    return FileSplit(folder, tuple(f"{i:04d}.jpg" for i in range(count)), (BOX,) * count)


def jaxret_contender(split: FileSplit, size: int, workers: int, decoder: str) -> Contender:
    return lambda: (b.images for b in batches(split, size, BATCH, workers=workers, decoder=decoder))


def torch_contender(split: FileSplit, size: int, workers: int) -> Contender:
    loader = DataLoader(
        PilPhotographs(split, size), BATCH, num_workers=workers, persistent_workers=workers > 0
    )
    return lambda: (batch.numpy() for batch in loader)


def grain_contender(split: FileSplit, size: int, workers: int) -> Contender:
    import grain.python as grain
    from absl import flags

    flags.FLAGS.mark_as_parsed()  # its worker processes look at flags of their own
    loader = grain.DataLoader(
        data_source=PilPhotographs(split, size),
        sampler=grain.SequentialSampler(len(split), grain.NoSharding()),
        operations=[grain.Batch(BATCH)],
        worker_count=workers,
    )
    return lambda: iter(loader)


def contenders(split: FileSplit, size: int, workers: int) -> dict[str, Contender]:
    found = {
        BASELINE: torch_contender(split, size, workers),
        "jaxret": jaxret_contender(split, size, workers, "pil"),
        "jaxret one thread": jaxret_contender(split, size, 0, "pil"),
    }
    if importlib.util.find_spec("simplejpeg"):
        found["jaxret simplejpeg"] = jaxret_contender(split, size, workers, "simplejpeg")
    if importlib.util.find_spec("grain"):
        found["grain"] = grain_contender(split, size, workers)
    return found


def check_agreement(running: dict[str, Contender]) -> None:
    """All deliver the same pictures, in whatever order: Grain deals them out to its workers."""

    def sums(run: Contender) -> list[int]:
        rows = [int(image.sum(dtype=np.int64)) for batch in run() for image in batch]
        return sorted(row for row in rows if row)  # padding is zero

    expected = sums(running[BASELINE])
    for name, run in running.items():
        if sums(run) != expected:
            raise SystemExit(f"{name} does not deliver the pixels of {BASELINE}.")


def compare(count: int, size: int, workers: int, repeats: int) -> dict[str, Any]:
    """Photographs per second of every contender, and its time relative to the baseline's."""
    with tempfile.TemporaryDirectory() as folder:
        split = write_photographs(Path(folder), count)
        running = contenders(split, size, workers)
        check_agreement(running)

        def drain(run: Contender) -> Callable[[], int]:
            return lambda: sum(len(batch) for batch in run())

        seconds = time_in_rounds({name: drain(run) for name, run in running.items()}, repeats)
    return {
        name: {
            "photographs_per_s": count / statistics.median(times),
            "time_ratio": ratios(seconds, name, BASELINE),
            "seconds": times,
        }
        for name, times in seconds.items()
    }


def table(result: dict[str, Any], workers: int) -> str:
    lines = [
        f"| {workers} workers | photographs/s | time relative to {BASELINE}: min, median, max |",
        "|---|---|---|",
    ]
    for name, row in result.items():
        spread = ", ".join(f"{row['time_ratio'][key]:.2f}" for key in ("min", "median", "max"))
        lines.append(f"| {name} | {row['photographs_per_s']:.1f} | {spread} |")
    return "\n".join(lines)


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="benchmark.py decode",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--photographs", type=int, default=128)
    parser.add_argument("--size", type=int, default=724, help="pixels a side")
    parser.add_argument("--workers", type=int, default=cores(), help="threads or processes")
    parser.add_argument("--repeats", type=int, default=7, help="rounds")
    parser.add_argument("--json", type=Path, help="file to write everything to")
    flags = parser.parse_args(arguments)
    torch.set_num_threads(1)  # it only collates
    result = compare(flags.photographs, flags.size, flags.workers, flags.repeats)
    facts = machine()
    print(f"{facts['date']}, {facts['processor']}, {facts['cores']} cores", end=", ")
    print(f"load {facts['load_average']:.1f}\n\n{table(result, flags.workers)}")
    if flags.json:
        report = {"machine": facts, "baseline": BASELINE, "contenders": result}
        flags.json.write_text(json.dumps(report, indent=1) + "\n")
    return 0
