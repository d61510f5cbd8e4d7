"""Timing of several contenders in one run, and what there is to say about the machine."""

import datetime
import importlib.util
import os
import platform
import resource
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from jaxret.runtime.machine import cores

WARM_UP = 2  # calls before the first round: compilation, allocation, thread pools


def time_in_rounds(
    contenders: Mapping[str, Callable[[], Any]], repeats: int
) -> dict[str, list[float]]:
    """Seconds of every contender in every round.

    A round times each contender once; every other round goes backwards, so that none always runs
    on the heat or the caches that another left. A contender returns when its work is done.
    """
    for run in contenders.values():
        for _ in range(WARM_UP):
            run()
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for turn in range(repeats):
        names = list(contenders)
        for name in names if turn % 2 == 0 else reversed(names):
            start = time.perf_counter()
            contenders[name]()
            seconds[name].append(time.perf_counter() - start)
    return seconds


def ratios(seconds: Mapping[str, list[float]], name: str, baseline: str) -> dict[str, float]:
    """Least, median and largest ratio of the time of `name` to that of `baseline`, by round."""
    by_round = [
        ours / theirs for ours, theirs in zip(seconds[name], seconds[baseline], strict=True)
    ]
    return {
        "min": min(by_round),
        "median": statistics.median(by_round),
        "max": max(by_round),
    }


def machine() -> dict[str, Any]:
    """Date, processor, cores and how busy they are, versions."""
    import jax
    import numpy as np

    devices = jax.local_devices()
    versions = {
        "python": platform.python_version(),
        "jax": jax.__version__,
        "numpy": np.__version__,
    }
    threads = None
    if importlib.util.find_spec("torch"):  # a TPU's machine need not have it
        import torch

        threads, versions["torch"] = torch.get_num_threads(), torch.__version__
    return {
        "date": datetime.date.today().isoformat(),
        "processor": _processor(),
        "cores": cores(),
        "load_average": os.getloadavg()[0],
        "devices": [device.device_kind for device in devices],
        "platform": devices[0].platform,
        "torch_threads": threads,
        "versions": versions,
    }


def peak_bytes() -> int:
    """The most memory that this process has held.

    On Linux that of its own address space: what getrusage says includes the process that started
    it.
    """
    status = Path("/proc/self/status")
    if status.exists():
        [line] = [line for line in status.read_text().splitlines() if line.startswith("VmHWM:")]
        return int(line.split()[1]) * 1024
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()
