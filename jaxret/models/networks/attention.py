"""Layers of transformers: products, layer normalisation, attention and pooling by attention."""

from functools import partial
from typing import Literal

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax

from jaxret.models.networks.convolution import precision_of
from jaxret.models.networks.matrix_product import product
from jaxret.models.networks.positions import Rotation

Bias = Literal["all", "qv", "none"]  # of query, key and value: DINOv3's keys have none


class Dense(nn.Module):
    """x W + b along the last axis, in the dtype of x."""

    features: int
    use_bias: bool = True

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        shape = (x.shape[-1], self.features)
        kernel = self.param("kernel", nn.initializers.he_normal(), shape).astype(x.dtype)
        x = product(x, kernel)
        if self.use_bias:
            bias = self.param("bias", nn.initializers.zeros, (self.features,))
            x = x + _last_axis(bias, x)
        return x


class LayerNorm(nn.Module):
    """(x - mean) / sqrt(var + epsilon) of each token, times scale, plus bias; in float32 inside."""

    epsilon: float

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        channels = x.shape[-1:]
        scale = self.param("scale", nn.initializers.ones, channels)
        bias = self.param("bias", nn.initializers.zeros, channels)
        wide = x.astype(jnp.promote_types(x.dtype, jnp.float32))
        centred = wide - wide.mean(axis=-1, keepdims=True)
        variance = jnp.square(centred).mean(axis=-1, keepdims=True)
        normed = centred * lax.rsqrt(variance + self.epsilon)
        return (normed * _last_axis(scale, wide) + _last_axis(bias, wide)).astype(x.dtype)


class LayerScale(nn.Module):
    """x times a learned factor a channel."""

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        return x * _last_axis(self.param("gamma", nn.initializers.ones, x.shape[-1:]), x)


def _last_axis(vector: jax.Array, x: jax.Array) -> jax.Array:
    return vector.reshape((1,) * (x.ndim - 1) + (-1,)).astype(x.dtype)


class Attention(nn.Module):
    """Multi-head attention, softmax(q k / sqrt(D)) v with D the channels of a head.

    Attributes:
        heads: How many.
        bias: Which of query, key and value have one.
    """

    heads: int
    bias: Bias = "all"

    @nn.compact
    def __call__(
        self, queries: jax.Array, tokens: jax.Array, rotation: Rotation | None = None
    ) -> jax.Array:
        """Queries [B, T, C] to tokens [B, N, C] -> [B, T, C]."""
        width = tokens.shape[-1]

        def split(name: str, x: jax.Array) -> jax.Array:
            has_bias = self.bias == "all" or (self.bias == "qv" and name != "key")
            x = Dense(width, has_bias, name=name)(x)
            return x.reshape(*x.shape[:-1], self.heads, width // self.heads)

        q, k, v = split("query", queries), split("key", tokens), split("value", tokens)
        if rotation is not None:
            q, k = rotation(q), rotation(k)
        mixed = attend(q, k, v).reshape(*queries.shape[:-1], width)
        return Dense(width, name="proj")(mixed)


def attend(q: jax.Array, k: jax.Array, v: jax.Array) -> jax.Array:
    """softmax(q k / sqrt(D)) v with the softmax in float32: q [B, T, H, D], k and v [B, N, H, D].

    In half precision on an NVIDIA GPU by cuDNN's fused kernel, which keeps no table of [T, N]
    weights; on a CPU piece by piece, so that the table stays in the caches (a quarter of the time
    of `dot_product_attention` at 1370 tokens, level with PyTorch's fused one).
    """
    accelerated = {"cuda": _fused} if _has_fused_kernel(q) else {}
    out: jax.Array = lax.platform_dependent(q, k, v, cpu=_in_pieces, default=_plain, **accelerated)
    return out


def _plain(q: jax.Array, k: jax.Array, v: jax.Array) -> jax.Array:
    # The function takes no precision: float32 would be multiplied in fewer bits on GPU and TPU.
    with jax.default_matmul_precision("highest" if q.dtype == jnp.float32 else "default"):
        return jax.nn.dot_product_attention(q, k, v)


def _fused(q: jax.Array, k: jax.Array, v: jax.Array) -> jax.Array:
    return jax.nn.dot_product_attention(q, k, v, implementation="cudnn")


_PIECE = 2**21  # bytes of tables of weights; a share of a core's cache


def _in_pieces(q: jax.Array, k: jax.Array, v: jax.Array) -> jax.Array:
    """Some heads after the others, whatever their images, or of one head some of the queries."""
    batch, queries, heads, channels = q.shape
    table = queries * k.shape[1] * 4
    groups = -(-batch * heads // max(1, _PIECE // table))
    at_once = -(-batch * heads // groups)
    pieces = -(-table // _PIECE)
    size = -(-queries // pieces)

    def in_groups(x: jax.Array) -> jax.Array:
        x = x.transpose(0, 2, 1, 3).reshape(batch * heads, x.shape[1], channels)
        x = jnp.pad(x, ((0, groups * at_once - batch * heads), (0, 0), (0, 0)))
        return x.reshape(groups, at_once, x.shape[1], channels)

    def one_group(group: tuple[jax.Array, jax.Array, jax.Array]) -> jax.Array:
        q, k, v = group
        q = jnp.pad(q, ((0, 0), (0, pieces * size - queries), (0, 0)))
        q = q.reshape(at_once, pieces, size, channels).swapaxes(0, 1)
        mixed = lax.map(lambda some: _softmax_product(some, k, v), q)
        return mixed.swapaxes(0, 1).reshape(at_once, -1, channels)[:, :queries]

    mixed = lax.map(one_group, (in_groups(q), in_groups(k), in_groups(v)))
    mixed = mixed.reshape(-1, queries, channels)[: batch * heads]
    return mixed.reshape(batch, heads, queries, channels).transpose(0, 2, 1, 3)


def _softmax_product(q: jax.Array, k: jax.Array, v: jax.Array) -> jax.Array:
    """Of some heads: [h, T, D], [h, N, D], [h, N, D] -> [h, T, D]."""
    wide, precision = jnp.promote_types(q.dtype, jnp.float32), precision_of(q.dtype)
    times = partial(lax.dot_general, precision=precision, preferred_element_type=wide)
    scaled = times(q, k, (((2,), (2,)), ((0,), (0,)))) * (q.shape[-1] ** -0.5)
    weights = jnp.exp(scaled - lax.stop_gradient(scaled.max(axis=2, keepdims=True)))
    total = weights.sum(axis=2, keepdims=True)
    mixed = times(weights.astype(v.dtype), v, (((2,), (1,)), ((0,), (0,))))
    return (mixed / total).astype(v.dtype)


def _has_fused_kernel(q: jax.Array) -> bool:
    """Whether cuDNN is here and takes these: half precision, heads of 8 to 128 channels."""
    half = q.dtype in (jnp.bfloat16, jnp.float16)
    fits = q.shape[-1] % 8 == 0 and q.shape[-1] <= 128
    return half and fits and jax.default_backend() == "gpu" and _is_cuda()


def _is_cuda() -> bool:
    return "cuda" in jax.devices()[0].client.platform_version


class AttentionPool(nn.Module):
    """Pooling by attention (the MAP head of big_vision): [B, N, C] -> [B, C].

    One learned query looks at all tokens; y = attention(probe, x), the result y + mlp(norm(y)).

    Attributes:
        heads: Of the attention.
        epsilon: Of the normalisation.
        mlp: Name of the activation and width of the MLP.
    """

    heads: int
    epsilon: float
    activation: str
    hidden: int

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        shape = (1, 1, x.shape[-1])
        probe = self.param("probe", nn.initializers.normal(0.02), shape).astype(x.dtype)
        queries = jnp.broadcast_to(probe, (x.shape[0], 1, x.shape[-1]))
        y = Attention(self.heads, name="attn")(queries, x)
        mlp = MLP(self.hidden, self.activation, gated=False, name="mlp")
        y = y + mlp(LayerNorm(self.epsilon, name="norm")(y))
        return y[:, 0]


class MLP(nn.Module):
    """Of each token by itself: fc2(act(fc1 x)), or gated w3(silu(w1 x) * w2 x) (SwiGLU).

    Attributes:
        hidden: Channels between the products.
        activation: "gelu", "gelu_tanh" (its approximation by tanh, as trained in SigLIP) or
            "quick_gelu" (x sigmoid(1.702 x), OpenAI's CLIP); of no meaning where gated.
        gated: Names and form of DINOv2's and DINOv3's SwiGLU.
    """

    hidden: int
    activation: str = "gelu"
    gated: bool = False

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        width = x.shape[-1]
        if self.gated:
            gate, value = (Dense(self.hidden, name=name)(x) for name in ("w1", "w2"))
            return Dense(width, name="w3")(nn.silu(gate) * value)
        x = ACTIVATIONS[self.activation](Dense(self.hidden, name="fc1")(x))
        return Dense(width, name="fc2")(x)


ACTIVATIONS = {
    "gelu": lambda x: nn.gelu(x, approximate=False),
    "gelu_tanh": lambda x: nn.gelu(x, approximate=True),
    "quick_gelu": lambda x: x * nn.sigmoid(1.702 * x),
}
