"""Random weights: what a network is worth before it has learnt anything, and food for tests."""

import zlib
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxret.models.encoder import Encoder, named_arrays, network, template
from jaxret.models.networks.vit import ViT
from jaxret.models.registry import get
from jaxret.models.spec import ModelSpec


def random(model: str | ModelSpec, seed: int = 0) -> Encoder:
    """An encoder with He-initialised kernels and plausible, non-trivial BN statistics.

    Each array is drawn from a generator of its own, seeded by `seed` and the array's name, so
    equal names give equal values whatever else the network holds.
    """
    spec = get(model) if isinstance(model, str) else model
    variables: dict[str, Any] = {"params": {}, "batch_stats": {}}
    for name, shape in named_arrays(template(spec)):
        *path, leaf = name.split("/")
        node = variables
        for key in path:
            node = node.setdefault(key, {})
        generator = np.random.default_rng([seed, zlib.crc32(name.encode())])
        table = _fixed_positions(spec) if leaf == "pos_embed" else None
        values = _draw(leaf, shape.shape, generator) if table is None else table
        node[leaf] = jnp.asarray(values)
        if spec.architecture == "amdim" and path[-1] == "conv2":
            # No normalisation holds its 50 residual sums in check: the branches start small.
            node[leaf] = node[leaf] * 0.2
    return Encoder(spec, variables)


def initial(model: str | ModelSpec, seed: int = 0) -> Encoder:
    """An encoder as learning from nothing begins: batch normalisation that changes nothing yet.

    The kernels are those of `random`. The last normalisation of each residual block of a ResNet
    starts at 0, so that the block starts as the identity (Goyal et al., "Accurate, Large Minibatch
    SGD", 2017; SimCLR's own code does the same).
    """
    encoder = random(model, seed)
    closing = _closing_norm(encoder.spec)

    def beginning(path: Any, array: jax.Array) -> jax.Array:
        *_, layer, leaf = (entry.key for entry in path)
        if leaf in ("bias", "mean") or (layer, leaf) == (closing, "scale"):
            return jnp.zeros_like(array)
        return jnp.ones_like(array) if leaf in ("scale", "var", "gamma") else array

    return replace(encoder, variables=jax.tree.map_with_path(beginning, dict(encoder.variables)))


def _closing_norm(spec: ModelSpec) -> str:
    """Name of the last batch normalisation of a ResNet's blocks."""
    if spec.architecture != "resnet":
        return ""
    return "bn3" if int(dict(spec.arguments)["depth"]) >= 50 else "bn2"


def _fixed_positions(spec: ModelSpec) -> np.ndarray | None:
    """The table of a Vision Transformer whose positions are not learnt."""
    module = network(spec)
    return module.fixed_positions() if isinstance(module, ViT) else None


def _draw(leaf: str, shape: tuple[int, ...], generator: np.random.Generator) -> np.ndarray:
    if leaf == "kernel":
        values = generator.standard_normal(shape, dtype=np.float32)
        return values * np.float32(np.sqrt(2 / np.prod(shape[:-1])))
    if leaf == "p":  # power of GeM pooling
        return np.full(shape, 3, np.float32)
    uniform = generator.random(shape, dtype=np.float32)
    if leaf in ("scale", "var", "gamma"):
        return 0.5 + uniform
    return (uniform - 0.5) / 2  # "bias" and "mean"
