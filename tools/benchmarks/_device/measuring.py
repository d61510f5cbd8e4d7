"""How things are timed on a device, and what this one is."""

import importlib.util
import os
import statistics
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from benchmarks._chips import Chip, chip_of

LEAST_SECONDS = 0.2  # of one measurement, so that what starts a call is no part of it


def seconds_of(run: Callable[[], Any], repeats: int) -> float:
    """Median time of a call whose results stay on the device.

    Calls are queued one behind the other, so that the device never waits for Python. The first
    call, which compiles, does not count.
    """
    jax.block_until_ready(run())
    start = time.perf_counter()
    jax.block_until_ready(run())
    calls = max(1, round(LEAST_SECONDS / (time.perf_counter() - start)))
    found = []
    for _ in range(repeats):
        start = time.perf_counter()
        for _ in range(calls):
            results = run()
        jax.block_until_ready(results)
        found.append((time.perf_counter() - start) / calls)
    return statistics.median(found)


def share_of_memory(share: float) -> None:
    """JAX takes so much of a GPU's memory and leaves the rest to PyTorch; before its first use."""
    os.environ.setdefault("XLA_PYTHON_CLIENT_MEM_FRACTION", str(share))


def accelerator() -> jax.Device:
    """The device that everything is measured on."""
    return jax.devices()[0]


def processor() -> jax.Device:
    """The host, as JAX's device: what the accelerator's results are held against."""
    return jax.local_devices(backend="cpu")[0]


def card() -> Chip | None:
    """What the maker states of the accelerator, where the table has it."""
    return chip_of(accelerator().device_kind)


def missing(package: str) -> str | None:
    """The sentence of a part that needs the package, where it is not installed."""
    if importlib.util.find_spec(package) is None:
        return f"{package} is not installed here."
    return None


def torch_on_card() -> str | None:
    """Why PyTorch cannot run on the accelerator; None where it can, or where that is the CPU."""
    if without := missing("torch"):
        return without
    import torch

    if accelerator().platform == "cpu" or (
        accelerator().platform == "gpu" and torch.cuda.is_available()
    ):
        return None
    return f"PyTorch has no {accelerator().platform.upper()} here."


def ceilings(side: int, repeats: int) -> dict[str, float]:
    """Operations and bytes a second that this device reaches: a product and a copy."""
    found = {}
    for dtype in ("bfloat16", "float32"):
        x = jax.random.normal(jax.random.key(0), (side, side), jnp.float32).astype(dtype)
        precision = jax.lax.Precision.HIGHEST if dtype == "float32" else None
        product = jax.jit(lambda x, precision=precision: jnp.matmul(x, x, precision=precision))
        found[dtype] = 2 * side**3 / seconds_of(lambda: product(x), repeats)  # noqa: B023
    rows = jax.random.normal(jax.random.key(1), (32 * side, side // 4), jnp.float32)
    copy = jax.jit(lambda x: x + 1)
    found["bandwidth"] = 2 * rows.nbytes / seconds_of(lambda: copy(rows), repeats)
    return found
