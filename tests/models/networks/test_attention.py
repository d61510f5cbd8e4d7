"""The ways to compute attention agree with each other and with torch, gradients too."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

from jaxret.models.networks import attention


def inputs(queries, tokens, heads=3, channels=8):
    rng = np.random.default_rng(0)
    shapes = [(2, n, heads, channels) for n in (queries, tokens, tokens)]
    return [rng.standard_normal(shape).astype(np.float32) for shape in shapes]


def of_torch(q, k, v):
    q, k, v = (torch.from_numpy(x).double().transpose(1, 2) for x in (q, k, v))
    out = torch.nn.functional.scaled_dot_product_attention(q, k, v)
    return out.transpose(1, 2).numpy()


@pytest.mark.parametrize("way", [attention._plain, attention._in_pieces, attention.attend])
@pytest.mark.parametrize(("queries", "tokens"), [(1, 17), (17, 17), (5, 40)])
def test_all_ways_equal_torchs(way, queries, tokens):
    q, k, v = inputs(queries, tokens)
    np.testing.assert_allclose(way(q, k, v), of_torch(q, k, v), atol=2e-6)


# What a piece holds the weights of: four queries, the last alone; a head; three heads, the last
# alone; all heads of all images.
@pytest.mark.parametrize("queries_at_once", [4, 17, 3 * 17, 1000])
def test_pieces_are_put_together_again(queries_at_once, monkeypatch):
    q, k, v = inputs(17, 17, heads=5)
    monkeypatch.setattr(attention, "_PIECE", queries_at_once * 17 * 4)
    np.testing.assert_allclose(attention._in_pieces(q, k, v), of_torch(q, k, v), atol=2e-6)


@pytest.mark.slow
@pytest.mark.parametrize("queries_at_once", [4, 24, 1000])
def test_gradients_agree(queries_at_once, monkeypatch):
    q, k, v = inputs(6, 9)
    monkeypatch.setattr(attention, "_PIECE", queries_at_once * 9 * 4)

    def loss(way):
        return lambda *qkv: jnp.sin(3 * way(*qkv)).sum()

    wanted = jax.grad(loss(attention._plain), (0, 1, 2))(q, k, v)
    found = jax.grad(loss(attention._in_pieces), (0, 1, 2))(q, k, v)
    for one, other in zip(found, wanted, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


def test_large_products_do_not_overflow():
    q, k, v = (100 * x for x in inputs(4, 4))
    assert np.isfinite(attention._in_pieces(q, k, v)).all()


@pytest.mark.parametrize("platform", ["cuda", "tpu"])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_it_lowers_for_accelerators_that_are_not_here(platform, dtype):
    shapes = [jax.ShapeDtypeStruct(x.shape, dtype) for x in inputs(17, 17)]
    lowered = jax.jit(attention.attend).trace(*shapes).lower(lowering_platforms=(platform,))
    # Whole products, no loop over pieces: that is for CPUs.
    assert "while" not in lowered.as_text()
