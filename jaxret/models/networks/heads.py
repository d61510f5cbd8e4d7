"""Heads of networks learnt for retrieval: GeM pooling with a learned power, a linear layer, L2.

AP-GeM (Revaud et al., ICCV 2019) normalises once, at the end; cirtorch's networks (Radenovic et
al., TPAMI 2018) before the linear layer and after it.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxret.models.networks.matrix_product import product

_GEM_FLOOR = 1e-6  # values are clamped to it before the power
_NORM_FLOOR = 1e-12  # of torch.nn.functional.normalize
_NORM_ADDED = 1e-6  # cirtorch, layers/functional.py


class GeM(nn.Module):
    """Generalised mean over all pixels, (mean x^p)^(1/p): [B, H, W, C] -> [B, 1, 1, C]."""

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        p = self.param("p", nn.initializers.constant(3.0), (1,))[0]
        x = jnp.maximum(x.astype(jnp.promote_types(x.dtype, jnp.float32)), _GEM_FLOOR)
        return (x**p).mean(axis=(1, 2), keepdims=True) ** (1 / p)


class Linear(nn.Module):
    """x W + b: [B, 1, 1, C] -> [B, 1, 1, features]."""

    features: int

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        shape = (x.shape[-1], self.features)
        kernel = self.param("kernel", nn.initializers.he_normal(), shape)
        bias = self.param("bias", nn.initializers.zeros, (self.features,))
        return product(x, kernel) + bias.reshape(1, 1, 1, -1)


def normalize(x: jax.Array) -> jax.Array:
    """Each row divided by its L2 norm, as torch.nn.functional.normalize does."""
    return x / jnp.maximum(_norm(x), _NORM_FLOOR)


def normalize_softly(x: jax.Array) -> jax.Array:
    """X / (norm + 1e-6): cirtorch's L2N, whose rows are a millionth short of length 1."""
    return x / (_norm(x) + _NORM_ADDED)


def _norm(x: jax.Array) -> jax.Array:
    return jnp.sqrt(jnp.square(x).sum(axis=-1, keepdims=True))
