"""The whole extraction against its forward pass alone, in turns in one process.

    python tools/benchmark.py pipeline --model=resnet50 --size=724 --photographs=32 --json=out.json

The pipeline reads JPEG files, decodes and resizes them, runs encoder and R-MAC, and writes shards
into an empty workdir; the forward pass runs encoder and R-MAC over the same batches, which lie in
memory already. Both must give the same descriptors before they are timed. Weights are random.
"""

import argparse
import json
import statistics
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks._rounds import machine, ratios, time_in_rounds
from benchmarks.decode import write_photographs
from benchmarks.memory import extraction
from jaxret import data, defaults, models
from jaxret.data.dataset import Split
from jaxret.data.images.loader import batches
from jaxret.descriptors.extraction import extract
from jaxret.descriptors.rmac import rmac
from jaxret.models.encoder import Encoder, forward
from jaxret.runtime.artifacts import Store

BASELINE, PIPELINE = "forward alone", "pipeline"
TOLERANCE = 1e-5  # of the largest value


@dataclass(frozen=True)
class Case:
    """What one comparison runs on."""

    model: str
    size: int
    batch: int
    decoder: str


def pipeline_contender(encoder: Encoder, split: Split, case: Case) -> Callable[[], np.ndarray]:
    """Files to shards, each time into a workdir of its own."""
    how = extraction(case.size, case.batch, case.decoder)

    def run() -> np.ndarray:
        with tempfile.TemporaryDirectory() as workdir:
            store = Store(Path(workdir))
            return extract(lambda: encoder, split, how, {}, store).vectors

    return run


def forward_contender(encoder: Encoder, split: Split, case: Case) -> Callable[[], np.ndarray]:
    """Encoder and R-MAC as one jitted function over batches in memory, folded beforehand."""
    folded = models.fold(encoder)
    loaded = list(batches(split, case.size, case.batch, decoder=case.decoder))

    @jax.jit
    def describe(variables: Any, images: jax.Array) -> jax.Array:
        return rmac(forward(folded.spec, variables, images, jnp.dtype("float32")))

    def run() -> np.ndarray:
        promised = [describe(folded.variables, batch.images) for batch in loaded]
        rows = [
            row[: one.count] for one, row in zip(loaded, map(np.asarray, promised), strict=True)
        ]
        return np.concatenate(rows)

    return run


def check_agreement(running: dict[str, Callable[[], np.ndarray]]) -> None:
    ours, theirs = (running[name]() for name in (PIPELINE, BASELINE))
    apart = float(np.abs(ours - theirs).max() / np.abs(theirs).max())
    if not apart <= TOLERANCE:
        raise SystemExit(f"The descriptors are {apart:.1e} apart: nothing to compare.")


def compare(split: Split, case: Case, repeats: int) -> dict[str, Any]:
    """Seconds a photograph of both, and the ratio of the pipeline to the forward pass."""
    encoder = models.random(case.model)
    running = {
        BASELINE: forward_contender(encoder, split, case),
        PIPELINE: pipeline_contender(encoder, split, case),
    }
    check_agreement(running)
    seconds = time_in_rounds(running, repeats)
    return {
        name: {
            "seconds_per_photograph": statistics.median(times) / len(split),
            "time_ratio": ratios(seconds, name, BASELINE),
            "seconds": times,
        }
        for name, times in seconds.items()
    }


def table(result: dict[str, Any], case: Case, count: int) -> str:
    title = f"{case.model}, {case.size} x {case.size}, batch {case.batch}, {count} photographs"
    lines = [f"| {title} | s / photograph | ratio: min, median, max |", "|---|---:|---|"]
    for name, row in result.items():
        spread = ", ".join(f"{row['time_ratio'][key]:.3f}" for key in ("min", "median", "max"))
        lines.append(f"| {name} | {row['seconds_per_photograph']:.4f} | {spread} |")
    return "\n".join(lines)


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="benchmark.py pipeline",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--model", default="resnet50")
    parser.add_argument("--size", type=int, default=defaults.IMAGE_SIZE, help="pixels a side")
    parser.add_argument("--batch", type=int, default=8, help="photographs a batch")
    parser.add_argument("--photographs", type=int, default=32, help="made of real ones, 1024 x 768")
    parser.add_argument("--folder", type=Path, help="a folder of photographs in their place")
    parser.add_argument("--decoder", default="pil", help="pil or simplejpeg")
    parser.add_argument("--repeats", type=int, default=5, help="rounds")
    parser.add_argument("--json", type=Path, help="file to write everything to")
    flags = parser.parse_args(arguments)
    case = Case(flags.model, flags.size, flags.batch, flags.decoder)
    with tempfile.TemporaryDirectory() as folder:
        split = (
            data.load(flags.folder, require_ground_truth=False).database
            if flags.folder
            else write_photographs(Path(folder), flags.photographs)
        )
        result, count = compare(split, case, flags.repeats), len(split)
    facts = machine()
    print(f"{facts['date']}, {facts['processor']}, {facts['cores']} cores", end=", ")
    print(f"load {facts['load_average']:.1f}\n\n{table(result, case, count)}")
    if flags.json:
        report = {"machine": facts, "baseline": BASELINE, "case": vars(case), "contenders": result}
        flags.json.write_text(json.dumps(report, indent=1) + "\n")
    return 0
