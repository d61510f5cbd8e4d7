"""Compiling for TPUs on a machine that has none, with the package `libtpu`."""

import importlib.util
import os
import re
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec, SingleDeviceSharding

from benchmarks._chips import chip
from benchmarks._programs import Program
from jaxret.runtime.parallel import BATCH_AXIS

WHAT_IT_TAKES = "compiling for a TPU needs the package libtpu: pip install libtpu (Linux, x86-64)."
# Of one host, as the environment of a TPU VM calls them.
_ACCELERATOR = {"v4": "v4-8", "v5e": "v5litepod-4", "v5p": "v5p-8", "v6e": "v6e-4"}


def has_libtpu() -> bool:
    """Whether this machine can compile for TPUs."""
    return importlib.util.find_spec("libtpu") is not None


@dataclass(frozen=True)
class Topology:
    """TPUs that programs are compiled for.

    Attributes:
        name: Such as "v5e:2x2".
        devices: Of it, described, not there.
    """

    name: str
    devices: list[Any]

    @classmethod
    def of(cls, name: str) -> "Topology":
        """The topology called `name`; before anything has been computed in this process.

        Raises:
            SystemExit: libtpu is missing, or the chip is unknown.
        """
        if not has_libtpu():
            raise SystemExit(f"Cannot compile: {WHAT_IT_TAKES}")
        kind = chip(name.partition(":")[0]).name
        if kind not in _ACCELERATOR:
            raise SystemExit(f"{kind} is no TPU. Known: {', '.join(_ACCELERATOR)}.")
        os.environ |= {
            "TPU_SKIP_MDS_QUERY": "1",  # nobody asks a metadata server that is not there
            "TPU_ACCELERATOR_TYPE": _ACCELERATOR[kind],
            "TPU_WORKER_HOSTNAMES": "localhost",
            "ALLOW_MULTIPLE_LIBTPU_LOAD": "1",  # no lock: compiling takes no device from another
        }
        jax.config.update("jax_platforms", "cpu")
        from jax.experimental import topologies

        return cls(name, list(topologies.get_topology_desc(name, platform="tpu").devices))

    def mesh(self, count: int) -> Mesh:
        """Of the first `count` devices, as `jaxret.runtime.parallel` would make it."""
        return Mesh(np.asarray(self.devices[:count]), (BATCH_AXIS,))


@dataclass(frozen=True)
class Compiled:
    """What the compiler says of a program, on each device.

    Attributes:
        seconds: Of all cores together that compiling took.
        flop, accessed: Operations and bytes of memory traffic, by the compiler's own account: the
            body of a loop counts once, however often it runs.
        arguments, results, temporaries: Bytes.
    """

    seconds: float
    flop: float
    accessed: float
    arguments: int
    results: int
    temporaries: int

    @property
    def memory(self) -> int:
        """Bytes held at once."""
        return self.arguments + self.results + self.temporaries

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


class TooLargeError(Exception):
    """The program does not fit the device's memory; `bytes` is what it would take."""

    def __init__(self, needed: int, sentence: str) -> None:
        super().__init__(sentence)
        self.bytes = needed


def compile_for(topology: Topology, program: Program, chips: int = 1) -> Compiled:
    """Compiles the program for the first `chips` devices of the topology.

    Raises:
        TooLargeError: The compiler says that it does not fit.
    """
    traced = program.trace(_placement(topology, program, chips))
    lowered = traced.lower(lowering_platforms=("tpu",))
    start = time.process_time()
    try:
        compiled = lowered.compile()
    except jax.errors.JaxRuntimeError as error:
        needed = bytes_needed(str(error))
        if needed is None:
            raise
        raise TooLargeError(needed, str(error).splitlines()[0]) from error
    seconds = time.process_time() - start
    memory, costs = compiled.memory_analysis(), compiled.cost_analysis()
    return Compiled(
        seconds=seconds,
        flop=costs.get("flops", 0.0),
        accessed=costs.get("bytes accessed", 0.0),
        arguments=memory.argument_size_in_bytes,
        results=memory.output_size_in_bytes - memory.alias_size_in_bytes,
        temporaries=memory.temp_size_in_bytes,
    )


def bytes_needed(message: str) -> int | None:
    """What the compiler says that a program would take; None where it says something else."""
    found = re.search(r"Used ([0-9.]+)([KMG]) of|HLO temporaries \(([0-9.]+)([KMG])\)", message)
    if "RESOURCE_EXHAUSTED" not in message or found is None:
        return None
    size, unit = (group for group in found.groups() if group)
    return int(float(size) * 2 ** {"K": 10, "M": 20, "G": 30}[unit])


def _placement(topology: Topology, program: Program, chips: int) -> Callable[[str], Any]:
    if chips == 1:
        alone = SingleDeviceSharding(topology.devices[0])
        return lambda argument: alone
    mesh = topology.mesh(chips)

    def place(argument: str) -> NamedSharding:
        axes = (BATCH_AXIS,) if argument in program.dealt else ()
        return NamedSharding(mesh, PartitionSpec(*axes))

    return place
