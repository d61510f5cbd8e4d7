"""Vision Transformers (Dosovitskiy et al., ICLR 2021): one network, the families are its arguments.

Patches become tokens, all tokens pass the blocks. Layers are named as in the code of DINO and of
timm; query, key and value are three products where those files hold one.
"""

from typing import Literal

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxret.models.networks.attention import (
    MLP,
    Attention,
    AttentionPool,
    Bias,
    Dense,
    LayerNorm,
    LayerScale,
)
from jaxret.models.networks.convolution import precision_of
from jaxret.models.networks.positions import (
    INTERPOLATIONS,
    Grid,
    Interpolation,
    Rotation,
    resized,
    rotation,
    sincos_table,
)

PositionResize = Literal["original", "hf", "timm"]
PatchFit = Literal["crop", "pad", "resize"]
Periods = Literal["file", "float32"]


class Block(nn.Module):
    """x + ls1(attn(norm1 x)), then x + ls2(mlp(norm2 x))."""

    heads: int
    hidden: int
    activation: str
    gated: bool
    bias: Bias
    layer_scale: bool
    epsilon: float

    @nn.compact
    def __call__(self, x: jax.Array, turn: Rotation | None = None) -> jax.Array:
        y = LayerNorm(self.epsilon, name="norm1")(x)
        y = Attention(self.heads, self.bias, name="attn")(y, y, turn)
        x = x + (LayerScale(name="ls1")(y) if self.layer_scale else y)
        y = LayerNorm(self.epsilon, name="norm2")(x)
        y = MLP(self.hidden, self.activation, self.gated, name="mlp")(y)
        return x + (LayerScale(name="ls2")(y) if self.layer_scale else y)


class ViT(nn.Module):
    """Images [B, H, W, 3] -> {stage: array}.

    Stages patch_embed, blocks_0, blocks_1, ... and norm are maps [B, h, w, width] of the patches'
    tokens; behind them cls [B, width] and registers [B, R, width], both after `norm` too, and
    pooled [B, D], those that there are. Stages after `last` are not run; behind `norm` all are.

    Attributes:
        patch: Side of a patch in pixels.
        width: Channels of a token.
        depth: Blocks.
        heads: Of each attention.
        grid: Patches along a side of the images that it was trained with.
        hidden: Channels inside an MLP; 0 for 4 * width.
        cls: Whether there is a cls token.
        registers: Further tokens without a position.
        positions: What is added to the tokens: "learned" (a table [1, grid^2, width] with one more
            row before the others for cls), "sincos" and "sincos-rows" (the table of MAE and that of
            MoCo v3, kept beside the weights as their files do), or "none".
        cls_position: Whether the table has a row for cls.
        rope: Rotary positions in every attention: "none", "dinov3" or "pe" (see `rotation`).
        rope_periods: Of "dinov3", as its authors' files hold them ("file") or "float32"; in the
            other conventions of `position_resize` always the latter.
        patch_bias: Whether the patch embedding has a bias.
        norm_pre: A normalisation before the blocks.
        epsilon: Of every normalisation.
        layer_scale: A learned factor a channel behind attention and MLP.
        qkv_bias: "all", "qv" or "none".
        activation: See `MLP`.
        gated: SwiGLU in place of the activation.
        pool_heads: Heads of the pooling by attention; 0 for none.
        projection: Dimension onto which what was pooled is projected, or cls where nothing is
            pooled; 0 for none.
        position_resize: Whose convention at other sizes.
        resize_original: That of its authors, by its name in INTERPOLATIONS.
        resize_hf: That of transformers.
        patch_fit: Sides that are no multiple of the patch: what is left over to the right and
            below is not seen ("crop"), zeros are added around the normalised image ("pad", the
            larger half to the right and below), or it is resized to the nearest multiple
            ("resize", bicubic with antialiasing).
        remat: Compute each block again in the backward pass instead of keeping what lies inside.
    """

    patch: int
    width: int
    depth: int
    heads: int
    grid: int
    hidden: int = 0
    cls: bool = True
    registers: int = 0
    positions: Literal["learned", "sincos", "sincos-rows", "none"] = "learned"
    cls_position: bool = True
    rope: Literal["none", "dinov3", "pe"] = "none"
    rope_periods: Periods = "file"
    patch_bias: bool = True
    norm_pre: bool = False
    epsilon: float = 1e-6
    layer_scale: bool = False
    qkv_bias: Bias = "all"
    activation: str = "gelu"
    gated: bool = False
    pool_heads: int = 0
    projection: int = 0
    position_resize: PositionResize = "original"
    resize_original: str = "bicubic-antialias"
    resize_hf: str = "bicubic"
    patch_fit: PatchFit = "crop"
    remat: bool = False

    @nn.compact
    def __call__(
        self, x: jax.Array, mask: jax.Array | None = None, last: str | None = None
    ) -> dict[str, jax.Array]:
        """`mask` is for networks with batch normalisation, and of no meaning here."""
        x = fitted(x, self.patch, self.patch_fit)
        square = x.shape[1] == x.shape[2]
        patches = PatchEmbedding(self.patch, self.width, self.patch_bias, name="patch_embed")(x)
        _, rows, columns, _ = patches.shape
        grid = rows, columns
        outputs = {"patch_embed": patches}
        x = self._tokens(patches, grid, square)
        if self.norm_pre:
            x = LayerNorm(self.epsilon, name="norm_pre")(x)
        turn = self._rotation(grid)
        block = nn.remat(Block) if self.remat else Block
        for i in range(self.depth):
            x = block(
                self.heads,
                self.hidden or 4 * self.width,
                self.activation,
                self.gated,
                self.qkv_bias,
                self.layer_scale,
                self.epsilon,
                name=f"blocks_{i}",
            )(x, turn)
            outputs[f"blocks_{i}"] = self._map(x, grid)
            if f"blocks_{i}" == last:
                return outputs
        x = LayerNorm(self.epsilon, name="norm")(x)
        outputs["norm"] = self._map(x, grid)
        return outputs | self._vectors(x)

    def _map(self, x: jax.Array, grid: Grid) -> jax.Array:
        """The patches' tokens [B, h, w, C]."""
        return x[:, -grid[0] * grid[1] :].reshape(len(x), *grid, self.width)

    def _tokens(self, patches: jax.Array, grid: Grid, square: bool) -> jax.Array:
        """[B, 1 + R + h w, C]: cls, registers and patches, with the positions of what has one."""
        x = patches.reshape(len(patches), -1, self.width)
        cls = []
        if self.cls:
            cls.append(self._learned("cls_token", (1, 1, self.width)))
        if self.positions != "none":
            first, table = self._positions(grid, square)
            x = x + table.astype(x.dtype)
            if self.cls and self.cls_position:
                cls = [cls[0] + first]
        if self.registers:
            cls.append(self._learned("register_tokens", (1, self.registers, self.width)))
        tokens = [jnp.broadcast_to(t, (len(x), *t.shape[1:])).astype(x.dtype) for t in cls]
        return jnp.concatenate([*tokens, x], axis=1)

    def _learned(self, name: str, shape: tuple[int, ...]) -> jax.Array:
        array: jax.Array = self.param(name, nn.initializers.normal(0.02), shape)
        return array

    def _positions(self, grid: Grid, square: bool) -> tuple[jax.Array, jax.Array]:
        """What is added to cls [1, 0 or 1, C], and to the patches [1, h w, C]."""
        before = int(self.cls and self.cls_position)
        table = self._table(before)
        first, table = table[:, :before], table[:, before:]
        # Their code leaves the table as it is where the image is of the native size, and else
        # resamples it, even to the very same grid: it tells by the sides in pixels.
        if grid != (self.grid, self.grid) or not square:
            table = table.reshape(1, self.grid, self.grid, self.width)
            table = resized(table, grid, self._interpolation()).reshape(1, -1, self.width)
        return first, table

    def _table(self, before: int) -> jax.Array:
        """[1, before + grid^2, C]; what is no outcome of learning is not learnt further."""
        if self.positions == "learned":
            return self._learned("pos_embed", (1, before + self.grid**2, self.width))
        table: jax.Array = self.param("pos_embed", lambda key: jnp.asarray(self.fixed_positions()))
        return lax.stop_gradient(table)

    def fixed_positions(self) -> np.ndarray | None:
        """The table [1, 0 or 1 + grid^2, C] of sines and cosines; None where it is learnt."""
        if not self.positions.startswith("sincos"):
            return None
        before = int(self.cls and self.cls_position)
        table = sincos_table(self.grid, self.width, self.positions == "sincos-rows")
        return np.pad(table, ((before, 0), (0, 0)))[None]

    def _interpolation(self) -> Interpolation:
        names = {"original": self.resize_original, "hf": self.resize_hf}
        return INTERPOLATIONS[names.get(self.position_resize, "bicubic-antialias")]

    def _rotation(self, grid: Grid) -> Rotation | None:
        if self.rope == "none":
            return None
        scaled = self.rope == "pe" and self.position_resize != "original"
        kind = "pe-scaled" if scaled else self.rope
        # transformers and timm compute the periods anew.
        periods = self.rope_periods if self.position_resize == "original" else "float32"
        return rotation(kind, grid, self.width // self.heads, self.grid, periods)

    def vector_channels(self) -> dict[str, int]:
        """Width of what `_vectors` gives, nothing being computed."""
        widths = {"cls": self.width} if self.cls else {}
        if self.registers:
            widths["registers"] = self.width
        if self.pool_heads or self.projection:
            widths["pooled"] = self.projection or self.width
        return widths

    def _vectors(self, x: jax.Array) -> dict[str, jax.Array]:
        """cls, registers and the pooled vector of the normalised tokens."""
        vectors = {}
        if self.cls:
            vectors["cls"] = x[:, 0]
        if self.registers:
            start = int(self.cls)
            vectors["registers"] = x[:, start : start + self.registers]
        pooled = None
        if self.pool_heads:
            pooled = AttentionPool(
                self.pool_heads,
                self.epsilon,
                self.activation,
                self.hidden or 4 * self.width,
                name="attn_pool",
            )(x)
        if self.projection:
            of = vectors["cls"] if pooled is None else pooled
            pooled = Dense(self.projection, use_bias=False, name="head")(of)
        return vectors if pooled is None else {**vectors, "pooled": pooled}


class PatchEmbedding(nn.Module):
    """A convolution with as much stride as window: [B, H, W, 3] -> [B, h, w, features].

    Patches do not overlap, so it is one product over them, which XLA:CPU runs faster.
    """

    patch: int
    features: int
    use_bias: bool

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        size = self.patch
        batch, height, width, channels = x.shape
        shape = (size, size, channels, self.features)
        kernel = self.param("kernel", nn.initializers.he_normal(), shape).astype(x.dtype)
        x = x.reshape(batch, height // size, size, width // size, size, channels)
        x = jnp.einsum("bhiwjc,ijcf->bhwf", x, kernel, precision=precision_of(x.dtype))
        if self.use_bias:
            bias = self.param("bias", nn.initializers.zeros, (self.features,))
            x = x + bias.reshape(1, 1, 1, -1).astype(x.dtype)
        return x


def fitted(x: jax.Array, patch: int, fit: PatchFit) -> jax.Array:
    """Normalised images [B, H, W, 3] with sides that `patch` divides; see ViT.patch_fit."""
    sides = x.shape[1:3]
    if fit == "pad":
        missing = [-side % patch for side in sides]
        return jnp.pad(x, ((0, 0), *((m // 2, m - m // 2) for m in missing), (0, 0)))
    if fit == "resize":
        rows, columns = (max(round(side / patch), 1) * patch for side in sides)
        if (rows, columns) == sides:
            return x
        return resized(x, (rows, columns), INTERPOLATIONS["bicubic-antialias"]).astype(x.dtype)
    return x[:, : sides[0] // patch * patch, : sides[1] // patch * patch]
