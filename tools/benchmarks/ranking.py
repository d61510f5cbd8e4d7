"""Diffusion offline and exact neighbours: jaxret and the public way, in one run.

    python tools/benchmark.py ranking offline --descriptors=oxford5k.npy --json=out.json
    python tools/benchmark.py ranking knn
    python tools/benchmark.py ranking large --rows=100000

The public way is one scipy CG a node in joblib threads over faiss neighbours (the baseline), and
the same in one process a core. Without --descriptors the rows are clustered, about 85 round a
centre. `large` measures one run of the offline stage in a process of its own: time, and the most
memory that it ever held. Needs the extra `benchmark` (faiss-cpu, joblib).
"""

import argparse
import json
import multiprocessing
import resource
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import scipy.sparse as sp
from joblib import Parallel, delayed
from numpy.typing import NDArray
from scipy.sparse.linalg import cg

from benchmarks._rounds import machine, ratios, time_in_rounds
from jaxret import defaults
from jaxret.machine import cores
from jaxret.ranking import offline
from jaxret.ranking.diffusion import Diffusion, DiffusionSettings
from jaxret.ranking.knn import knn, search
from jaxret.ranking.offline import Lists

DIM = 512
THREADS = "scipy CG in joblib threads over faiss"
PROCESSES = "scipy CG in joblib processes over faiss"
FAISS = "faiss IndexFlatIP"
Rows = NDArray[np.float32]


def clustered(count: int, dim: int = DIM, spread: float = 1.0, seed: int = 0) -> Rows:
    """Unit rows round centres of about 85 rows each."""
    random = np.random.default_rng(seed)
    centres = random.standard_normal((max(1, count // 85), dim), dtype=np.float32)
    rows = np.empty((count, dim), np.float32)
    for start in range(0, count, 65536):
        part = rows[start : start + 65536]
        noise = random.standard_normal(part.shape, dtype=np.float32)
        part[:] = unit(centres[random.integers(len(centres), size=len(part))] + spread * noise)
    return rows


def scattered(count: int, dim: int = DIM, seed: int = 0) -> Rows:
    """Unit rows in all directions."""
    random = np.random.default_rng(seed)
    return unit(random.standard_normal((count, dim), dtype=np.float32))


def unit(rows: NDArray[Any]) -> Rows:
    rows = np.asarray(rows, np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def compare_offline(descriptors: Rows, repeats: int) -> dict[str, Any]:
    """Neighbours, graph and conjugate gradients; the neighbours also alone."""
    check_agreement(descriptors)
    n = min(defaults.DFS_TRUNCATION, len(descriptors))
    contenders: dict[str, Callable[[], Any]] = {
        "jaxret": lambda: Diffusion.fit(descriptors),
        THREADS: lambda: public_way(descriptors, "threading"),
        PROCESSES: lambda: public_way(descriptors, "loky"),
        "neighbours alone, jaxret": lambda: search(descriptors, descriptors, n),
        "neighbours alone, faiss": lambda: faiss_lists(descriptors, descriptors, n),
    }
    seconds = time_in_rounds(contenders, repeats)
    return {
        "what": f"diffusion offline, {descriptors.shape[0]} x {descriptors.shape[1]}",
        **_figures(seconds, (THREADS, PROCESSES)),
    }


def compare_neighbours(count: int, queries: int, k: int, repeats: int) -> dict[str, Any]:
    """Exact search in a flat index that is there already."""
    database, asked = scattered(count), scattered(queries, seed=1)
    index = faiss.IndexFlatIP(DIM)
    index.add(database)
    same = np.mean(knn(asked, database, k)[1] == index.search(asked, k)[1])
    if same < 0.99:  # but for ties in float32
        raise SystemExit(f"jaxret and faiss agree on {same:.1%} of the neighbours only.")
    contenders = {
        "jaxret": lambda: knn(asked, database, k),
        FAISS: lambda: index.search(asked, k),
    }
    seconds = time_in_rounds(contenders, repeats)
    what = f"kNN, {queries} queries in {count} x {DIM}, k = {k}"
    return {"what": what, **_figures(seconds, (FAISS,))}


def measure_large(count: int, spread: float) -> dict[str, Any]:
    """The offline stage of a large database, in this process."""
    database, settings = clustered(count, spread=spread), DiffusionSettings()
    started = time.perf_counter()
    lists = Lists.of(search(database, database, settings.list_length), settings)
    found = time.perf_counter()
    offline.diffuse(lists, settings)
    neighbours, diffusion = found - started, time.perf_counter() - found
    return {
        "what": f"diffusion offline, clustered {count} x {DIM}",
        "neighbour_seconds": neighbours,
        "diffusion_seconds": diffusion,
        # Neighbours grow with the square of the rows, diffusion with the rows.
        "projected_seconds_1m": neighbours * (1e6 / count) ** 2 + diffusion * 1e6 / count,
        "peak_gib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
    }


def check_agreement(descriptors: Rows) -> None:
    """Same scores but where float32 neighbours differ at the edge of a list."""
    theirs = public_way(descriptors, "loky")
    ours = Diffusion.fit(descriptors).rows.whole()[1]
    # Lists may hold other ids where similarities tie: the order of the scores does not matter.
    gap = np.abs(np.sort(ours, axis=1) - np.sort(theirs, axis=1))
    share = np.mean(gap <= 1e-4 * theirs.max())
    if share < 0.99:
        raise SystemExit(f"jaxret and scipy agree on {share:.1%} of the scores only.")


def public_way(descriptors: Rows, backend: str) -> Rows:
    """The offline stage as the public code lays it out: faiss, then one scipy CG a node.

    Args:
      descriptors: [N, D], rows L2-normalised.
      backend: of joblib, "threading" as published or "loky" for processes.
    """
    n = min(defaults.DFS_TRUNCATION, len(descriptors))
    sims, ids = faiss_lists(descriptors, descriptors, n)
    laplacian = _laplacian(sims[:, : defaults.DFS_KD], ids[:, : defaults.DFS_KD])
    pieces = np.array_split(np.arange(len(ids)), len(ids) if backend == "threading" else cores())
    found = Parallel(n_jobs=cores(), backend=backend)(
        delayed(_diffuse)(laplacian, ids[piece]) for piece in pieces
    )
    return np.concatenate(found)


def faiss_lists(queries: Rows, database: Rows, k: int) -> tuple[Rows, NDArray[np.int64]]:
    index = faiss.IndexFlatIP(database.shape[1])
    index.add(database)
    return index.search(queries, k)


def _diffuse(laplacian: sp.csr_matrix, lists: NDArray[np.int64]) -> Rows:
    rows = np.empty(lists.shape, np.float32)
    for row, members in zip(rows, lists, strict=True):
        part = laplacian[members][:, members]
        start = np.zeros(len(members))
        start[0] = 1
        row[:], _ = cg(part, start, rtol=defaults.CG_TOLERANCE, atol=0, maxiter=defaults.CG_ROUNDS)
    return rows


def _laplacian(sims: Rows, ids: NDArray[np.int64]) -> sp.csr_matrix:
    """I - alpha S over the mutual neighbours."""
    count = len(ids)
    rows, columns = np.repeat(np.arange(count), ids.shape[1]), ids.ravel()
    off = rows != columns
    affinity = np.maximum(sims.ravel(), 0) ** np.float32(defaults.DFS_GAMMA)
    pairs = rows[off], columns[off]
    directed = sp.csr_matrix((affinity[off], pairs), (count, count))
    member = sp.csr_matrix((np.ones(off.sum(), np.float32), pairs), (count, count))
    mutual = directed.multiply(member.T).tocsr()
    scale = sp.diags(1 / np.sqrt(np.asarray(mutual.sum(axis=1)).ravel() + 1e-12), dtype=np.float32)
    laplacian = sp.identity(count) - defaults.DFS_ALPHA * (scale @ mutual @ scale)
    return laplacian.astype(np.float32).tocsr()


def _figures(seconds: dict[str, list[float]], baselines: tuple[str, ...]) -> dict[str, Any]:
    return {
        "seconds": {
            name: {"min": min(s), "median": statistics.median(s), "max": max(s)}
            for name, s in seconds.items()
        },
        "times_as_fast_as": {name: ratios(seconds, name, "jaxret") for name in baselines},
    }


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="benchmark.py ranking",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("what", choices=("offline", "knn", "large"))
    parser.add_argument("--descriptors", type=Path, help=".npy file of rows to diffuse")
    parser.add_argument("--spread", type=float, default=1.0, help="2: the clusters touch")
    parser.add_argument("--rows", type=int, help="default: 5063, 200000, 100000")
    parser.add_argument("--queries", type=int, default=256, help="of knn")
    parser.add_argument("--k", type=int, default=1000, help="of knn")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--json", type=Path, help="file for the figures")
    flags = parser.parse_args(arguments)
    if flags.what == "offline":
        rows = (
            np.load(flags.descriptors)
            if flags.descriptors
            else clustered(flags.rows or 5063, spread=flags.spread)
        )
        report = compare_offline(unit(rows), flags.repeats)
    elif flags.what == "knn":
        report = compare_neighbours(flags.rows or 200_000, flags.queries, flags.k, flags.repeats)
    else:
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(1, mp_context=context) as pool:
            report = pool.submit(measure_large, flags.rows or 100_000, flags.spread).result()
    report["machine"] = machine()
    text = json.dumps(report, indent=2)
    print(text)
    if flags.json:
        flags.json.write_text(text + "\n")
    return 0
