"""The projection head: descriptors are compared behind it while learning, and before it after.

Chen et al., "A Simple Framework for Contrastive Learning of Visual Representations", ICML 2020,
section 4.2: z = W2 relu(W1 h). The biases are those of MoCo v2's head (Chen et al., 2020).
"""

import jax
import jax.numpy as jnp
from jax.nn import initializers

from jaxret.models.convolution import precision_of

Head = dict[str, dict[str, jax.Array]]


def init(key: jax.Array, inputs: int, hidden: int, outputs: int) -> Head:
    """Random weights of two layers, float32.

    Args:
        key: PRNG key.
        inputs: Channels of the descriptors.
        hidden: Width of the layer between (the inputs' in SimCLR, 2048 in MoCo v2).
        outputs: Dimension that the loss sees (128 in both).

    Returns:
        {"hidden": {"kernel": [inputs, hidden], "bias": [hidden]}, "output": {...}}.
    """
    first, second = jax.random.split(key)
    return {
        "hidden": _layer(first, initializers.he_normal(), inputs, hidden),
        "output": _layer(second, initializers.lecun_normal(), hidden, outputs),  # no ReLU behind
    }


def project(params: Head, x: jax.Array) -> jax.Array:
    """[B, inputs] -> [B, outputs], in the dtype of x."""
    return _linear(params["output"], jax.nn.relu(_linear(params["hidden"], x)))


def _layer(
    key: jax.Array, initializer: initializers.Initializer, inputs: int, outputs: int
) -> dict[str, jax.Array]:
    kernel = initializer(key, (inputs, outputs), jnp.float32)
    return {"kernel": kernel, "bias": jnp.zeros(outputs)}


def _linear(layer: dict[str, jax.Array], x: jax.Array) -> jax.Array:
    product = jnp.matmul(x, layer["kernel"].astype(x.dtype), precision=precision_of(x.dtype))
    return product + layer["bias"].astype(x.dtype).reshape(1, -1)
