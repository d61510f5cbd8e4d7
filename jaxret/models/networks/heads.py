"""The head of AP-GeM (Revaud et al., ICCV 2019): GeM pooling with a learned power, fc, L2."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxret.models.networks.convolution import precision_of

_GEM_FLOOR = 1e-6  # values are clamped to it before the power
_NORM_FLOOR = 1e-12  # of torch.nn.functional.normalize


class GeM(nn.Module):
    """Generalised mean over all pixels, (mean x^p)^(1/p): [B, H, W, C] -> [B, 1, 1, C]."""

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        p = self.param("p", nn.initializers.constant(3.0), (1,))[0]
        x = jnp.maximum(x.astype(jnp.promote_types(x.dtype, jnp.float32)), _GEM_FLOOR)
        return (x**p).mean(axis=(1, 2), keepdims=True) ** (1 / p)


class NormalizedLinear(nn.Module):
    """x W + b, each row then divided by its L2 norm: [B, 1, 1, C] -> [B, 1, 1, features]."""

    features: int

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        shape = (x.shape[-1], self.features)
        kernel = self.param("kernel", nn.initializers.he_normal(), shape)
        bias = self.param("bias", nn.initializers.zeros, (self.features,))
        contract = (((3,), (0,)), ((), ()))
        x = jax.lax.dot_general(x, kernel, contract, precision=precision_of(x.dtype))
        x = x + bias.reshape(1, 1, 1, -1)
        norm = jnp.sqrt(jnp.square(x).sum(axis=-1, keepdims=True))
        return x / jnp.maximum(norm, _NORM_FLOOR)
