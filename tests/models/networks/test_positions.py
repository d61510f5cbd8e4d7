"""Positions at other sizes and rotations against torch, scipy and complex numbers."""

import math

import jax.numpy as jnp
import numpy as np
import pytest
import scipy.ndimage
import torch
from torch.nn.functional import interpolate

from jaxret.models.networks.positions import (
    INTERPOLATIONS,
    dinov3_periods,
    resized,
    rotation,
    sincos_table,
)
from jaxret.models.networks.vit import fitted

GRIDS = [(16, 16), (51, 51), (37, 20), (5, 40), (1, 3)]


def of_torch(table, grid, how):
    """As the code of each family writes it."""
    x = torch.from_numpy(table).permute(2, 0, 1)[None]
    if how == "bicubic+0.1":  # DINO, DINOv2: by a scale factor
        factors = tuple((n + 0.1) / m for n, m in zip(grid, table.shape[:2], strict=True))
        x = interpolate(x, scale_factor=factors, mode="bicubic")
    else:
        mode = "bilinear" if how == "bilinear" else "bicubic"
        x = interpolate(x, size=grid, mode=mode, antialias=how.endswith("antialias"))
    return x[0].permute(1, 2, 0).numpy()


@pytest.mark.parametrize("how", ["bicubic", "bicubic+0.1", "bicubic-antialias", "bilinear"])
@pytest.mark.parametrize("grid", GRIDS)
def test_interpolations_equal_torchs(how, grid):
    table = np.random.default_rng(0).standard_normal((37, 37, 6))
    expected = of_torch(table, grid, how)
    assert expected.shape == (*grid, 6)
    found = resized(jnp.asarray(table, jnp.float32), grid, INTERPOLATIONS[how])
    np.testing.assert_allclose(found, expected, atol=3e-6 * np.abs(expected).max())


@pytest.mark.parametrize("grid", [(16, 16), (51, 20), (37, 37), (2, 3)])
def test_corners_coincide_as_in_scipys_zoom(grid):
    table = np.random.default_rng(1).standard_normal((14, 14, 4))
    expected = scipy.ndimage.zoom(table, (grid[0] / 14, grid[1] / 14, 1), order=1)
    found = resized(jnp.asarray(table, jnp.float32), grid, INTERPOLATIONS["bilinear-corners"])
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_the_conventions_differ():
    """Else a test of one would pass by another."""
    table = np.random.default_rng(2).standard_normal((37, 37, 1)).astype(np.float32)
    found = [
        np.asarray(resized(jnp.asarray(table), (51, 51), how)) for how in INTERPOLATIONS.values()
    ]
    for i, one in enumerate(found):
        for other in found[:i]:
            assert np.abs(one - other).max() > 1e-3


def turned(x, angles, halves):
    """Pairs as complex numbers, multiplied by exp(i angle)."""
    half = x.shape[-1] // 2
    pairs = (x[..., :half], x[..., half:]) if halves else (x[..., ::2], x[..., 1::2])
    z = (pairs[0] + 1j * pairs[1]) * np.exp(1j * angles)[None, :, None]
    if halves:
        return np.concatenate([z.real, z.imag], axis=-1)
    return np.stack([z.real, z.imag], axis=-1).reshape(x.shape)


@pytest.mark.parametrize("kind", ["dinov3", "pe", "pe-scaled"])
@pytest.mark.parametrize("channels", [16, 64])
def test_rotations_equal_complex_numbers(kind, channels):
    rows, columns, native = 5, 9, 7
    x = np.random.default_rng(3).standard_normal((2, 3 + rows * columns, 2, channels))
    angles = []
    for r in range(rows):
        for c in range(columns):
            if kind == "dinov3":
                y, z = 2 * (r + 0.5) / rows - 1, 2 * (c + 0.5) / columns - 1
                scales = [2 * math.pi / 100 ** (4 * i / channels) for i in range(channels // 4)]
                angles.append([s * y for s in scales] + [s * z for s in scales])
            else:
                y, z = r + 1.0, c + 1.0
                if kind == "pe-scaled":
                    y, z = y * native / rows, z * native / columns
                scales = [10000 ** (-4 * i / channels) for i in range(channels // 4)]
                angles.append([s * z for s in scales] + [s * y for s in scales])
    expected = turned(x[:, 3:], np.array(angles), kind == "dinov3")
    turn = rotation(kind, (rows, columns), channels, native, "float32")
    found = np.asarray(turn(jnp.asarray(x, jnp.float32)))
    np.testing.assert_allclose(found[:, 3:], expected, atol=1e-5)
    np.testing.assert_array_equal(found[:, :3], x[:, :3].astype(np.float32))


@pytest.mark.parametrize("channels", [64, 128])
def test_periods_of_the_file_are_those_of_torch_in_bfloat16(channels):
    steps = 2 * torch.arange(channels // 4, dtype=torch.bfloat16) / (channels // 2)
    expected = (100**steps).double().numpy()  # as its authors' code makes them
    np.testing.assert_array_equal(dinov3_periods(channels, "file"), expected)
    exact = 100 ** (np.arange(channels // 4) / (channels // 4))
    np.testing.assert_allclose(dinov3_periods(channels, "float32"), exact, rtol=1e-7)
    assert np.abs(dinov3_periods(channels, "file") / exact - 1).max() > 1e-3


def test_sincos_is_maes_and_mocos_the_other_way_round():
    table = sincos_table(3, 8, rows_first=False)
    omega = [1, 10000**-0.5]
    for row in range(3):
        for column in range(3):
            wanted = [f(p * w) for p in (column, row) for f in (math.sin, math.cos) for w in omega]
            np.testing.assert_allclose(table[3 * row + column], wanted, atol=1e-6)
    other = sincos_table(3, 8, rows_first=True).reshape(3, 3, 8)
    np.testing.assert_array_equal(other, table.reshape(3, 3, 8).swapaxes(0, 1))


def test_sides_that_the_patch_does_not_divide():
    x = jnp.asarray(np.random.default_rng(4).standard_normal((1, 17, 30, 3)), jnp.float32)
    np.testing.assert_array_equal(fitted(x, 7, "crop"), x[:, :14, :28])
    padded = fitted(x, 7, "pad")
    assert padded.shape == (1, 21, 35, 3)
    np.testing.assert_array_equal(padded[:, 2:19, 2:32], x)
    assert float(jnp.abs(padded).sum()) == pytest.approx(float(jnp.abs(x).sum()), rel=1e-6)
    wanted = interpolate(
        torch.from_numpy(np.array(x)).permute(0, 3, 1, 2),
        size=(14, 28),
        mode="bicubic",
        antialias=True,
    )
    np.testing.assert_allclose(
        fitted(x, 7, "resize"), wanted.permute(0, 2, 3, 1).numpy(), atol=1e-5
    )
