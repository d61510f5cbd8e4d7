"""A search in codes beside faiss's, with the same centres and the same codes."""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import faiss
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from benchmarks._ranking_large import DIM, Rows, alone, clustered
from benchmarks._rounds import peak_bytes, time_in_rounds
from jaxret.functional import compression
from jaxret.functional.compression import Product
from jaxret.ranking.compression import CompressedIndex, learn
from jaxret.ranking.inputs import BLOCK
from jaxret.runtime.machine import cores

OURS, FAISS = "jaxret", "faiss IndexPQ"
LEARNT_FROM = 4096  # rows: what the centres are does not change the time
ASKED = 2**31 - 1  # seed of the queries
Search = Callable[[], tuple[Any, Any]]


def compare(
    count: int, parts: int, queries: int, k: int, repeats: int
) -> tuple[str, dict[str, list[float]], dict[str, Any]]:
    """What was searched, the seconds of both in rounds, and memory in processes of their own."""
    with tempfile.TemporaryDirectory() as folder:
        alone(prepare, folder, count, parts)
        timed = alone(measure_time, folder, queries, k, repeats)
        memory = {name: alone(measure_memory, folder, name, queries, k) for name in SEARCHES}
    what = f"{queries} queries in {count} x {DIM}, {parts} bytes a row, k = {k}"
    facts = {
        "same_neighbours": timed["same_neighbours"],
        "codes_mib": count * parts / 2**20,
        "float32_mib": count * 4 * DIM / 2**20,
        "memory": memory,
    }
    return what, timed["seconds"], facts


def prepare(folder: str, count: int, parts: int) -> dict[str, Any]:
    """Learns, encodes block by block, and writes the index; the rows are never all there."""
    codec = learn(clustered(min(count, LEARNT_FROM)), f"pq{parts}")
    assert isinstance(codec, Product)
    codes = [
        np.asarray(compression.encode(codec, jnp.asarray(clustered(size, seed=start))))
        for start in range(0, count, BLOCK)
        for size in [min(BLOCK, count - start)]
    ]
    CompressedIndex(codec, np.concatenate(codes)).save(Path(folder) / "index.npz")
    return {}


def measure_time(folder: str, queries: int, k: int, repeats: int) -> dict[str, Any]:
    """Seconds by round, and the share of the places at which both have the same id."""
    index, asked = _read(folder), clustered(queries, seed=ASKED)
    searches = {name: make(index, asked, k) for name, make in SEARCHES.items()}
    ours, theirs = (search()[1] for search in searches.values())
    seconds = time_in_rounds(searches, repeats)
    return {"seconds": seconds, "same_neighbours": float(np.mean(ours == theirs))}


def measure_memory(folder: str, name: str, queries: int, k: int) -> dict[str, Any]:
    """The most that a process held, and by how much a search raised it, in MiB."""
    index, asked = _read(folder), clustered(queries, seed=ASKED)
    search = SEARCHES[name](index, asked, k)
    search_small = SEARCHES[name](_first(index, 1000), asked, k)
    search_small()  # libraries, threads, compilers
    before = peak_bytes()
    search()
    return {"peak_mib": peak_bytes() / 2**20, "search_mib": (peak_bytes() - before) / 2**20}


def _read(folder: str) -> CompressedIndex:
    return CompressedIndex.load(Path(folder) / "index.npz")


def _first(index: CompressedIndex, count: int) -> CompressedIndex:
    return CompressedIndex(index.codec, index.codes[:count])


def _ours(index: CompressedIndex, asked: Rows, k: int) -> Search:
    return lambda: index.search(asked, k)


def _theirs(index: CompressedIndex, asked: Rows, k: int) -> Search:
    codec = index.codec
    assert isinstance(codec, Product)
    centres: NDArray[np.float32] = np.asarray(codec.centres)
    faiss.omp_set_num_threads(cores())
    theirs = faiss.IndexPQ(DIM, len(centres), 8, faiss.METRIC_INNER_PRODUCT)
    faiss.copy_array_to_vector(centres.ravel(), theirs.pq.centroids)
    faiss.copy_array_to_vector(np.ascontiguousarray(index.codes).ravel(), theirs.codes)
    theirs.ntotal, theirs.is_trained = len(index.codes), True
    turned = np.asarray(codec.turn(jnp.asarray(asked)))
    return lambda: theirs.search(turned, k)


SEARCHES: dict[str, Callable[[CompressedIndex, Rows, int], Search]] = {OURS: _ours, FAISS: _theirs}
