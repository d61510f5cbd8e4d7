"""How fast photographs became descriptors, kept beside them: a report of another day states it."""

import json
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import jax

from jaxret.runtime.artifacts import write_json
from jaxret.runtime.machine import cores

_FILE = "speed.json"


@dataclass(frozen=True)
class Speed:
    """Of one pass over photographs: decoding, network and poolings together.

    Attributes:
      photographs: that were timed.
      seconds: that they took.
      device: what they ran on.
    """

    photographs: int
    seconds: float
    device: str

    @property
    def rate(self) -> float:
        """Photographs a second."""
        return self.photographs / self.seconds

    def keep(self, folder: Path) -> None:
        """Writes it beside descriptors, unless what lies there was measured on more of them."""
        before = Speed.of(folder)
        if before is None or before.photographs <= self.photographs:
            write_json(folder / _FILE, asdict(self))

    @classmethod
    def of(cls, folder: Path) -> "Speed | None":
        """What lies beside descriptors; None where they were made before it was measured."""
        file = folder / _FILE
        if not file.exists():
            return None
        stored: dict[str, Any] = json.loads(file.read_text("utf-8"))
        return cls(**stored)


@dataclass
class Stopwatch:
    """Counts photographs as they come out; the first batch, which compiles, only starts it."""

    _began: float = field(default_factory=time.perf_counter)
    _first: float = 0.0
    _before: int = 0
    _after: int = 0

    def count(self, photographs: int) -> None:
        """One batch has come out."""
        if self._first:
            self._after += photographs
        else:
            self._first, self._before = time.perf_counter(), photographs

    def speed(self) -> Speed | None:
        """Of all processes together, if each is as fast; None where nothing came out."""
        now = time.perf_counter()
        timed = (self._after, self._first) if self._after else (self._before, self._began)
        if not timed[0]:
            return None
        photographs = timed[0] * jax.process_count()
        return Speed(photographs, now - timed[1], device_text())


def device_text() -> str:
    """The devices that work, such as "8 x TPU v5 lite" or "cpu, 2 cores"."""
    devices = jax.devices()
    kind = devices[0].device_kind
    if devices[0].platform == "cpu":
        return f"{kind}, {cores()} core{'s' if cores() > 1 else ''}"
    return kind if len(devices) == 1 else f"{len(devices)} x {kind}"
