"""Pixels to R-MAC descriptors: jaxret and the same network in PyTorch, in one run.

    python tools/benchmark.py extraction --model=resnet50 --size=724 --batch=4 --json=out.json

Contenders, all with the same weights, photographs and batch: PyTorch eager as the checkpoint is;
eager with folded BN in channels_last (the baseline of the ratios); torch.compile of that with
frozen weights; jaxret as converted; jaxret folded. Of a Vision Transformer: the module of
transformers (of timm where that has none) with PyTorch's fused attention (SDPA), eager (the
baseline) and compiled; jaxret. They must agree before they are timed. The share of the peak is that
of the fastest large matrix product of both frameworks in the same run.
"""

import argparse
import copy
import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import torch
import twins
from twins import packages

from benchmarks import _torch_side
from benchmarks._cases import cases, float32_on_both_sides, write_json
from benchmarks._rounds import machine, ratios, time_in_rounds
from jaxret import models
from jaxret.convert import from_state_dict
from jaxret.descriptors.rmac import Level, region_grid, rmac
from jaxret.models.encoder import Encoder, forward
from jaxret.models.spec import ModelSpec

BASELINE = "torch folded channels_last"
BASELINE_VIT = "torch SDPA eager"
COMPILED = "torch compile"
TOLERANCE = {"float32": 1e-4, "bfloat16": 0.1}  # ||result - baseline|| / ||baseline||
PEAK_SIDE = {"cpu": 2048, "cuda": 8192}  # of the matrices whose product measures the peak


@dataclass(frozen=True)
class Case:
    """What one comparison runs on."""

    model: str
    size: int
    batch: int
    dtype: str
    with_rmac: bool


def photographs(size: int, count: int) -> np.ndarray:
    """uint8 [count, size, size, 3]: real photographs, no two alike."""
    import skimage.data
    from PIL import Image

    originals = [skimage.data.chelsea(), skimage.data.coffee(), skimage.data.astronaut()]
    pictures = []
    for i in range(count):
        picture = Image.fromarray(originals[i % 3]).rotate(7 * (i // 3))
        pictures.append(np.asarray(picture.resize((size, size), Image.Resampling.BILINEAR)))
    return np.stack(pictures)


def grid_of(encoder: Encoder, images: np.ndarray, case: Case) -> tuple[Level, ...]:
    """The regions of R-MAC; none where R-MAC is not asked for or the network pools by itself."""
    if not case.with_rmac or encoder.spec.head is not None:
        return ()
    fmap = jax.eval_shape(encoder, jax.ShapeDtypeStruct(images.shape, images.dtype))
    return region_grid(*fmap.shape[1:3])


def jax_contender(encoder: Encoder, images: np.ndarray, case: Case) -> Callable[[], jax.Array]:
    """One jitted function over the encoder's forward and R-MAC, as the extraction runs it."""
    spec, dtype = encoder.spec, jnp.dtype(case.dtype)
    with_rmac = bool(grid_of(encoder, images, case))

    @jax.jit
    def describe(variables: Any, pixels: jax.Array) -> jax.Array:
        fmap = forward(spec, variables, pixels, dtype)
        return rmac(fmap) if with_rmac else fmap

    variables, pixels = jax.device_put((encoder.variables, images))
    return lambda: describe(variables, pixels).block_until_ready()


def torch_contenders(
    twin: torch.nn.Module, encoder: Encoder, images: np.ndarray, case: Case
) -> dict[str, Callable[[], Any]]:
    dtype = getattr(torch, case.dtype)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    grid = grid_of(encoder, images, case)

    def describe(network: torch.nn.Module) -> torch.nn.Module:
        return _torch_side.Descriptor(network, encoder.spec, grid, dtype).to(device).eval()

    eager = describe(copy.deepcopy(twin))
    folded = describe(_torch_side.fold(copy.deepcopy(twin)))
    folded.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return {
        "torch eager": _torch_side.contender(eager, images),
        BASELINE: _torch_side.contender(folded, images),
        COMPILED: _torch_side.contender(_torch_side.compiled(folded), images),
    }


def vit_contenders(
    spec: ModelSpec, images: np.ndarray, case: Case
) -> tuple[dict[str, Callable[[], Any]], float]:
    """The package's module, jaxret in its convention, and operations a photograph."""
    package, convention = (
        (packages.of_timm, "timm") if spec.layout == "pe" else (packages.of_transformers, "hf")
    )
    spec = spec.with_conventions(position_resize=convention)
    module = packages.randomize(package(spec))
    encoder = from_state_dict(spec, module.state_dict())
    twin = packages.Tokens(module, spec)
    operations = 2 * _torch_side.multiply_adds(twin, spec, case.size)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    grid, dtype = grid_of(encoder, images, case), getattr(torch, case.dtype)
    describe = _torch_side.Descriptor(twin, spec, grid, dtype).to(device).eval()
    return {
        BASELINE_VIT: _torch_side.contender(describe, images),
        COMPILED: _torch_side.contender(_torch_side.compiled(describe), images),
        "jaxret": jax_contender(encoder, images, case),
    }, operations


def convolutional_contenders(
    spec: ModelSpec, images: np.ndarray, case: Case
) -> tuple[dict[str, Callable[[], Any]], float]:
    """The twin in PyTorch three times, jaxret twice, and operations a photograph."""
    twin = twins.randomize(twins.build(spec), seed=0)
    encoder = from_state_dict(spec, twins.published_state(spec, twin))
    contenders = torch_contenders(twin, encoder, images, case) | {
        "jaxret unfolded": jax_contender(encoder, images, case),
        "jaxret folded": jax_contender(models.fold(encoder), images, case),
    }
    return contenders, 2 * _torch_side.multiply_adds(twin, spec, case.size)


def compare(case: Case, repeats: int) -> dict[str, Any]:
    """Agreement, times, ratios and share of the peak of all contenders that run."""
    spec = models.get(case.model)
    images = photographs(case.size, case.batch)
    vit = spec.architecture == "vit"
    baseline, make = (BASELINE_VIT, vit_contenders) if vit else (BASELINE, convolutional_contenders)
    contenders, operations = make(spec, images, case)
    failed, difference = agreement(contenders, case, baseline)
    running = {name: run for name, run in contenders.items() if name not in failed}
    peak = measured_peak(case.dtype)
    seconds = time_in_rounds(running, repeats)
    return {
        **vars(case),
        "baseline": baseline,
        "gflop_per_photograph": operations / 1e9,
        "peak_gflop_per_s": peak / 1e9,
        "failed": failed,
        "difference": difference,
        "contenders": {
            name: {
                "seconds": times,
                "seconds_per_photograph": statistics.median(times) / case.batch,
                "gflop_per_s": operations * case.batch / statistics.median(times) / 1e9,
                "share_of_peak": operations * case.batch / statistics.median(times) / peak,
                "ratio": ratios(seconds, name, baseline),
            }
            for name, times in seconds.items()
        },
    }


def agreement(
    contenders: Mapping[str, Callable[[], Any]], case: Case, baseline: str
) -> tuple[dict[str, str], dict[str, float]]:
    """What did not run, with the reason; and how far each of the others is from the baseline."""
    results: dict[str, np.ndarray] = {}
    failed: dict[str, str] = {}
    for name, run in contenders.items():
        try:
            results[name] = _on_host(run())
        except Exception as error:
            if name != COMPILED:  # it needs a C++ compiler (CPU) or Triton (GPU)
                raise
            failed[name] = str(error).strip().splitlines()[0][:200]
    base = results[baseline]
    difference = {
        name: float(np.linalg.norm(result - base) / np.linalg.norm(base))
        for name, result in results.items()
    }
    for name, apart in difference.items():
        if not apart <= TOLERANCE[case.dtype]:
            raise SystemExit(f"{name} is {apart:.1e} away from {baseline}: nothing to compare.")
    return failed, difference


def _on_host(result: Any) -> np.ndarray:
    return np.asarray(result.cpu() if isinstance(result, torch.Tensor) else result, np.float32)


def measured_peak(dtype: str) -> float:
    """Operations per second of the fastest large matrix product of either framework."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    side = PEAK_SIDE[device]
    ours = jnp.ones((side, side), dtype)
    theirs = torch.ones(side, side, dtype=getattr(torch, dtype), device=device)
    precision = jax.lax.Precision.HIGHEST if dtype == "float32" else None
    product = jax.jit(lambda x: jnp.matmul(x, x, precision=precision))

    def run_theirs() -> None:
        theirs @ theirs
        if device == "cuda":
            torch.cuda.synchronize()

    seconds = time_in_rounds(
        {"jax": lambda: product(ours).block_until_ready(), "torch": run_theirs}, repeats=5
    )
    return 2 * side**3 / min(min(times) for times in seconds.values())


def table(results: list[dict[str, Any]], facts: Mapping[str, Any]) -> str:
    """Markdown: one row a contender and case."""
    baselines = ", ".join(dict.fromkeys(result["baseline"] for result in results))
    lines = [
        f"{facts['date']}, {facts['processor']}, {facts['cores']} cores, "
        f"{', '.join(sorted(set(facts['devices'])))}, load {facts['load_average']:.1f}, "
        f"jax {facts['versions']['jax']}, torch {facts['versions']['torch']}",
        "",
        f"| case | contender | s / photograph | ratio to {baselines} (min, median, max) "
        "| GFLOP/s | of peak |",
        "|---|---|---|---|---|---|",
    ]
    for result in results:
        case = f"{result['model']} {result['size']} x{result['batch']} {result['dtype']}"
        for name, row in result["contenders"].items():
            spread = ", ".join(f"{row['ratio'][key]:.2f}" for key in ("min", "median", "max"))
            lines.append(
                f"| {case} | {name} | {row['seconds_per_photograph']:.4f} | {spread} "
                f"| {row['gflop_per_s']:.0f} | {row['share_of_peak']:.0%} |"
            )
        lines += [f"| {case} | {name} | - | {why} | | |" for name, why in result["failed"].items()]
    return "\n".join(lines)


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="benchmark.py extraction",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--model", default="resnet50", help="names, comma-separated")
    parser.add_argument("--size", default="724", help="pixels a side, comma-separated")
    parser.add_argument("--batch", default="4", help="photographs a batch, comma-separated")
    parser.add_argument("--dtype", default="float32", help="float32, bfloat16, comma-separated")
    parser.add_argument("--no_rmac", action="store_true", help="time the forward pass alone")
    parser.add_argument("--repeats", type=int, default=7, help="rounds")
    parser.add_argument("--json", type=Path, help="file to write everything to")
    flags = parser.parse_args(arguments)
    float32_on_both_sides()
    results = [compare(Case(*case, not flags.no_rmac), flags.repeats) for case in cases(flags)]
    facts = machine()
    print(table(results, facts))
    if flags.json:
        write_json(flags.json, {"machine": facts, "results": results})
    return 0
