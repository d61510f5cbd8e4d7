"""Peak host memory of recalibration and extraction, by the number of photographs.

    python tools/benchmark.py memory --photographs=500,5000 --json=out.json

Each number has a process of its own, which reports the largest resident size it ever had. The
photographs are small JPEGs, no two alike, cut from real ones; the encoder is the default one, at a
small size, so that what grows with their number is not hidden behind the activations.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks._rounds import peak_bytes
from jaxret import defaults, models
from jaxret.data.dataset import FileSplit
from jaxret.descriptors.describer import Extraction
from jaxret.descriptors.extraction import extract
from jaxret.descriptors.pooling_rows import Pooling
from jaxret.descriptors.recalibration import Recalibration, recalibrated
from jaxret.runtime.artifacts import Store

SIDE = 128  # pixels of the photographs


def write_photographs(folder: Path, count: int) -> None:
    """JPEGs of SIDE x SIDE, each another part of a real photograph."""
    import skimage.data
    from PIL import Image

    wholes = [
        Image.fromarray(pixels)
        for pixels in (skimage.data.chelsea(), skimage.data.coffee(), skimage.data.astronaut())
    ]
    for i in range(count):
        whole = wholes[i % len(wholes)]
        place = i // len(wholes)
        across = whole.width - SIDE
        left, top = place % across, place // across * 16
        box = left, top, left + SIDE, top + SIDE
        whole.crop(box).save(folder / f"{i:06d}.jpg", quality=90)


def extraction(size: int, batch: int, decoder: str = "pil") -> Extraction:
    """As the command line sets it by default."""
    return Extraction(
        image_size=size,
        crop=True,
        resize="square",
        decoder=decoder,
        dtype="float32",
        pooling=Pooling(),
        on_bad_image="fail",
        batch_size=batch,
        workers=None,
    )


def measure(folder: Path, model: str, size: int, batch: int) -> dict[str, int]:
    """Recalibrates on and describes the photographs of a folder; peak memory of this process."""
    split = FileSplit(folder, tuple(sorted(path.name for path in folder.glob("*.jpg"))))
    how = extraction(size, batch)
    passed = Recalibration(defaults.BN_MOMENTUM, batch, size, how.on_bad_image)
    store = Store(folder / "workdir")
    made = extract(
        lambda: recalibrated(models.load(model), split, passed, store), split, how, {}, store
    )
    return {
        "photographs": len(split),
        "peak_bytes": peak_bytes(),
        "descriptor_bytes": made.vectors.nbytes,
    }


def measure_apart(count: int, flags: argparse.Namespace) -> dict[str, int]:
    """`measure` in a process that has done nothing else."""
    with tempfile.TemporaryDirectory() as folder:
        write_photographs(Path(folder), count)
        options = [f"--model={flags.model}", f"--size={flags.size}", f"--batch={flags.batch}"]
        command = [sys.executable, sys.argv[0], "memory", f"--folder={folder}", *options]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        return json.loads(done.stdout)


def table(rows: list[dict[str, int]], flags: argparse.Namespace) -> str:
    lines = [
        f"| {flags.model}, {flags.size} x {flags.size}, batch {flags.batch} | peak, MiB "
        "| of it the descriptors, MiB |",
        "|---|---:|---:|",
    ]
    for row in rows:
        peak, descriptors = (row[key] / 2**20 for key in ("peak_bytes", "descriptor_bytes"))
        lines.append(f"| {row['photographs']} photographs | {peak:.0f} | {descriptors:.0f} |")
    return "\n".join(lines)


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="benchmark.py memory",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--photographs", default="500,5000", help="numbers, comma-separated")
    parser.add_argument("--model", default="efficientnet-lite0", help="whose weights are here")
    parser.add_argument("--size", type=int, default=96, help="pixels a side")
    parser.add_argument("--batch", type=int, default=32, help="photographs a batch")
    parser.add_argument("--folder", type=Path, help="measure this process on a folder of JPEGs")
    parser.add_argument("--json", type=Path, help="file to write everything to")
    flags = parser.parse_args(arguments)
    if flags.folder:
        print(json.dumps(measure(flags.folder, flags.model, flags.size, flags.batch)))
        return 0
    rows = [measure_apart(int(count), flags) for count in flags.photographs.split(",")]
    print(table(rows, flags))
    if flags.json:
        flags.json.write_text(json.dumps(rows, indent=1) + "\n")
    return 0
