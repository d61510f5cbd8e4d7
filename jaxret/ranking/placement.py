"""Where descriptors are ranked: on the cores of the host, or on the devices of JAX.

On devices where JAX's default backend is an accelerator, or where an array already lies on one;
else on the cores, which is faster for a CPU. What goes in as a `jax.Array` comes out as one, on the
devices that it came from.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from jaxret.errors import UserError

PLACES = ("auto", "host", "device")

_place = ContextVar("rank_on", default="auto")
_mesh: ContextVar[Mesh | None] = ContextVar("mesh to rank on", default=None)


@contextmanager
def rank_on(place: str, mesh: Mesh | None = None) -> Iterator[None]:
    """Within it, all ranking functions work on the "host" or on the "device"; "auto" as above.

    Args:
      place: one of `PLACES`.
      mesh: one axis of devices to spread over, of all processes where there are several, which then
        have to call the same functions; None for the devices of the arrays or of this process.

    Raises:
      UserError: an unknown place.
    """
    if place not in PLACES:
        raise UserError(f"Unknown place to rank on {place!r}. Known: {', '.join(PLACES)}.")
    tokens = _place.set(place), _mesh.set(mesh)
    try:
        yield
    finally:
        _place.reset(tokens[0])
        _mesh.reset(tokens[1])


def on_device(*arrays: Any) -> bool:
    """Whether to rank on devices."""
    if _place.get() != "auto":
        return _place.get() == "device"
    return jax.default_backend() != "cpu" or any(
        device.platform != "cpu" for array in arrays for device in _devices(array)
    )


def mesh_of(*arrays: Any) -> Mesh | None:
    """The devices to spread over; None where it is one."""
    if (mesh := _mesh.get()) is None:
        devices = max(map(_devices, arrays), key=len) or jax.local_devices()
        mesh = Mesh(np.array(devices), ("rows",))
    return mesh if mesh.size > 1 else None


def placed(array: np.ndarray | jax.Array, mesh: Mesh | None) -> jax.Array:
    """The array on every device of the mesh; where there is none, on its own or the default one."""
    if mesh is None:
        return jax.device_put(array)
    everywhere = NamedSharding(mesh, P())
    if isinstance(array, jax.Array):
        return jax.device_put(array, everywhere)
    return jax.make_array_from_callback(array.shape, everywhere, lambda part: array[part])


def returned(found: Any, *given: Any) -> Any:
    """Results as the arrays given were: on the devices of the first `jax.Array`, or in NumPy."""
    for array in given:
        if isinstance(array, jax.Array):
            here = all(isinstance(one, jax.Array) for one in jax.tree.leaves(found))
            return found if here else jax.device_put(found, _devices(array)[0])
    return jax.device_get(found)


def _devices(array: Any) -> list[jax.Device]:
    if not isinstance(array, jax.Array):
        return []
    return sorted(array.devices(), key=lambda device: device.id)
