"""The devices at hand, and who does which part.

Descriptors are computed with data parallelism: every process reads its own shards of the dataset
and spreads each batch over its own devices. Nothing is exchanged between processes but files in the
workdir and, in the recalibration pass, batch statistics.
"""

import time
from collections.abc import Iterable
from pathlib import Path

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

BATCH_AXIS = "batch"


def local_mesh() -> Mesh:
    """A one-dimensional mesh over the devices of this process."""
    return Mesh(np.asarray(jax.local_devices()), (BATCH_AXIS,))


def over_devices(mesh: Mesh) -> NamedSharding:
    """Rows of an array dealt out over the devices."""
    return NamedSharding(mesh, PartitionSpec(BATCH_AXIS))


def on_every_device(mesh: Mesh) -> NamedSharding:
    return NamedSharding(mesh, PartitionSpec())


def round_up(batch_size: int, mesh: Mesh) -> int:
    """The smallest batch size at or above the given one that every device gets an equal part of."""
    return -(-batch_size // mesh.size) * mesh.size


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
