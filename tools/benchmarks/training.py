"""One step of learning: jaxret and the same step in PyTorch, in one run.

    python tools/benchmark.py training --model=resnet50 --batch=32 --size=128 --json=out.json

A step is SimCLR's with both views of a batch given as pixels: normalisation, encoder in training
mode, mean over the map, two-layer head, NT-Xent, gradients, SGD with momentum and with weight decay
on kernels alone. Contenders begin with the same weights: PyTorch eager; eager in channels_last (the
baseline of the ratios); torch.compile of that; jaxret; with --remat jaxret that computes
every block again in the backward pass. They must give the same loss before they are timed.
"""

import argparse
import copy
import statistics
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np
import torch
import twins

from benchmarks import _torch_training
from benchmarks._cases import cases, float32_on_both_sides, write_json
from benchmarks._rounds import machine, ratios, time_in_rounds
from benchmarks.extraction import photographs
from jaxret import models
from jaxret.convert import from_state_dict
from jaxret.models.encoder import Encoder
from jaxret.training import step as training
from jaxret.training.settings import TrainSettings

BASELINE = "torch channels_last"
COMPILED = "torch compile"
REMAT = "jaxret remat"
STEPS_RECORDED = 3
# Of the first loss. Those that follow are recorded only: a random network that is normalised at
# every layer magnifies rounding from layer to layer, in its gradients most of all, so that PyTorch
# in another memory format is as far from itself as it is from jaxret.
TOLERANCE = {"float32": 1e-3, "bfloat16": 0.05}

Step = Callable[[], float]  # takes one step and gives the loss before it


@dataclass(frozen=True)
class Case:
    """What one comparison runs on."""

    model: str
    size: int
    batch: int
    dtype: str

    def settings(self, remat: bool = False) -> TrainSettings:
        """SimCLR with a constant learning rate: the end of the cosine is out of reach."""
        return TrainSettings(
            model=self.model,
            loss="simclr",
            steps=10**9,
            warmup_steps=0,
            batch_size=self.batch,
            image_size=self.size,
            optimizer="sgd",
            learning_rate=0.01,
            dtype=self.dtype,
            remat=remat,
        ).resolved()


def two_views(case: Case) -> tuple[np.ndarray, np.ndarray]:
    """uint8 [B, S, S, 3] twice: photographs, and the same mirrored and moved."""
    first = photographs(case.size, case.batch)
    second = np.roll(first[:, :, ::-1], case.size // 8, axis=1)
    return first, np.ascontiguousarray(second)


class JaxContender:
    """The step of `python -m jaxret.train`, but for views that are given.

    Attributes:
        temporary_gib: What a step holds beside its state and its views; 0 before the first call.
    """

    def __init__(
        self, encoder: Encoder, views: tuple[np.ndarray, np.ndarray], case: Case, remat: bool
    ) -> None:
        settings = case.settings(remat)
        self.temporary_gib = 0.0
        self._state = training.initial_state(encoder, settings, queue_size=0)
        self._views = jax.device_put(views)
        self._compiled: Callable[..., Any] | None = None
        self._learn = jax.jit(
            lambda state, views: training.learn(encoder.spec, settings, state, views.__getitem__),
            donate_argnums=0,
        )

    def __call__(self) -> float:
        if self._compiled is None:
            compiled = self._learn.lower(self._state, self._views).compile()
            memory = compiled.memory_analysis()  # None where a backend keeps no account
            self.temporary_gib = memory.temp_size_in_bytes / 2**30 if memory else 0.0
            self._compiled = compiled
        state, metrics = self._compiled(self._state, self._views)
        self._state = jax.block_until_ready(state)
        return float(metrics["loss"])


def contenders(case: Case, without: Collection[str]) -> dict[str, Step]:
    """All others from the same weights, none of which has taken a step."""
    spec = models.get(case.model)
    twin = twins.randomize(twins.build(spec), seed=0)
    encoder = from_state_dict(spec, twins.published_state(spec, twin))
    settings, views = case.settings(), two_views(case)
    head = training.initial_state(encoder, settings, queue_size=0)["params"]["head"]

    def theirs(layout: torch.memory_format, compile: bool = False) -> Step:
        learner = _torch_training.Learner(copy.deepcopy(twin), spec, head, settings, layout)
        return _torch_training.contender(learner, views, settings, compile)

    steps: dict[str, Callable[[], Step]] = {
        "torch eager": lambda: theirs(torch.contiguous_format),
        BASELINE: lambda: theirs(torch.channels_last),
        COMPILED: lambda: theirs(torch.channels_last, compile=True),
        "jaxret": lambda: JaxContender(encoder, views, case, remat=False),
        REMAT: lambda: JaxContender(encoder, views, case, remat=True),
    }
    return {name: make() for name, make in steps.items() if name not in without}


def compare(case: Case, repeats: int, without: Collection[str]) -> dict[str, Any]:
    """Agreement, times and ratios of all contenders that run."""
    steps = contenders(case, without)
    failed, losses, first_call = first_losses(steps)
    check(losses, TOLERANCE[case.dtype])
    seconds = time_in_rounds({name: steps[name] for name in losses}, repeats)
    return {
        **vars(case),
        "failed": failed,
        "losses": losses,
        "contenders": {
            name: {
                "seconds": times,
                "steps_per_s": 1 / statistics.median(times),
                "first_call_s": first_call[name],
                "temporary_gib": getattr(steps[name], "temporary_gib", None),
                "ratio": ratios(seconds, name, BASELINE),
            }
            for name, times in seconds.items()
        },
    }


def first_losses(
    steps: Mapping[str, Step],
) -> tuple[dict[str, str], dict[str, list[float]], dict[str, float]]:
    """What did not run, and why; the first losses of the others; seconds of their first call."""
    failed: dict[str, str] = {}
    losses: dict[str, list[float]] = {}
    first_call: dict[str, float] = {}
    for name, step in steps.items():
        start = time.perf_counter()
        try:
            first = step()
        except Exception as error:
            if name != COMPILED:  # it needs a C++ compiler (CPU) or Triton (GPU)
                raise
            failed[name] = str(error).strip().splitlines()[0][:200]
            continue
        first_call[name] = time.perf_counter() - start
        losses[name] = [first, *(step() for _ in range(STEPS_RECORDED - 1))]
    return failed, losses, first_call


def check(losses: Mapping[str, list[float]], tolerance: float) -> None:
    """Raises SystemExit unless every contender's first loss is that of the baseline."""
    base = losses[BASELINE][0]
    for name, (first, *_) in losses.items():
        if not abs(first - base) <= tolerance:
            raise SystemExit(
                f"{name} has the loss {first:.5f}, {BASELINE} {base:.5f}: nothing to compare."
            )


def table(results: list[dict[str, Any]], facts: Mapping[str, Any]) -> str:
    """Markdown: one row a contender and case."""
    lines = [
        f"{facts['date']}, {facts['processor']}, {facts['cores']} cores, "
        f"{', '.join(sorted(set(facts['devices'])))}, load {facts['load_average']:.1f}, "
        f"jax {facts['versions']['jax']}, torch {facts['versions']['torch']}",
        "",
        f"| case | contender | steps/s | time to that of {BASELINE} (min, median, max) "
        "| first call, s | GiB beside the state |",
        "|---|---|---|---|---|---|",
    ]
    for result in results:
        case = f"{result['model']} {result['size']} x{result['batch']} {result['dtype']}"
        for name, row in result["contenders"].items():
            spread = ", ".join(f"{row['ratio'][key]:.2f}" for key in ("min", "median", "max"))
            lines.append(
                f"| {case} | {name} | {row['steps_per_s']:.3f} | {spread} "
                f"| {row['first_call_s']:.0f} | {_gib(row['temporary_gib'])} |"
            )
        lines += [f"| {case} | {name} | - | {why} | | |" for name, why in result["failed"].items()]
    return "\n".join(lines)


def _gib(amount: float | None) -> str:
    return "-" if amount is None else f"{amount:.2f}"


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="benchmark.py training",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--model", default="resnet50", help="names, comma-separated")
    parser.add_argument("--size", default="128", help="pixels a side, comma-separated")
    parser.add_argument("--batch", default="32", help="photographs a step, comma-separated")
    parser.add_argument("--dtype", default="float32", help="float32, bfloat16, comma-separated")
    parser.add_argument("--no_compile", action="store_true", help="leave torch.compile out")
    parser.add_argument("--remat", action="store_true", help="time rematerialisation too")
    parser.add_argument("--repeats", type=int, default=5, help="rounds")
    parser.add_argument("--json", type=Path, help="file to write everything to")
    flags = parser.parse_args(arguments)
    float32_on_both_sides()
    without = [COMPILED] * flags.no_compile + [REMAT] * (not flags.remat)
    results: list[dict[str, Any]] = []
    facts = machine()
    for case in cases(flags):
        results.append(compare(Case(*case), flags.repeats, without))
        if flags.json:  # after every case: one that is interrupted has cost minutes
            write_json(flags.json, {"machine": facts, "baseline": BASELINE, "results": results})
    print(table(results, facts))
    return 0
