"""Derivatives beside finite differences in float64; ids have none."""

import jax
import numpy as np
import pytest
from rows import unit

from jaxret import functional

DATABASE = unit(23, 7, seed=1)
FAST = ("top_k", "mutual_graph")


def near(rows, k):
    return functional.top_k(rows, DATABASE, k)


def lists_and_graph(rows):
    nearest = functional.others(functional.top_k(rows, rows, 12))
    return functional.lists_of(nearest, 12), functional.mutual_graph(nearest, 8, 3.0)


def diffused(rows):
    lists, graph = lists_and_graph(rows)
    # No tolerance: where a node's conjugate gradients stop, the function has a step.
    return functional.diffuse(graph, lists, 0.9, tolerance=0.0, rounds=8)


FUNCTIONS = {
    "top_k": lambda x: functional.top_k(x, x[::-1] * 2, 5)[0],
    "inner_products": lambda x: functional.inner_products(x, x[:4]),
    "expand": lambda x: functional.expand(x, DATABASE, near(x, 4), "alpha"),
    "augment": lambda x: functional.augment(
        x, functional.others(functional.top_k(x, x, 5)), normalize=False
    ),
    "augment, normalised": lambda x: functional.augment(
        x, functional.others(functional.top_k(x, x, 5)), "alpha"
    ),
    "mutual_graph": lambda x: lists_and_graph(x)[1].weights,
    "diffuse": diffused,
    "combine": lambda x: functional.combine(
        lists_and_graph(x)[0], diffused(x), functional.top_k(DATABASE.astype(x.dtype), x, 3), 3.0
    ),
    "cosines": lambda x: functional.cosines(lists_and_graph(x)[0], diffused(x), queries=3),
    "whitening": lambda x: functional.whitening(x, 4)[1],
    "whiten": lambda x: functional.whiten(x[4:], x[0], x[:3]),
    "l2_normalize": functional.l2_normalize,
}


def differences(function, x, direction, step=1e-5):
    return (function(x + step * direction) - function(x - step * direction)) / (2 * step)


@pytest.mark.parametrize(
    "name",
    [name if name in FAST else pytest.param(name, marks=pytest.mark.slow) for name in FUNCTIONS],
)
def test_is_the_limit_of_differences(name):
    x = unit(21, 7).astype(np.float64)
    direction = np.random.default_rng(3).normal(size=x.shape)
    with jax.enable_x64(True):
        function = FUNCTIONS[name]
        weights = np.random.default_rng(4).normal(size=function(x).shape)

        def loss(x):
            return (weights * function(x)).sum()

        expected = differences(loss, x, direction)
        found = (jax.grad(loss)(x) * direction).sum()
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-7)
        in_float64 = jax.grad(loss)(x)
    single = weights.astype(np.float32)
    found = jax.grad(lambda x: (single * FUNCTIONS[name](x)).sum())(x.astype(np.float32))
    atol = 2e-3 * np.abs(in_float64).max()
    np.testing.assert_allclose(found, in_float64, atol=atol)
