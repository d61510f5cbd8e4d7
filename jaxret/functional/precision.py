"""Float64 where the device is fast at it, whatever `jax_enable_x64` says.

The order of neighbours and a whitening's small eigenvalues hang on digits that float32 does not
have. A CPU has float64 at half the speed of float32, NVIDIA's data-centre cards too; TPUs and other
cards do not have it, or at a sixty-fourth: there the arithmetic is float32 with nothing rounded
further (no TF32, no bfloat16).
"""

import re
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

HIGHEST = lax.Precision.HIGHEST  # of products: full float32

# NVIDIA's cards with float64 at half the rate of float32, or at its rate in the tensor cores.
FLOAT64_CARDS = frozenset(
    ["P100", "V100", "A30", "A100", "A800", "H100", "H200", "H800", "GH200", "B100", "B200"]
)


def working(x: Any) -> jax.Array:
    """`x` as float32; float64 stays what it is, and is then worked on in float64 throughout."""
    x = jnp.asarray(x)
    return x.astype(jnp.promote_types(x.dtype, jnp.float32))


def has_fast_float64(kind: str) -> bool:
    """By the name that a CUDA device gives itself, such as "NVIDIA A100-SXM4-80GB"."""
    return not FLOAT64_CARDS.isdisjoint(re.split(r"[^A-Za-z0-9]+", kind))


def widest(function: Callable[..., Any], *arrays: jax.Array) -> Any:
    """`function(*arrays)` of float32 arrays, on devices fast at it carried out in float64.

    The choice falls when the function is compiled, by the platform that it is compiled for: so one
    trace serves them all. A CUDA card that is not there to be asked is taken for a data centre's.

    Args:
      function: of arrays of numbers of one dtype, which it works in, and of ids; what it returns is
        float32 or ids.
    """
    if any(array.dtype == jnp.float64 for array in arrays):
        return function(*arrays)
    wide = partial(_in_float64, function)
    cuda = wide if all(map(has_fast_float64, _cuda_kinds())) else function

    @jax.custom_batching.custom_vmap
    def by_platform(*arrays: jax.Array) -> Any:
        return lax.platform_dependent(*arrays, cpu=wide, cuda=cuda, default=function)

    @by_platform.def_vmap
    def _(size, batched, *arrays):  # JAX's own rules make new operations, outside of float64
        many = jax.vmap(function, tuple(0 if one else None for one in batched))
        found = widest(many, *arrays)
        return found, jax.tree.map(lambda _: True, found)

    run = jax.custom_jvp(by_platform)

    @run.defjvp
    def _(arrays, changes):  # derivatives need no more than float32
        return run(*arrays), jax.jvp(function, arrays, changes)[1]

    return run(*arrays)


def _in_float64(function: Callable[..., Any], *arrays: jax.Array) -> Any:
    with jax.enable_x64(True):
        return function(*map(_widened, arrays))


def _widened(array: jax.Array) -> jax.Array:
    return array.astype(jnp.float64) if array.dtype == jnp.float32 else array


def _cuda_kinds() -> set[str]:
    if jax.default_backend() != "gpu":
        return set()
    return {device.device_kind for device in jax.devices() if "NVIDIA" in device.device_kind}
