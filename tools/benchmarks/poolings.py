"""One pass that makes several poolings against one pass that makes one, in turns in one process.

    python tools/benchmark.py poolings --model=resnet50,dino-vits16 --json=out.json

Both are the jitted function of the extraction (`jaxret.descriptors.describer`), network and
poolings together, over the same batch. What the many give of the one must agree with it before
they are timed. Weights are random.
"""

import argparse
import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks._cases import cases, write_json
from benchmarks._rounds import machine, ratios, time_in_rounds
from benchmarks.extraction import photographs
from jaxret import models
from jaxret.descriptors import describer
from jaxret.descriptors.pooling_rows import ROWS, Pooling
from jaxret.models.encoder import Encoder, output_channels

ONE, ALL = "one pooling", "all poolings"
TOLERANCE = 1e-5  # of the largest value


def poolings_of(encoder: Encoder) -> tuple[Pooling, ...]:
    """Every single one that the network has, R-MAC first, and GeM both ways."""
    given = output_channels(encoder.spec)
    names = [name for name, row in ROWS.items() if row.output in given]
    return (*map(Pooling, names), Pooling("gem", negatives="shift"))


def contender(
    encoder: Encoder, images: np.ndarray, dtype: str, poolings: tuple[Pooling, ...]
) -> Callable[[], tuple[jax.Array, ...]]:
    folded = models.fold(encoder)
    variables, pixels = jax.device_put((folded.variables, images))

    def run() -> tuple[jax.Array, ...]:
        made = describer.describe_images(
            variables, pixels, spec=folded.spec, dtype=jnp.dtype(dtype), poolings=poolings
        )
        ready: tuple[jax.Array, ...] = jax.block_until_ready(made)
        return ready

    return run


def compare(model: str, size: int, batch: int, dtype: str, repeats: int) -> dict[str, Any]:
    """Seconds a photograph of both, and the ratio of all poolings to one."""
    encoder, images = models.random(model), photographs(size, batch)
    poolings = poolings_of(encoder)
    running = {
        ONE: contender(encoder, images, dtype, poolings[:1]),
        ALL: contender(encoder, images, dtype, poolings),
    }
    alone, among = np.asarray(running[ONE]()[0]), np.asarray(running[ALL]()[0])
    apart = float(np.abs(alone - among).max() / np.abs(alone).max())
    if not apart <= TOLERANCE:
        raise SystemExit(f"{model}: {poolings[0].name} is {apart:.1e} apart: nothing to compare.")
    seconds = time_in_rounds(running, repeats)
    return {
        "case": {"model": model, "size": size, "batch": batch, "dtype": dtype},
        "poolings": [f"{one.name} {one.negatives}".removesuffix(" clamp") for one in poolings],
        "difference": apart,
        "seconds_per_photograph": {n: statistics.median(t) / batch for n, t in seconds.items()},
        "ratio": ratios(seconds, ALL, ONE),
        "seconds": seconds,
    }


def line(result: dict[str, Any]) -> str:
    case, each = result["case"], result["seconds_per_photograph"]
    spread = ", ".join(f"{result['ratio'][key]:.3f}" for key in ("min", "median", "max"))
    name = f"{case['model']} {case['size']} x{case['batch']} {case['dtype']}"
    many = len(result["poolings"])
    return f"| {name} | {many} | {each[ONE]:.4f} | {each[ALL]:.4f} | {spread} |"


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="benchmark.py poolings",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--model", default="resnet50,dino-vits16", help="comma-separated")
    parser.add_argument("--size", default="448", help="pixels a side")
    parser.add_argument("--batch", default="4", help="photographs a batch")
    parser.add_argument("--dtype", default="float32", help="float32, bfloat16")
    parser.add_argument("--repeats", type=int, default=7, help="rounds")
    parser.add_argument("--json", type=Path, help="file to write everything to")
    flags = parser.parse_args(arguments)
    print("| model, pixels | poolings | one, s / photograph | all | ratio: min, median, max |")
    print("|---|---:|---:|---:|---|")
    results = []
    for case in cases(flags):
        results.append(compare(*case, flags.repeats))
        print(line(results[-1]), flush=True)
    if flags.json:
        write_json(flags.json, {"machine": machine(), "baseline": ONE, "results": results})
    return 0
