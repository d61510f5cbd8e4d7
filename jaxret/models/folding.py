"""Folding: batch normalisation by stored statistics is affine, so a convolution can do it too.

    scale * (K x - mean) / sqrt(var + epsilon) + bias = (factor K) x + (bias - factor mean)

One pass over the map is saved behind each convolution. A folded encoder has `spec.folded` set and
holds a kernel and a bias for every convolution, and no statistics of those any more.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import jax.numpy as jnp
import numpy as np

from jaxret.models.encoder import Encoder, network

# A convolution and the batch normalisation behind it, siblings under the same module.
_PAIRS = (
    ("conv1", "bn1"),
    ("conv2", "bn2"),
    ("conv3", "bn3"),
    ("downsample_0", "downsample_1"),
    ("conv_stem", "bn0"),
    ("expand_conv", "bn0"),
    ("depthwise_conv", "bn1"),
    ("project_conv", "bn2"),
    ("conv_head", "bn1"),
)


def fold(encoder: Encoder) -> Encoder:
    """An encoder of the same function (to about 1e-6) without batch normalisation behind
    convolutions; the given one stays as it was. Folding twice changes nothing.
    """
    if encoder.spec.folded or encoder.spec.architecture == "vit":  # nothing to fold
        return encoder
    epsilon = network(encoder.spec).style.epsilon
    statistics = encoder.variables.get("batch_stats", {})
    params, rest = _folded(encoder.variables["params"], statistics, epsilon)
    spec = replace(encoder.spec, folded=True)
    return replace(encoder, spec=spec, variables={"params": params, "batch_stats": rest})


def _folded(
    params: Mapping[str, Any], statistics: Mapping[str, Any], epsilon: float
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Parameters of one module and all below it, folded, and the statistics that are left."""
    pairs = [(conv, bn) for conv, bn in _PAIRS if conv in params and bn in params]
    gone = {bn for _, bn in pairs}
    new = {name: node for name, node in params.items() if name not in gone}
    left = {name: node for name, node in statistics.items() if name not in gone}
    for conv, bn in pairs:
        new[conv] = _fold_one(params[conv]["kernel"], params[bn], statistics[bn], epsilon)
    for name in set(new) - {conv for conv, _ in pairs}:
        if isinstance(new[name], Mapping):
            new[name], below = _folded(new[name], statistics.get(name, {}), epsilon)
            if below:
                left[name] = below
            else:
                left.pop(name, None)
    return new, left


def _fold_one(
    kernel: Any, bn: Mapping[str, Any], statistics: Mapping[str, Any], epsilon: float
) -> dict[str, Any]:
    scale, bias, mean, var = (
        np.asarray(vector, np.float64)
        for vector in (bn["scale"], bn["bias"], statistics["mean"], statistics["var"])
    )
    factor = scale / np.sqrt(var + epsilon)
    outputs = jnp.asarray(factor.reshape(1, 1, 1, -1), jnp.float32)  # the last axis of a kernel
    return {"kernel": kernel * outputs, "bias": jnp.asarray(bias - mean * factor, jnp.float32)}
