"""Every jitted function of an evaluation, compiled for a TPU that is not there.

    python tools/benchmark.py compile --topology=v5e:2x2 --json=docs/compiled/v5e.json
    python tools/benchmark.py compile --model=resnet50 --dtype=bfloat16 --chips=4

For each: whether it fits the memory of one chip (else the batch that does), operations, bytes of
memory traffic, the time below which it cannot run (roofline), and the same from the same figures
for other chips: a projection, not a measurement. Models of one network are compiled once. With
--json, what the file holds already is not compiled again; with --model=none --rows=none it is only
shown. Needs libtpu (extra `tpu-compile`).
"""

import argparse
import datetime
import functools
import json
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks import _programs
from benchmarks._cases import write_json
from benchmarks._chips import GIB, Chip, chip
from benchmarks._programs import Program
from benchmarks._topology import TooLargeError, Topology, compile_for
from jaxret import models

PROJECTED = ("v6e", "H100")
Row = dict[str, Any]


def network_key(name: str) -> str:
    """Equal for models whose programs differ in constants (pixel mean and std) only."""
    spec = models.get(name)
    function = {**spec.function(), "mean": None, "std": None, "size": spec.image_size}
    return json.dumps(function, sort_keys=True)


def model_names(flag: str) -> tuple[str, ...]:
    """The models of a flag: names with commas, "all", or "none"."""
    if flag == "all":
        return models.names()
    return () if flag == "none" else tuple(flag.split(","))


def sizes(flag: str) -> list[tuple[int, int]]:
    """Pairs (queries, database rows) of a flag such as "70x5063,1250x27293", or "none"."""
    pairs = [] if flag == "none" else [pair.split("x") for pair in flag.split(",")]
    return [(int(queries), int(rows)) for queries, rows in pairs]


def wanted(
    topology: Callable[[], Topology], flags: argparse.Namespace
) -> Iterator[tuple[str, str, Program]]:
    """(what it is for, key, program) of all that the flags ask for; each network once."""
    seen = set()
    for queries, rows in sizes(flags.rows):
        what = f"{queries} queries, {rows} x {_programs.DIM}"
        if flags.chips > 1:
            mesh = topology().mesh(flags.chips)
            programs = _programs.spread_programs(queries, rows, mesh)
        else:
            programs = _programs.after_the_encoder(queries, rows)
        for program in programs:
            yield what, f"{program.name}, {what}", program
    for dtype in flags.dtype.split(","):
        for name in model_names(flags.model):
            network = f"{dtype} {network_key(name)}"
            if network not in seen:
                seen.add(network)
                for program in _programs.encoder_programs(models.get(name), dtype, flags.batch):
                    yield name, f"{program.name} {network}", program


def fitted(topology: Topology, program: Program, chips: int) -> Row:
    """What the compiler says of the program at the largest batch that fits: halved until it does.

    A program that does not fit at all, or has no batch, has no figures but "too_large".
    """
    too_large: list[dict[str, int]] = []
    while True:
        row = {"photographs": program.photographs, "too_large": too_large}
        try:
            return compile_for(topology, program, chips).as_json() | row
        except TooLargeError as error:
            too_large.append({"photographs": program.photographs, "bytes": error.bytes})
            if program.photographs <= chips:
                return row
            program = program.of(program.photographs // 2)


def measured(
    topology: Callable[[], Topology], flags: argparse.Namespace, known: set[str]
) -> Iterator[Row]:
    """A row a program, those of known keys left out; where all are, no topology is asked for."""
    for what, key, program in wanted(topology, flags):
        whole_key = f"{key}, {flags.chips} of {flags.topology}"
        if whole_key not in known:
            yield {
                "key": whole_key,
                "what": what,
                "program": program.name,
                "dtype": program.dtype,
                "chips": flags.chips,
                "times": program.times,
                "by_hand": program.by_hand,
                **fitted(topology(), program, flags.chips),
            }


def table(rows: list[Row], compiled_for: Chip) -> str:
    """Markdown: the encoders, time a photograph; then everything behind them, time a call."""
    encoders = [row for row in rows if row["photographs"]]
    behind = [row for row in rows if not row["photographs"]]
    return "\n\n".join(
        _table(some, compiled_for, unit)
        for some, unit in ((encoders, "ms a photograph"), (behind, "ms"))
        if some
    )


def _table(rows: list[Row], compiled_for: Chip, unit: str) -> str:
    others = [chip(name) for name in PROJECTED if name != compiled_for.name]
    projected = " | ".join(f"{one.name}, projected" for one in others)
    heads = [
        "for",
        "program",
        "photographs",
        "chips",
        "GiB a chip (temporary)",
        "GFLOP",
        "GB moved",
        f"{unit}: {compiled_for.name} | {projected}",
        "s to compile",
    ]
    lines = [f"| {' | '.join(heads)} |", "|---" * (len(heads) + len(others)) + "|"]
    for row in rows:
        cells = [
            _models(row["what"]),
            f"{row['program']} {row['dtype']}",
            str(row["photographs"] or ""),
            str(row["chips"]),
            *_figures(row, [compiled_for, *others]),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _figures(row: Row, chips: list[Chip]) -> list[str]:
    if "flop" not in row:
        needed = row["too_large"][-1]["bytes"] / GIB
        return [f"{needed:.1f}: too large", *[""] * (3 + len(chips))]
    memory = row["arguments"] + row["results"] + row["temporaries"]
    flop, moved = row["by_hand"] or (row["flop"] * row["times"], row["accessed"] * row["times"])
    # Figures are those of one chip: of its share of the photographs.
    each = 1e3 * row["chips"] / row["photographs"] if row["photographs"] else 1e3
    times = [each * one.roofline(flop, moved, row["dtype"]) for one in chips]
    return [
        f"{memory / GIB:.2f} ({row['temporaries'] / GIB:.2f})",
        f"{flop / 1e9:.0f}" if flop >= 1e9 else f"{flop / 1e9:.2g}",
        f"{moved / 1e9:.1f}" if moved >= 1e9 else f"{moved / 1e9:.2g}",
        *(f"{time:.2f}" if time >= 0.1 else f"{time:.2g}" for time in times),
        f"{row['seconds']:.0f}",
    ]


def _models(what: str) -> str:
    """All models of the network that was compiled for the one named; else what it is for."""
    if what not in models.names():
        return what
    network = network_key(what)
    return ", ".join(name for name in models.names() if network_key(name) == network)


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="benchmark.py compile",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--topology", default="v5e:2x2", help="chip and layout")
    parser.add_argument("--model", default="all", help="names with commas, all or none")
    parser.add_argument("--dtype", default="bfloat16,float32", help="of the convolutions")
    parser.add_argument("--batch", type=int, default=_programs.BATCH, help="photographs a call")
    parser.add_argument("--chips", type=int, default=1, help="a mesh of so many")
    parser.add_argument(
        "--rows", default="70x5063,1250x27293", help="queries x database of the rankings, or none"
    )
    parser.add_argument("--json", type=Path, help="file to add to, after every program")
    flags = parser.parse_args(arguments)
    stored = flags.json and flags.json.exists()
    report = json.loads(flags.json.read_text()) if stored else {"rows": []}
    topology = functools.cache(lambda: Topology.of(flags.topology))
    for row in measured(topology, flags, {row["key"] for row in report["rows"]}):
        row["date"] = datetime.date.today().isoformat()
        row["versions"] = {name: version(name) for name in ("jax", "libtpu")}
        report["rows"].append(row)
        print(f"{row['what']}: {row['program']} {row['dtype']}", file=sys.stderr, flush=True)
        if flags.json:
            write_json(flags.json, report)
    print(table(report["rows"], chip(flags.topology.partition(":")[0])))
    return 0
