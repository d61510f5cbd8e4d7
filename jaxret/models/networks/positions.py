"""Where a patch lies: tables of positions at other sizes, sine and cosine tables, rotations.

All that depends on the grid alone is built on the host in float64 and enters the program as
constants in float32. The same weights have three conventions at sizes other than their own
(the authors', transformers', timm's), and they differ by up to a fifth of a patch.
"""

from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

Grid = tuple[int, int]  # rows and columns of patches


@dataclass(frozen=True)
class Interpolation:
    """One way to bring a row of M values to n of them.

    Output i lies at source coordinate x = (i + 1/2) step - 1/2, step = M / (n + offset).

    Attributes:
        kernel: "cubic" (Keys) or "linear".
        a: The free number of the cubic kernel: -3/4 in torch, -1/2 in PIL and where it antialiases.
        antialias: Where the row shrinks the kernel is widened by the step; taps outside are left
            out and the weights sum to 1 again. Else the outermost value repeats.
        offset: Added to n; 0.1 in DINO, whose code makes a scale factor of it.
        corners: The first and the last of both rows coincide: step = (M - 1) / (n - 1), x = i step.
    """

    kernel: Literal["cubic", "linear"] = "cubic"
    a: float = -0.75
    antialias: bool = False
    offset: float = 0.0
    corners: bool = False


# By the names that rows use. torch: F.interpolate(align_corners=False); big_vision: scipy's zoom.
INTERPOLATIONS = {
    "bicubic": Interpolation(),
    "bicubic+0.1": Interpolation(offset=0.1),
    "bicubic-antialias": Interpolation(a=-0.5, antialias=True),
    "bilinear": Interpolation("linear"),
    "bilinear-corners": Interpolation("linear", corners=True),
}


def _kernel(x: np.ndarray, how: Interpolation) -> np.ndarray:
    """Weight of a value at distance x."""
    x = np.abs(x)
    if how.kernel == "linear":
        return np.maximum(1 - x, 0)
    a = how.a
    near = ((a + 2) * x - (a + 3)) * x * x + 1
    far = ((a * x - 5 * a) * x + 8 * a) * x - 4 * a
    return np.where(x <= 1, near, np.where(x < 2, far, 0))


@lru_cache(maxsize=256)
def interpolation_weights(stored: int, wanted: int, how: Interpolation) -> np.ndarray:
    """[wanted, stored] float64, rows summing to 1: what each output takes of each stored value."""
    outputs = np.arange(wanted, dtype=np.float64)
    if how.corners:
        source = outputs * ((stored - 1) / (wanted - 1) if wanted > 1 else 0.0)
        step = 1.0
    else:
        step = stored / (wanted + how.offset)
        source = (outputs + 0.5) * step - 0.5
    if how.antialias:
        spread = max(step, 1.0)
        weights = _kernel((np.arange(stored) - source[:, None]) / spread, how)
        return weights / weights.sum(axis=1, keepdims=True)
    weights = np.zeros((wanted, stored))
    reach = 2 if how.kernel == "cubic" else 1
    for shift in range(1 - reach, reach + 1):
        tap = np.floor(source) + shift
        inside = np.clip(tap, 0, stored - 1).astype(np.int64)
        np.add.at(weights, (np.arange(wanted), inside), _kernel(source - tap, how))
    return weights


def resized(table: jax.Array, grid: Grid, how: Interpolation) -> jax.Array:
    """A table [M, M, C] or a batch of images [..., M, M', C] on another grid, in float32.

    Args:
        table: Rows and columns are the last axes but one.
        grid: The rows and columns that are wanted.
        how: The interpolation, along each axis by itself.
    """
    table = table.astype(jnp.promote_types(table.dtype, jnp.float32))
    rows, columns = (
        jnp.asarray(interpolation_weights(stored, wanted, how), table.dtype)
        for stored, wanted in zip(table.shape[-3:-1], grid, strict=True)
    )
    highest = lax.Precision.HIGHEST
    table = jnp.einsum("...nmc,in->...imc", table, rows, precision=highest)
    return jnp.einsum("...imc,jm->...ijc", table, columns, precision=highest)


def sincos_table(side: int, width: int, rows_first: bool) -> np.ndarray:
    """[side^2, width] float32: sine and cosine of the column and of the row, a quarter each.

    omega_j = 10000^(-4j / width), j = 0 .. width/4 - 1; [sin u, cos u, sin v, cos v] of each patch,
    where u is its column and v its row (MAE), or the other way round (`rows_first`: MoCo v3).
    """
    omega = 10000.0 ** (-np.arange(width // 4) / (width / 4))
    rows, columns = np.divmod(np.arange(side * side, dtype=np.float64), side)
    first, second = (rows, columns) if rows_first else (columns, rows)
    angles = [first[:, None] * omega, second[:, None] * omega]
    parts = [part for angle in angles for part in (np.sin(angle), np.cos(angle))]
    return np.concatenate(parts, axis=1).astype(np.float32)


@partial(jax.tree_util.register_dataclass, data_fields=["cos", "sin"], meta_fields=["halves"])
@dataclass(frozen=True)
class Rotation:
    """Rotary positions of all patches: each pair of channels of q and k turns by its angle.

    Attributes:
        cos: [patches, D] float32, D the channels of a head.
        sin: The same.
        halves: A pair is (i, i + D/2) where True, (2i, 2i + 1) where False.
    """

    cos: jax.typing.ArrayLike
    sin: jax.typing.ArrayLike
    halves: bool

    def __call__(self, x: jax.Array) -> jax.Array:
        """[B, tokens, heads, D] with the last tokens, the patches, turned."""
        first = x.shape[1] - np.shape(self.cos)[0]
        patches = x[:, first:].astype(jnp.promote_types(x.dtype, jnp.float32))
        cos, sin = (jnp.asarray(t, patches.dtype)[None, :, None] for t in (self.cos, self.sin))
        turned = patches * cos + self._quarter(patches) * sin
        return jnp.concatenate([x[:, :first], turned.astype(x.dtype)], axis=1)

    def _quarter(self, x: jax.Array) -> jax.Array:
        """Each pair (a, b) as (-b, a)."""
        if self.halves:
            a, b = jnp.split(x, 2, axis=-1)
            return jnp.concatenate([-b, a], axis=-1)
        return jnp.stack([-x[..., 1::2], x[..., ::2]], axis=-1).reshape(x.shape)


def dinov3_periods(channels: int, kept: str) -> np.ndarray:
    """[D / 4] float64: 100^(4i / D), rounded to bfloat16 ("file") or to float32."""
    dtype = jnp.bfloat16 if kept == "file" else np.float32
    periods = 100.0 ** (np.arange(channels // 4) / (channels // 4))
    return np.asarray(periods, dtype).astype(np.float64)


def rotation(kind: str, grid: Grid, channels: int, native: int, periods: str) -> Rotation:
    """The rotation of a family.

    "dinov3" (rope_position_encoding.py of its authors): centres of the patches in (-1, 1) along
    each axis, y = 2 (r + 1/2) / rows - 1; angle 2 pi y / period_i, period_i = 100^(4i / D),
    i = 0 .. D/4 - 1; [y angles, x angles] twice.

    "pe" (Rope2D of perception_models): positions 1, 2, ... along each axis (0 is the cls token),
    angle x 10000^(-4i / D); [x angles, y angles], each angle for two channels side by side.
    "pe-scaled" is timm's: positions times native / rows, so that they end where they did in
    training.

    Args:
        kind: "dinov3", "pe" or "pe-scaled".
        grid: Rows and columns.
        channels: D, of a head.
        native: Side of the grid that the network was trained with.
        periods: Of "dinov3": "file", which is rounded to bfloat16 as in the authors' files and in
            training, or "float32".
    """
    rows, columns = grid
    frequency: np.ndarray
    y: np.ndarray
    x: np.ndarray
    if kind == "dinov3":
        frequency = 1 / dinov3_periods(channels, periods)
        y, x = [2 * np.pi * (2 * (np.arange(n) + 0.5) / n - 1) for n in grid]
    else:
        frequency = 10000.0 ** -(np.arange(channels // 4) / (channels // 4))
        scaled = kind == "pe-scaled"
        y, x = [(1.0 + np.arange(n)) * (native / n if scaled else 1.0) for n in grid]
    along_y = np.broadcast_to(y[:, None, None] * frequency, (rows, columns, len(frequency)))
    along_x = np.broadcast_to(x[None, :, None] * frequency, (rows, columns, len(frequency)))
    halves = kind == "dinov3"
    if halves:
        angles = np.tile(np.concatenate([along_y, along_x], axis=-1), 2)
    else:
        angles = np.repeat(np.concatenate([along_x, along_y], axis=-1), 2, axis=-1)
    angles = angles.reshape(rows * columns, channels)
    return Rotation(np.cos(angles).astype(np.float32), np.sin(angles).astype(np.float32), halves)
