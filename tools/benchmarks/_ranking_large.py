"""Large databases, each measured in a process of its own: time, and the most memory held."""

import multiprocessing
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks._rounds import peak_bytes
from jaxret.ranking.diffusion import offline
from jaxret.ranking.diffusion.inductive import DiffusionSettings
from jaxret.ranking.diffusion.offline import Lists
from jaxret.ranking.expansion import expand_queries
from jaxret.ranking.neighbours.index import Index
from jaxret.ranking.neighbours.search import knn, search
from jaxret.ranking.rankings import rank_all

DIM = 512
AT_ONCE = 65536  # rows made at once
Rows = NDArray[np.float32]


def clustered(count: int, dim: int = DIM, spread: float = 1.0, seed: int = 0) -> Rows:
    """Unit rows round centres of about 85 rows each."""
    rows = np.empty((count, dim), np.float32)
    fill(rows, spread, seed)
    return rows


def fill(rows: Rows, spread: float, seed: int = 0) -> None:
    """Overwrites `rows` [N, D], which may lie in a file, with those of `clustered`."""
    random = np.random.default_rng(seed)
    count, dim = rows.shape
    centres = random.standard_normal((max(1, count // 85), dim), dtype=np.float32)
    for start in range(0, count, AT_ONCE):
        part = rows[start : start + AT_ONCE]
        noise = random.standard_normal(part.shape, dtype=np.float32)
        part[:] = unit(centres[random.integers(len(centres), size=len(part))] + spread * noise)


def unit(rows: NDArray[Any]) -> Rows:
    rows = np.asarray(rows, np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def alone(measure: Callable[..., dict[str, Any]], *arguments: Any) -> dict[str, Any]:
    """What `measure` finds in a process of its own."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        return pool.submit(measure, *arguments).result()


def measure_offline(count: int, spread: float) -> dict[str, Any]:
    """The offline stage of diffusion, in this process."""
    database, settings = clustered(count, spread=spread), DiffusionSettings()
    clock = _Clock()
    nearest = search(database, database, settings.list_length)
    clock.lap("neighbours")
    offline.diffuse(Lists.of(nearest, settings), settings)
    clock.lap("diffusion")
    neighbours, diffusion = clock.seconds.values()
    return {
        "what": f"diffusion offline, clustered {count} x {DIM}",
        "spread": spread,
        **clock.figures(),
        # Neighbours grow with the square of the rows at most, diffusion with the rows.
        "projected_seconds_1m": neighbours * (1e6 / count) ** 2 + diffusion * 1e6 / count,
    }


def measure_search(count: int, queries: int, k: int, spread: float) -> dict[str, Any]:
    """Search with and without query expansion in a file mapped into memory, in this process."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "database.npy"
        file = np.lib.format.open_memmap(path, "w+", np.float32, (count, DIM))
        fill(file, spread)
        asked = np.array(file[:: count // queries][:queries])
        file.flush()
        del file
        database = np.load(path, mmap_mode="r")
        clock = _Clock()
        knn(asked, database, k)
        clock.lap(f"G, the {k} best")
        index = Index.of(database)
        clock.lap("an index")
        knn(asked, index, k)
        clock.lap(f"G, the {k} best, in the index")
        knn(expand_queries(asked, index), index, k)
        clock.lap(f"G+AQE, the {k} best, in the index")
        rank_all(asked, database, ("G", "G+AQE"))
        clock.lap("G and G+AQE, all rows in order")
        return {
            "what": f"search of {queries} queries in {count} x {DIM}, memory-mapped",
            **clock.figures(),
        }


class _Clock:
    """Seconds of what follows what, and the most memory held."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self.cpu_seconds: dict[str, float] = {}
        self._started = time.perf_counter(), time.process_time()

    def lap(self, name: str) -> None:
        """What has passed since the last lap was spent on `name`."""
        now = time.perf_counter(), time.process_time()
        self.seconds[name], self.cpu_seconds[name] = (
            end - start for end, start in zip(now, self._started, strict=True)
        )
        self._started = now

    def figures(self) -> dict[str, Any]:
        """The laps, and the peak so far: rows of a mapped file that are in memory count."""
        return {
            "seconds": self.seconds,
            "cpu_seconds": self.cpu_seconds,
            "peak_gib": peak_bytes() / 2**30,
        }
