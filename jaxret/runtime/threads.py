"""Cores and memory: who can work, and on how much at once."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from typing import TYPE_CHECKING

import jax

from jaxret.runtime.machine import cores

if TYPE_CHECKING:
    from threadpoolctl import ThreadpoolController


def in_threads(work: Callable[[int], None], items: Sequence[int]) -> None:
    """Does `work` for every item, a thread a core; the first error ends it.

    Meanwhile NumPy's matrix products take one thread each: threads within threads would wait for
    each other. For the same reason `work` must not call this.
    """
    # NumPy and XLA let go of the interpreter while they work.
    with _libraries().limit(limits=1, user_api="blas"):
        pool = _pool(cores())
        futures = [pool.submit(work, item) for item in items]
        try:
            for future in futures:
                future.result()
        finally:
            for future in futures:
                future.cancel()
            wait(futures)


@functools.cache
def _pool(count: int) -> ThreadPoolExecutor:
    """Threads that stay: new ones get new memory from the system, page by page."""
    return ThreadPoolExecutor(count, "ranking")


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_pool.cache_clear)  # a fork leaves the threads behind


@functools.cache
def _libraries() -> ThreadpoolController:
    from threadpoolctl import ThreadpoolController  # of the host's path alone

    return ThreadpoolController()


def free_bytes(device: jax.Device) -> int:
    """Memory that a device has left, or this machine where the device does not say."""
    statistics = device.memory_stats()  # None on the CPU
    if statistics and "bytes_limit" in statistics:
        return int(statistics["bytes_limit"] - statistics.get("bytes_in_use", 0))
    if hasattr(os, "sysconf") and "SC_AVPHYS_PAGES" in os.sysconf_names:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return 1 << 32
