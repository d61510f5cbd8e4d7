"""The devices at hand, and who does which part.

Descriptors are computed with data parallelism: every process reads its own shards of the dataset
and spreads each batch over its own devices; processes exchange nothing but files in the workdir.
Only the recalibration pass needs all devices of all processes at once: batch statistics are those
of the whole batch.
"""

import os
import re
import signal
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from jaxret.runtime import preemption

BATCH_AXIS = "batch"
Part = TypeVar("Part")


def start(
    coordinator: str | None,
    processes: int | None,
    process: int | None,
    *,
    agree_on_sigterm: bool = False,
) -> None:
    """Joins the other processes of this run; all None where the cluster tells by itself.

    Call it before anything else of JAX, in the main thread. On CPU the processes talk through gloo.

    Args:
      agree_on_sigterm: leave SIGTERM to JAX, through which the processes agree on a step to stop
        after; otherwise it stays with the handler that this process has.
    """
    if os.environ.get("JAX_PLATFORMS") == "cpu":
        jax.config.update("jax_cpu_collectives_implementation", "gloo")
    handler = signal.getsignal(signal.SIGTERM)
    jax.distributed.initialize(coordinator, processes, process)
    preemption.one_of_several(first=is_first())
    if not agree_on_sigterm:
        signal.signal(signal.SIGTERM, handler)  # JAX had put its own in place


def keep_compiled(folder: Path) -> None:
    """Compiled functions are kept in this folder, so that the next start does not compile again."""
    jax.config.update("jax_compilation_cache_dir", str(folder))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.5)


_PLUGINS = {"cuda": "jax[cuda12]", "gpu": "jax[cuda12]", "tpu": "jax[tpu]"}


def why_no_device() -> str | None:
    """The sentence for a machine on which JAX has no device of the kind that it is told to use.

    For a command that has ended: other devices may be in use afterwards. None where there is one.
    """
    asked = jax.config.values["jax_platforms"]
    try:
        jax.devices()
    except (RuntimeError, AssertionError) as error:  # a bare assertion where no plugin is installed
        reason = re.split(r"\n| \((?:you may|set) ", str(error))[0].rstrip(".")
    else:
        return None
    jax.config.update("jax_platforms", None)
    with _nothing_printed():  # libtpu, where it is installed beside no TPU, writes five lines
        found = ", ".join(sorted({device.platform for device in jax.devices()}))
    missing = [_PLUGINS[name] for name in str(asked).split(",") if name in _PLUGINS]
    install = f"install what fits it (pip install '{missing[0]}') or " if missing else ""
    return (
        f"JAX_PLATFORMS={asked} asks for a device that JAX does not find here"
        f"{f' ({reason})' if reason else ''}; it finds {found}: {install}unset JAX_PLATFORMS."
    )


@contextmanager
def _nothing_printed() -> Iterator[None]:
    """Standard error is nowhere meanwhile, for compiled libraries too."""
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def on_cpu() -> bool:
    """Whether this run computes on CPUs; not to be asked before `start`."""
    return jax.default_backend() == "cpu"


def local_mesh() -> Mesh:
    """A one-dimensional mesh over the devices of this process."""
    return Mesh(np.asarray(jax.local_devices()), (BATCH_AXIS,))


def global_mesh() -> Mesh:
    """A one-dimensional mesh over the devices of all processes, each process's side by side."""
    devices = sorted(jax.devices(), key=lambda device: (device.process_index, device.id))
    return Mesh(np.asarray(devices), (BATCH_AXIS,))


def over_devices(mesh: Mesh) -> NamedSharding:
    """Rows of an array dealt out over the devices."""
    return NamedSharding(mesh, PartitionSpec(BATCH_AXIS))


def replicated(tree: Any, mesh: Mesh) -> Any:
    """Every array of a tree (or of an encoder's variables) on every device."""
    return jax.device_put(tree, NamedSharding(mesh, PartitionSpec()))


def rows_of_all(rows: np.ndarray, mesh: Mesh) -> jax.Array:
    """One array out of the rows that each process holds, in the order of the processes."""
    return jax.make_array_from_process_local_data(over_devices(mesh), rows)


def round_up(batch_size: int, devices: int) -> int:
    """The smallest batch size at or above the given one that every device gets an equal part of."""
    return -(-batch_size // devices) * devices


def rows_a_process(batch_size: int) -> int:
    """Rows of a batch over all processes that each of them holds, equal for all."""
    return round_up(-(-batch_size // jax.process_count()), jax.local_device_count())


def several() -> bool:
    """Whether this run has more than one process."""
    return jax.process_count() > 1


def my_part(parts: list[Part]) -> list[Part]:
    """Every P-th of them, from this process's number on."""
    return parts[jax.process_index() :: jax.process_count()]


def is_first() -> bool:
    """Whether this is the process that writes what is written once."""
    return jax.process_index() == 0


def host_name() -> str:
    """' of host 2/4' where there are several, for progress bars."""
    hosts = jax.process_count()
    return f" of host {jax.process_index() + 1}/{hosts}" if hosts > 1 else ""


def wait_for_files(paths: Iterable[Path], patience: float = 3600.0) -> None:
    """Returns when every file is there, whichever process writes it.

    Files are written whole (`artifacts.atomic_write`), so that a file that is there is complete.

    Raises:
      TimeoutError: nothing new appeared for `patience` seconds: another process has died.
    """
    missing = [path for path in paths if not path.exists()]
    deadline = time.monotonic() + patience
    while missing:
        if time.monotonic() > deadline:
            raise TimeoutError(f"{missing[0]} was not written by the process whose part it is.")
        time.sleep(0.2)
        still = [path for path in missing if not path.exists()]
        if len(still) < len(missing):
            deadline = time.monotonic() + patience
        missing = still
