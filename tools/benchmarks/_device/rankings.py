"""Rankings, search and diffusion on the device, beside the host's path and PyTorch."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks._device import measuring
from benchmarks._device.report import Row, checked, row, skipped
from benchmarks._device.sizes import Sizes
from jaxret import defaults, functional
from jaxret.functional.ranking import offline_rows
from jaxret.functional.settings import DiffusionSettings, RankingSettings
from jaxret.ranking.on_device import Devices
from jaxret.ranking.placement import rank_on
from jaxret.ranking.rankings import rank_all

# Share of the first ids that may be others than the host's, among rows within float32's rounding:
# of similarities, and of diffused scores, which twenty updates in float32 have made.
MISSED = {"G": 1e-3, "DFS": 1e-2}
DEPTH = 100
HOST = Path(__file__).with_name("host_rankings.py")
TORCH_BLOCK = 1 << 18  # database rows of one product in PyTorch


def clustered(count: int, dim: int, seed: int) -> np.ndarray:
    """Unit rows round centres of about 85 rows each, the same for all seeds."""
    random, around = np.random.default_rng(seed), np.random.default_rng(0)
    centres = around.standard_normal((max(1, count // 85), dim), dtype=np.float32)
    rows = centres[random.integers(len(centres), size=count)]
    rows = rows + random.standard_normal((count, dim), dtype=np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def descriptors(sizes: Sizes, number: int) -> tuple[np.ndarray, np.ndarray]:
    """Queries and database of one of the study's sizes."""
    queries, rows = sizes.rankings[number]
    database = clustered(rows, sizes.dim, 1)
    near = database[:: max(1, rows // queries)][:queries]
    random = np.random.default_rng(2)
    moved = near + 0.5 * random.standard_normal(near.shape, dtype=np.float32) / np.sqrt(sizes.dim)
    return (moved / np.linalg.norm(moved, axis=1, keepdims=True)).astype(np.float32), database


def settings_of(sizes: Sizes) -> RankingSettings:
    """The study's, with the truncation of these sizes."""
    return RankingSettings(diffusion=DiffusionSettings(truncation=sizes.truncation))


def eight_rankings(number: int, sizes: Sizes, left: Callable[[], float]) -> Iterator[Row]:
    """Descriptors on the device to the ids of all eight rankings, beside the host's path.

    The host's path runs in a process of its own that has no accelerator, on all cores.
    """
    queries, database = descriptors(sizes, number)
    what = f"eight rankings, {len(queries)} queries, {len(database)} x {sizes.dim}"
    on_device = jax.device_put((queries, database), measuring.accelerator())
    settings = settings_of(sizes)

    def rank() -> list[Any]:
        with rank_on("device"):
            ranked = rank_all(on_device[0], on_device[1], defaults.RANKINGS, settings)
        return [ranked[name].ids for name in defaults.RANKINGS]

    seconds = measuring.seconds_of(rank, min(2, sizes.repeats))
    yield row(f"{what}, device", seconds=seconds)
    ours = dict(zip(defaults.RANKINGS, map(np.asarray, rank()), strict=True))
    try:
        theirs, host_seconds = on_host(queries, database, sizes, max(1.0, left()))
    except subprocess.TimeoutExpired as error:
        yield skipped(f"{what}, host", f"it takes more than {error.timeout:.0f} s here.")
        return
    except subprocess.CalledProcessError as error:
        yield skipped(f"{what}, host", error.stderr.strip().splitlines()[-1][:200])
        return
    yield row(f"{what}, host", seconds=host_seconds, times_the_device=host_seconds / seconds)
    for name in defaults.RANKINGS:
        limit = MISSED["DFS" if name.endswith("DFS") else "G"]
        moved = float(np.mean(ours[name] != theirs[name]))
        depth = min(DEPTH, len(database) // 5)
        yield checked(
            f"{name}: of the host's first {depth}",
            missed(ours[name][:, :depth], theirs[name][:, :depth]),
            limit,
            **{"other_places_in_the_whole_order": moved},
        )


def missed(ids: np.ndarray, expected: np.ndarray) -> float:
    """Share of the expected ids [Q, k] that are not among `ids` [Q, k], query by query."""
    pairs = zip(ids, expected, strict=True)
    return float(np.mean([np.isin(right, found, invert=True).mean() for found, right in pairs]))


def on_host(
    queries: np.ndarray, database: np.ndarray, sizes: Sizes, patience: float
) -> tuple[dict[str, np.ndarray], float]:
    """Ids of the eight rankings by the host's path, and its seconds."""
    with tempfile.TemporaryDirectory() as folder:
        given, found = Path(folder) / "given.npz", Path(folder) / "found.npz"
        np.savez(given, queries=queries, database=database)
        places = [str(Path(__file__).parents[2]), str(Path(__file__).parents[3])]
        subprocess.run(
            [sys.executable, HOST, given, found, str(sizes.truncation)],
            env={**os.environ, "JAX_PLATFORMS": "cpu", "PYTHONPATH": os.pathsep.join(places)},
            check=True,
            capture_output=True,
            text=True,
            timeout=patience,
        )
        with np.load(found) as arrays:
            ids = {name: arrays[name] for name in defaults.RANKINGS}
            return ids, float(arrays["seconds"])


def search(sizes: Sizes) -> Iterator[Row]:
    """The k nearest of many rows, beside blocks of matmul and topk in PyTorch."""
    keys = jax.random.split(jax.random.key(0))
    shapes = (sizes.knn_queries, sizes.dim), (sizes.knn_rows, sizes.dim)
    queries, database = (
        functional.l2_normalize(jax.random.normal(key, shape, jnp.float32))
        for key, shape in zip(keys, shapes, strict=True)
    )
    what = f"kNN, {sizes.knn_queries} queries, {sizes.knn_rows} x {sizes.dim}, k = {sizes.k}"
    seconds = measuring.seconds_of(
        lambda: functional.top_k(queries, database, sizes.k), sizes.repeats
    )
    flop = 2 * sizes.knn_queries * sizes.knn_rows * sizes.dim
    yield row(f"{what}, jaxret", seconds=seconds, **{"TFLOP/s": flop / seconds / 1e12})
    if why := measuring.torch_on_card():
        yield skipped(f"{what}, PyTorch", why)
        return
    ours = np.asarray(functional.top_k(queries, database, sizes.k)[1])
    import torch

    torch.backends.cuda.matmul.allow_tf32 = False
    theirs = [torch.from_dlpack(array) for array in (queries, database)]

    def in_blocks() -> torch.Tensor:
        found = blocks_of_topk(theirs[0], theirs[1], sizes.k)
        if found.is_cuda:
            torch.cuda.synchronize()
        return found

    by_torch = measuring.seconds_of(in_blocks, sizes.repeats)
    same = float(np.mean(ours == in_blocks().cpu().numpy()))
    yield row(
        f"{what}, PyTorch matmul + topk in blocks",
        seconds=by_torch,
        times_jaxret=by_torch / seconds,
        equal_ids=same,
    )


def blocks_of_topk(queries: Any, database: Any, k: int) -> Any:
    """Ids of the k nearest by PyTorch: a product and a topk a block, then a topk of all."""
    import torch

    sims, ids = [], []
    for start in range(0, len(database), TORCH_BLOCK):
        part = database[start : start + TORCH_BLOCK]
        best = (queries @ part.T).topk(min(k, len(part)), dim=1)
        sims.append(best.values)
        ids.append(best.indices + start)
    best = torch.cat(sims, dim=1).topk(k, dim=1)
    return torch.cat(ids, dim=1).gather(1, best.indices)


def large_diffusion(sizes: Sizes) -> Iterator[Row]:
    """The offline stage of a large database: neighbours, graph, conjugate gradients."""
    rows = jax.device_put(clustered(sizes.diffusion_rows, sizes.dim, 3), measuring.accelerator())
    s = settings_of(sizes).diffusion
    what = f"diffusion offline, {sizes.diffusion_rows} x {sizes.dim}, truncation {s.truncation}"

    devices = Devices.of(rows)

    def nearest() -> functional.Neighbours:
        return devices.others(rows, s.list_length - 1)

    def solve() -> tuple[jax.Array, jax.Array]:
        return offline_rows(near, s, devices.for_diffusion(len(rows)))

    near = nearest()
    yield row(f"{what}: neighbours", seconds=measuring.seconds_of(nearest, 1))
    yield row(f"{what}: graph and solution", seconds=measuring.seconds_of(solve, 1))
    memory = measuring.accelerator().memory_stats() or {}
    if "peak_bytes_in_use" in memory:
        yield row("most memory of the device so far", GiB=memory["peak_bytes_in_use"] / 2**30)
