"""Where the time goes, summed by stage over threads."""

import contextlib
import threading
import time
from collections.abc import Iterator


class Clock:
    """Seconds by stage; several threads may add to it at once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._seconds: dict[str, float] = {}

    @contextlib.contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        start = time.perf_counter()
        try:
            yield
        finally:
            self.add(stage, time.perf_counter() - start)

    def add(self, stage: str, seconds: float) -> None:
        with self._lock:
            self._seconds[stage] = self._seconds.get(stage, 0.0) + seconds

    def seconds(self) -> dict[str, float]:
        """In the order in which the stages first appeared."""
        with self._lock:
            return dict(self._seconds)
