"""The projection head: descriptors are compared behind it while learning, and before it after.

Chen et al., "A Simple Framework for Contrastive Learning of Visual Representations", ICML 2020,
section 4.2: z = W2 relu(W1 h). The authors' own code normalises both layers by the batch, which
keeps a network that starts at random from giving all photographs one descriptor; MoCo v2 (Chen et
al., 2020) does not.
"""

import jax
import jax.numpy as jnp
from jax.nn import initializers

from jaxret.models.networks.convolution import precision_of

Head = dict[str, dict[str, jax.Array]]
_EPSILON = 1e-5


def init(key: jax.Array, inputs: int, hidden: int, outputs: int, batch_norm: bool = False) -> Head:
    """Random weights of two layers, float32.

    Args:
        key: PRNG key.
        inputs: Channels of the descriptors.
        hidden: Width of the layer between (the inputs' in SimCLR, 2048 in MoCo v2).
        outputs: Dimension that the loss sees (128 in both).
        batch_norm: Normalise what both layers give by the batch.

    Returns:
        {"hidden": {"kernel": [inputs, hidden], "bias": [hidden]}, "output": {...}}, with "scale"
        in each layer where it is normalised.
    """
    first, second = jax.random.split(key)
    return {
        "hidden": _layer(first, initializers.he_normal(), inputs, hidden, batch_norm),
        # no ReLU behind
        "output": _layer(second, initializers.lecun_normal(), hidden, outputs, batch_norm),
    }


def project(params: Head, x: jax.Array) -> jax.Array:
    """[B, inputs] -> [B, outputs], in the dtype of x."""
    return _linear(params["output"], jax.nn.relu(_linear(params["hidden"], x)))


def _layer(
    key: jax.Array, initializer: initializers.Initializer, inputs: int, outputs: int, norm: bool
) -> dict[str, jax.Array]:
    kernel = initializer(key, (inputs, outputs), jnp.float32)
    layer = {"kernel": kernel, "bias": jnp.zeros(outputs)}
    return {**layer, "scale": jnp.ones(outputs)} if norm else layer


def _linear(layer: dict[str, jax.Array], x: jax.Array) -> jax.Array:
    """Product and bias; the product normalised by the batch where the layer has a scale."""
    product = jnp.matmul(x, layer["kernel"].astype(x.dtype), precision=precision_of(x.dtype))
    bias = layer["bias"].reshape(1, -1)
    if "scale" not in layer:
        return product + bias.astype(x.dtype)
    wide = product.astype(jnp.promote_types(x.dtype, jnp.float32))
    centred = wide - wide.mean(axis=0, keepdims=True)
    var = jnp.square(centred).mean(axis=0, keepdims=True)
    factor = layer["scale"].reshape(1, -1) * jax.lax.rsqrt(var + _EPSILON)
    return (centred * factor + bias).astype(x.dtype)
