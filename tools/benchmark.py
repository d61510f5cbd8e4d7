"""Benchmarks, side by side with the public alternatives in one run.

    python tools/benchmark.py extraction --help

Every benchmark runs all contenders in turn, round by round, so that a busy machine slows all of
them alike, and reports ratios with their spread.
"""

import sys

from jaxret.runtime import host_memory, preemption

if __name__ == "__main__":
    if sys.argv[1:2] and sys.argv[1] in ("extraction", "pipeline", "poolings", "training"):
        host_memory.keep()  # as the commands do where there is an encoder; it serves all contenders
    preemption.end_when_told(preemption.AFRESH)  # first: what is imported below takes a while

import importlib
import pkgutil
from pathlib import Path

import benchmarks


def main(arguments: list[str]) -> int:
    known = {
        module.name
        for module in pkgutil.iter_modules(benchmarks.__path__)
        if (Path(benchmarks.__path__[0]) / f"{module.name}.py").is_file()
        and not module.name.startswith("_")
    }
    name, *rest = arguments or ["--help"]
    if name not in known:
        print(f"{__doc__}\nBenchmarks: {', '.join(sorted(known))}", file=sys.stderr)
        return 0 if name in ("-h", "--help") else 1
    return importlib.import_module(f"benchmarks.{name}").main(rest)


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    finally:
        preemption.leave()
