"""Memory that a compiled function is done with stays with the process, for the next call."""

import ctypes
import sys

# Parameters of glibc's mallopt(3).
_TRIM_THRESHOLD, _MMAP_MAX, _ARENA_MAX = -1, -4, -8


def keep() -> None:
    """From now on freed memory is not given back to the system.

    XLA:CPU asks for the maps of a whole network at every call and frees them after it. The C
    library would take as much from the system each time, which fills every page with zeros: a fifth
    of a forward pass of ResNet-50, a third of EfficientNet-Lite0's (docs/benchmarks.md). What is
    kept is what the largest step needed.

    Call it before there is a second thread: those that come share one pool of memory, for in others
    large pieces are always returned. Threads that take many small pieces wait for each other there:
    the rankings of 5,000 photographs take 12 to 18 % longer. Without glibc (macOS, Windows) nothing
    changes.
    """
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return
    mallopt(_ARENA_MAX, 1)
    mallopt(_MMAP_MAX, 0)
    mallopt(_TRIM_THRESHOLD, -1)  # never
