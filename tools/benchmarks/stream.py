"""Search in a database that no memory holds: shards of float16 on disk, k results a query.

    python tools/benchmark.py stream --rows=10000000 --folder=/scratch/shards --json=out.json
    python tools/benchmark.py stream --rows=1000000 --topology=v5e:2x2

Each part has a process of its own, which reports the largest resident size it ever had: the shards
are written (and stay in --folder for the next run), held against a search in memory on their first
--check rows, read without a search, searched from disk with the system's cache emptied of them, and
searched from memory. The projection to a hundred million rows is rows a second carried forward; for
chips that are not here, the roofline of the device's program by the compiler's account (needs
libtpu, as `compile` does). Both are projections, not measurements.
"""

import argparse
import json
import os
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks._cases import write_json
from benchmarks._chips import GIB, chip
from benchmarks._ranking_large import alone, clustered, unit
from benchmarks._rounds import machine, peak_bytes
from jaxret.functional.settings import RankingSettings
from jaxret.ranking.neighbours.search import knn
from jaxret.ranking.streamed.search import knn_streamed, rank_streamed
from jaxret.ranking.streamed.shards import BLOCK_NUMBERS, Shards

PROJECTED = 100_000_000
CHIPS = (("H100", 1), ("v5e", 16))
AT_ONCE = 1 << 17  # rows made at once


def write_shards(folder: Path, rows: int, dim: int, shard: int) -> dict[str, Any]:
    """Clusters of about 85 rows, other ones in every shard; those that are there stay."""
    start, made = time.perf_counter(), 0
    for number, first in enumerate(range(0, rows, shard)):
        path, count = folder / f"{number:05d}.npy", min(shard, rows - first)
        if path.exists() and np.load(path, mmap_mode="r").shape == (count, dim):
            continue
        beside = path.with_suffix(".part")
        written = np.lib.format.open_memmap(beside, "w+", np.float16, (count, dim))
        for part in range(0, count, AT_ONCE):
            length = min(AT_ONCE, count - part)
            written[part : part + length] = clustered(length, dim, seed=first + part)
        written.flush()
        del written
        beside.rename(path)
        made += count
    return {"rows": made, "seconds": time.perf_counter() - start}


def queries_of(shards: Shards, count: int) -> NDArray[np.float32]:
    """Unit vectors near rows from all over the shards."""
    draw = np.random.default_rng(0)
    rows = shards.rows(np.linspace(0, len(shards) - 1, count).astype(np.int64))
    noise = draw.standard_normal(rows.shape, dtype=np.float32)
    return unit(unit(rows) + 0.7 * unit(noise))


def empty_cache(shards: Shards) -> None:
    """Takes the files out of the system's cache, so that they are read from disk."""
    for part in shards.parts:
        if part.path is not None and hasattr(os, "posix_fadvise"):
            with part.path.open("rb") as file:
                os.fsync(file.fileno())
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def compare_with_memory(folder: Path, rows: int, queries: int, k: int) -> dict[str, Any]:
    """Ids and similarities of a search in memory and of one over shards of the same rows."""
    every = Shards.of(folder)
    rows = min(rows, len(every))
    whole = every.read(0, rows)
    asked = queries_of(every, queries)
    kept = [whole[: rows // 3], whole[rows // 3 : rows // 2], whole[rows // 2 :]]
    size = max(1, rows // 7)
    streamed, known = knn_streamed(asked, kept, k, block_size=size), knn(asked, whole, k)
    return {
        "rows": rows,
        "equal_ids": bool((streamed[1] == known[1]).all()),
        "largest_difference": float(np.abs(streamed[0] - known[0]).max()),
    }


def measure_reading(folder: Path) -> dict[str, Any]:
    """The blocks of a search, without a search."""
    shards = Shards.of(folder)
    empty_cache(shards)
    start, cpu = time.perf_counter(), time.process_time()
    size = BLOCK_NUMBERS // shards.dim
    read = sum(rows.nbytes for _, rows in shards.blocks(0, len(shards), size))
    seconds = time.perf_counter() - start
    return _figures(len(shards), seconds, time.process_time() - cpu, bytes=read)


def measure_disk(folder: Path, queries: int, k: int, rankings: Sequence[str]) -> dict[str, Any]:
    """Rankings over all shards; each one's pass over the database by itself."""
    shards = Shards.of(folder)
    asked = queries_of(shards, queries)
    empty_cache(shards)
    cpu = time.process_time()
    found = rank_streamed(asked, shards, rankings, RankingSettings(), k)
    each = (time.process_time() - cpu) / len(rankings)  # one pass is as the other
    return {name: _figures(len(shards), one.seconds, each) for name, one in found.items()}


def measure_memory(folder: Path, rows: int, queries: int, k: int) -> dict[str, Any]:
    """The search over rows that lie in memory, float16 as on disk; its first call compiles."""
    every = Shards.of(folder)
    asked = queries_of(every, queries)
    rows = min(rows, len(every))
    held = [every.read(0, rows)]
    knn_streamed(asked, held, k, unit=True)
    start, cpu = time.perf_counter(), time.process_time()
    knn_streamed(asked, held, k, unit=True)
    return _figures(rows, time.perf_counter() - start, time.process_time() - cpu)


def _figures(rows: int, seconds: float, cpu_seconds: float, **more: Any) -> dict[str, Any]:
    rate = rows / seconds
    return {
        "rows": rows,
        "seconds": seconds,
        "cpu_seconds": cpu_seconds,
        "rows_per_second": rate,
        "projected_seconds_100m": PROJECTED / rate,
        "peak_bytes": peak_bytes(),
        **more,
    }


def measure_chips(topology: str, queries: int, dim: int, k: int) -> dict[str, Any]:
    """What a chip takes for a row, by the account of the compiler for one host of `topology`.

    The step of four chips with a block of the default size, of which each has a quarter.
    """
    from benchmarks import _programs, _topology

    there = _topology.Topology.of(topology)
    chips = len(there.devices)
    program = _programs.stream_program(
        queries, dim, k, BLOCK_NUMBERS // dim // chips * chips, there.mesh(chips)
    )
    compiled = _topology.compile_for(there, program, chips)
    share = BLOCK_NUMBERS // dim // chips
    found: dict[str, Any] = {"rows_a_chip": share, **compiled.as_json()}
    for name, count in CHIPS:
        seconds = chip(name).roofline(compiled.flop, compiled.accessed, "float32")
        whole = PROJECTED / count / share * seconds
        found[f"{count} x {name}"] = {
            "projected_seconds_100m": whole,
            "gigabytes_a_second_to_feed_it": PROJECTED * dim * 2 / whole / 1e9,
        }
    return found


def table(report: dict[str, Any], flags: argparse.Namespace) -> str:
    measured = {
        "read alone": report["reading"],
        **{f"{name}, from disk": one for name, one in report["disk"].items()},
        "G, from memory": report["memory"],
    }
    lines = [
        f"| {flags.queries} queries, k = {flags.k}, {flags.dim} dimensions | rows | s (CPU s) "
        "| rows/s | peak, GiB | 100 M rows, projected |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for name, one in measured.items():
        lines.append(
            f"| {name} | {one['rows']:,} | {one['seconds']:.1f} ({one['cpu_seconds']:.1f}) "
            f"| {one['rows_per_second']:,.0f} "
            f"| {one['peak_bytes'] / GIB:.2f} | {one['projected_seconds_100m'] / 60:.1f} min |"
        )
    for name, count in CHIPS:
        if one := report.get("chips", {}).get(f"{count} x {name}"):
            lines.append(
                f"| {count} x {name}, roofline, projected | | | "
                f"| | {one['projected_seconds_100m']:.1f} s, fed with "
                f"{one['gigabytes_a_second_to_feed_it']:.0f} GB/s |"
            )
    return "\n".join(lines)


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="benchmark.py stream",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--dim", type=int, default=512)
    parser.add_argument("--queries", type=int, default=1232, help="ILIAS's")
    parser.add_argument("--k", type=int, default=1000)
    parser.add_argument("--shard", type=int, default=500_000, help="rows a file")
    parser.add_argument("--rankings", default="G,G+AQE", help="from disk")
    parser.add_argument("--memory", type=int, default=500_000, help="rows searched from memory")
    parser.add_argument("--check", type=int, default=200_000, help="rows held against knn")
    parser.add_argument("--folder", type=Path, help="where the shards lie and stay")
    parser.add_argument("--topology", help="such as v5e:2x2, to project to chips not here")
    parser.add_argument("--json", type=Path, help="file to write everything to")
    flags = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as temporary:
        folder = flags.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        report = measure(folder, flags)
    print(table(report, flags))
    print(json.dumps(report["check"]))
    if flags.json:
        write_json(flags.json, report)
    return 0 if report["check"]["equal_ids"] else 1


def measure(folder: Path, flags: argparse.Namespace) -> dict[str, Any]:
    report = {
        "written": alone(write_shards, folder, flags.rows, flags.dim, flags.shard),
        "check": alone(compare_with_memory, folder, flags.check, flags.queries, flags.k),
        "reading": alone(measure_reading, folder),
        "disk": alone(measure_disk, folder, flags.queries, flags.k, flags.rankings.split(",")),
        "memory": alone(measure_memory, folder, flags.memory, flags.queries, flags.k),
        "machine": machine(),
    }
    if flags.topology:
        asked = flags.topology, flags.queries, flags.dim, flags.k
        report["chips"] = alone(measure_chips, *asked)
    return report
