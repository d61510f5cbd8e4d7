"""Diffusion offline and exact neighbours: jaxret and the public way, in one run.

    python tools/benchmark.py ranking offline --descriptors=oxford5k.npy --json=out.json
    python tools/benchmark.py ranking knn
    python tools/benchmark.py ranking large --rows=100000
    python tools/benchmark.py ranking search --rows=1000000
    python tools/benchmark.py ranking compressed --rows=1000000 --bytes=64

The public way is one scipy CG a node in joblib threads over faiss neighbours (the baseline), and
the same in one process a core. Without --descriptors the rows are clustered, about 85 round a
centre. `knn` searches in an index of each, and from the array. `large` measures one run of the
offline stage in a process of its own: time, and the most memory that it ever held; `search`
likewise G and AQE in a database on disk. `compressed` searches in codes of product quantisation,
beside faiss's IndexPQ with the same centres and codes: time in rounds, memory of each alone.
Needs the extra `benchmark` (faiss-cpu, joblib).
"""

import argparse
import json
import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import scipy.sparse as sp
from joblib import Parallel, delayed
from numpy.typing import NDArray
from scipy.sparse.linalg import cg

from benchmarks import _ranking_compressed
from benchmarks._ranking_large import (
    DIM,
    Rows,
    alone,
    clustered,
    measure_offline,
    measure_search,
    unit,
)
from benchmarks._rounds import machine, ratios, time_in_rounds
from jaxret import defaults
from jaxret.ranking.diffusion.inductive import Diffusion
from jaxret.ranking.neighbours.index import Index
from jaxret.ranking.neighbours.search import knn, search
from jaxret.runtime.machine import cores

THREADS = "scipy CG in joblib threads over faiss"
PROCESSES = "scipy CG in joblib processes over faiss"
FAISS = "faiss IndexFlatIP"
# One search in rows that no index has been made of yet.
OURS_AT_ONCE, FAISS_AT_ONCE = "jaxret, from the array", "faiss, from the array"


def scattered(count: int, dim: int = DIM, seed: int = 0) -> Rows:
    """Unit rows in all directions."""
    random = np.random.default_rng(seed)
    return unit(random.standard_normal((count, dim), dtype=np.float32))


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
        **_figures(seconds, {THREADS: "jaxret", PROCESSES: "jaxret"}),
    }


def compare_neighbours(count: int, queries: int, k: int, repeats: int) -> dict[str, Any]:
    """Exact search in an index that is there already, and with the making of it."""
    database, asked = scattered(count), scattered(queries, seed=1)
    ours, theirs = Index.of(database), _faiss_index(database)
    contenders: dict[str, Callable[[], Any]] = {
        "jaxret": lambda: knn(asked, ours, k),
        FAISS: lambda: theirs.search(asked, k),
        OURS_AT_ONCE: lambda: knn(asked, database, k),
        FAISS_AT_ONCE: lambda: faiss_lists(asked, database, k),
    }
    expected = contenders[FAISS]()[1]
    for name, contender in contenders.items():
        same = np.mean(contender()[1] == expected)
        if same < 0.99:  # but for ties in float32
            raise SystemExit(f"{name} and {FAISS} agree on {same:.1%} of the neighbours only.")
    seconds = time_in_rounds(contenders, repeats)
    what = f"kNN, {queries} queries in {count} x {DIM}, k = {k}"
    return {"what": what, **_figures(seconds, {FAISS: "jaxret", FAISS_AT_ONCE: OURS_AT_ONCE})}


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
    return _faiss_index(database).search(queries, k)


def _faiss_index(database: Rows) -> faiss.IndexFlatIP:
    index = faiss.IndexFlatIP(database.shape[1])
    index.add(database)
    return index


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


def _figures(seconds: dict[str, list[float]], ours: dict[str, str]) -> dict[str, Any]:
    """`ours`: what is compared, by the name of its baseline."""
    return {
        "seconds": {
            name: {"min": min(s), "median": statistics.median(s), "max": max(s)}
            for name, s in seconds.items()
        },
        "times_as_fast_as": {name: ratios(seconds, name, own) for name, own in ours.items()},
    }


def _report(flags: argparse.Namespace) -> dict[str, Any]:
    spread = flags.spread or 1.0
    if flags.what == "offline":
        if flags.descriptors:
            return compare_offline(unit(np.load(flags.descriptors)), flags.repeats)
        return compare_offline(clustered(flags.rows or 5063, spread=spread), flags.repeats)
    if flags.what == "knn":
        rows, queries = flags.rows or 200_000, flags.queries or 256
        return compare_neighbours(rows, queries, flags.k, flags.repeats)
    if flags.what == "search":
        rows, queries = flags.rows or 1_000_000, flags.queries or 70
        return alone(measure_search, rows, queries, flags.k, spread)
    if flags.what == "compressed":
        rows, queries = flags.rows or 1_000_000, flags.queries or 70
        sizes = (rows, flags.bytes, queries, flags.k, flags.repeats)
        what, seconds, facts = _ranking_compressed.compare(*sizes)
        names = {_ranking_compressed.FAISS: _ranking_compressed.OURS}
        return {"what": what, **facts, **_figures(seconds, names)}
    spreads = (flags.spread,) if flags.spread else (1.0, 2.0)
    return {"runs": [alone(measure_offline, flags.rows or 100_000, spread) for spread in spreads]}


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="benchmark.py ranking",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("what", choices=("offline", "knn", "large", "search", "compressed"))
    parser.add_argument("--descriptors", type=Path, help=".npy file of rows to diffuse")
    parser.add_argument(
        "--spread", type=float, help="of clusters: 1, or 2, where they touch; large: both"
    )
    parser.add_argument("--rows", type=int, help="default: 5063, 200000, 100000, 1000000, 1000000")
    parser.add_argument("--queries", type=int, help="of knn (default 256), the others 70")
    parser.add_argument("--k", type=int, default=1000, help="of all but offline and large")
    parser.add_argument("--bytes", type=int, default=64, help="a row, of compressed")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--json", type=Path, help="file for the figures")
    flags = parser.parse_args(arguments)
    report = _report(flags)
    report["machine"] = machine()
    text = json.dumps(report, indent=2)
    print(text)
    if flags.json:
        flags.json.write_text(text + "\n")
    return 0
