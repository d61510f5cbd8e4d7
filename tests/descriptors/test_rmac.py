"""R-MAC: the grid against a table of known grids and torch arithmetic, the sum against torch."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

import jaxret
from jaxret.descriptors.rmac import region_grid, rmac
from jaxret.errors import UserError

# (H, W) -> (size, row starts, column starts) at each level.
GRIDS = {
    (7, 7): [(7, [0], [0]), (4, [0, 3], [0, 3]), (3, [0, 2, 4], [0, 2, 4])],
    (16, 16): [(16, [0], [0]), (10, [0, 6], [0, 6]), (8, [0, 4, 8], [0, 4, 8])],
    (24, 32): [(24, [0], [0, 8]), (16, [0, 8], [0, 8, 16]), (12, [0, 6, 12], [0, 6, 13, 20])],
    (32, 24): [(24, [0, 8], [0]), (16, [0, 8, 16], [0, 8]), (12, [0, 6, 13, 20], [0, 6, 12])],
    (32, 23): [(23, [0, 9], [0]), (15, [0, 8, 17], [0, 8]), (11, [0, 7, 14, 21], [0, 6, 12])],
    (20, 21): [(20, [0], [0, 1]), (13, [0, 7], [0, 4, 8]), (10, [0, 5, 10], [0, 3, 7, 11])],
    (2, 2): [(2, [0], [0]), (1, [0, 1], [0, 1]), (1, [0, 0, 1], [0, 0, 1])],
}
# (H, W) -> number of vectors, that of the whole map counted.
COUNTS = {
    (7, 7): 15, (16, 16): 15, (24, 32): 21, (32, 24): 21, (32, 23): 21, (20, 21): 21, (10, 32): 39,
    (8, 64): 51, (2, 2): 15, (1, 5): 8,
    (5, 9): 21, (10, 18): 21, (20, 36): 21, (45, 25): 21, (54, 30): 21,
}  # fmt: skip


def count(grid):
    return sum(len(level.rows) * len(level.columns) for level in grid)


def torch_grid(height, width, levels):
    """The same grid, from the definition, in torch's own float32 arithmetic."""
    short = min(height, width)
    stride = (max(height, width) - short) / (torch.arange(2.0, 8.0) - 1)
    overlap = (short**2 - short * stride) / short**2
    extra = 1 + int(torch.argmin((overlap - 0.4).abs())) if height != width else 0
    grid = []
    for scale in range(1, levels + 1):
        size = (2 * short) // (scale + 1)
        if size == 0:
            continue
        half, starts = int(np.floor(size / 2 - 1)), []
        for length in (height, width):
            n = scale + extra * (length > short)
            step = (length - size) / (n - 1) if n > 1 else 0
            starts.append((torch.floor(half + torch.arange(float(n)) * step) - half).int().tolist())
        grid.append((size, *starts))
    return grid


def torch_rmac(fmap, levels, include_global):
    nchw = torch.from_numpy(np.array(fmap, np.float32)).permute(0, 3, 1, 2)
    squares = [
        nchw[:, :, top : top + size, left : left + size]
        for size, rows, columns in torch_grid(*nchw.shape[2:], levels)
        for top in rows
        for left in columns
    ]
    vectors = [square.amax(dim=(2, 3)) for square in ([nchw] if include_global else []) + squares]
    return sum(v / (v.norm(dim=1, keepdim=True) + 1e-6) for v in vectors).numpy()


@pytest.mark.parametrize("shape", GRIDS)
def test_grid_is_the_known_one(shape):
    grid = [(level.size, list(level.rows), list(level.columns)) for level in region_grid(*shape, 3)]
    assert grid == GRIDS[shape]


@pytest.mark.parametrize("shape", COUNTS)
def test_number_of_regions_is_the_known_one(shape):
    assert count(region_grid(*shape, 3)) + 1 == COUNTS[shape]


def test_a_map_of_one_row_has_only_the_first_level():
    assert [(level.size, level.rows) for level in region_grid(1, 5, 3)] == [(1, (0,))]


@pytest.mark.parametrize(
    ("shape", "extra"),
    [((25, 61), 3), ((3, 11), 5), ((6, 22), 5), ((12, 44), 5), ((11, 47), 6), ((5, 9), 1)],
)
def test_ties_of_two_overlaps_fall_as_in_float32(shape, extra):
    # Exact arithmetic takes one extra region less at all but the last, float64 one more there.
    assert len(region_grid(*shape, 3)[0].columns) == 1 + extra
    assert len(region_grid(*shape[::-1], 3)[0].rows) == 1 + extra


def test_grid_equals_torch_arithmetic_for_every_shape_and_stays_inside():
    for height in range(1, 81):
        for width in range(1, 81):
            grid = [
                (level.size, list(level.rows), list(level.columns))
                for level in region_grid(height, width, 3)
            ]
            assert grid == torch_grid(height, width, 3), (height, width)
            for size, rows, columns in grid:
                assert min(rows + columns) >= 0
                assert max(rows) + size <= height
                assert max(columns) + size <= width


@pytest.mark.parametrize(
    ("shape", "include_global"),
    [
        *[(shape, False) for shape in [(1, 1), (1, 5), (2, 2), (5, 9), (8, 13), (13, 8), (23, 23)]],
        *[(shape, True) for shape in [(3, 11), (7, 7), (20, 21)]],
    ],
)
def test_sum_equals_torch(shape, include_global):
    fmap = np.random.default_rng(0).standard_normal((2, *shape, 19)).astype(np.float32)
    fmap[1] = np.maximum(fmap[1] - 2, 0)
    ours = rmac(fmap, levels=3, include_global=include_global)
    np.testing.assert_allclose(ours, torch_rmac(fmap, 3, include_global), atol=2e-6, rtol=1e-6)


@pytest.mark.parametrize("levels", [1, 5])
def test_other_numbers_of_levels(levels):
    fmap = np.random.default_rng(3).standard_normal((1, 9, 14, 5)).astype(np.float32)
    np.testing.assert_allclose(rmac(fmap, levels), torch_rmac(fmap, levels, False), atol=3e-6)


def test_a_constant_map_counts_its_regions():
    fmap = np.full((1, 7, 7, 1), 5.0, np.float32)
    assert float(rmac(fmap)[0, 0]) == pytest.approx(14, abs=1e-4)
    assert float(rmac(fmap, include_global=True)[0, 0]) == pytest.approx(15, abs=1e-4)


def test_a_map_of_zeros_gives_zero():
    assert not np.asarray(rmac(np.zeros((1, 4, 6, 3)))).any()


def test_bfloat16_maps_are_summed_in_float32():
    fmap = jnp.asarray(np.random.default_rng(5).uniform(0, 1, (2, 8, 8, 64)), jnp.bfloat16)
    ours = rmac(fmap)
    assert ours.dtype == jnp.float32
    np.testing.assert_allclose(ours, torch_rmac(fmap, 3, False), atol=3e-6)


def test_it_fuses_into_another_jitted_function():
    fmap = np.random.default_rng(6).uniform(0, 1, (2, 6, 9, 8)).astype(np.float32)
    inside = jax.jit(lambda images: jaxret.l2_normalize(jaxret.rmac(images * 2.0)))(fmap)
    np.testing.assert_allclose(inside, jaxret.l2_normalize(rmac(fmap)), atol=2e-6)


def test_what_is_no_map_is_refused():
    with pytest.raises(UserError, match=r"\[B, H, W, C\]"):
        rmac(np.zeros((7, 7, 3)))
    with pytest.raises(UserError, match="at least 1"):
        rmac(np.zeros((1, 0, 7, 3)))
    with pytest.raises(UserError, match="levels=0"):
        rmac(np.zeros((1, 7, 7, 3)), levels=0)
