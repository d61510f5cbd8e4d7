"""Gradients against PyTorch's: of single operations, and of whole networks in training mode."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
import twins
from torch.nn import functional
from twins.building import pixels_to_torch

from jaxret.convert import from_state_dict
from jaxret.models import get
from jaxret.models.encoder import forward_training, named_arrays
from jaxret.models.networks.convolution import depthwise_conv2d
from jaxret.models.networks.dense_convolution import conv2d
from jaxret.models.networks.max_pooling import max_pool

SIZES = [(6, 6), (9, 7)]


def drawn(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng([seed, *shape]).standard_normal(shape).astype(np.float32)


def to_torch(x: np.ndarray, *axes: int) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(x.transpose(axes))).requires_grad_()


def slopes(function, *arrays):
    """Gradients of a sum that weighs every output differently."""

    def total(*arrays):
        y = function(*arrays)
        weights = jnp.asarray(np.cos(np.arange(y.size, dtype=np.float32)).reshape(y.shape))
        return (y * weights).sum()

    return jax.jit(jax.grad(total, argnums=tuple(range(len(arrays)))))(*arrays)


def torch_slopes(y: torch.Tensor, *tensors: torch.Tensor) -> list[np.ndarray]:
    y = y.permute(0, 2, 3, 1)
    weights = torch.cos(torch.arange(y.numel(), dtype=torch.float32)).reshape(y.shape)
    (y * weights).sum().backward()
    return [tensor.grad.numpy() for tensor in tensors]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("window", [3, 5])
def test_depthwise_convolution(window, stride, size):
    x, kernel = drawn(3, *size, 5), drawn(window, window, 1, 5)
    to_x, to_kernel = slopes(lambda x, k: depthwise_conv2d(x, k, stride, "torch"), x, kernel)
    images, weights = to_torch(x, 0, 3, 1, 2), to_torch(kernel, 3, 2, 0, 1)
    y = functional.conv2d(images, weights, stride=stride, padding=window // 2, groups=5)
    expected_x, expected_kernel = torch_slopes(y, images, weights)
    np.testing.assert_allclose(to_x, expected_x.transpose(0, 2, 3, 1), atol=2e-5)
    np.testing.assert_allclose(to_kernel, expected_kernel.transpose(2, 3, 1, 0), atol=2e-5)


def test_depthwise_convolution_in_bfloat16_sums_in_float32():
    x, kernel = np.ones((8, 40, 40, 3), np.float32), np.ones((3, 3, 1, 3), np.float32)
    x, kernel = jnp.asarray(x, jnp.bfloat16), jnp.asarray(kernel, jnp.bfloat16)
    slope = jax.grad(lambda k: depthwise_conv2d(x, k, 1, "torch").astype(jnp.float32).sum())(kernel)
    assert slope.dtype == jnp.bfloat16
    middle = float(slope[1, 1, 0, 0])  # 12800 ones, of which bfloat16 alone would count 256
    assert middle == pytest.approx(8 * 40 * 40, rel=2**-8)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(("window", "stride"), [(1, 1), (1, 2), (3, 1), (3, 2)])
def test_convolution(window, stride, size):
    x, kernel = drawn(3, *size, 4), drawn(window, window, 4, 6)
    to_x, to_kernel = slopes(lambda x, k: conv2d(x, k, stride, "torch"), x, kernel)
    images, weights = to_torch(x, 0, 3, 1, 2), to_torch(kernel, 3, 2, 0, 1)
    y = functional.conv2d(images, weights, stride=stride, padding=(window - 1) // 2)
    expected_x, expected_kernel = torch_slopes(y, images, weights)
    np.testing.assert_allclose(to_x, expected_x.transpose(0, 2, 3, 1), atol=2e-5)
    np.testing.assert_allclose(to_kernel, expected_kernel.transpose(2, 3, 1, 0), atol=5e-5)


@pytest.mark.parametrize("size", SIZES)
def test_max_pool(size):
    x = drawn(3, *size, 4)
    (to_x,) = slopes(lambda x: max_pool(x, 3, 2, "torch"), x)
    images = to_torch(x, 0, 3, 1, 2)
    (expected,) = torch_slopes(functional.max_pool2d(images, 3, 2, 1), images)
    np.testing.assert_allclose(to_x, expected.transpose(0, 2, 3, 1), atol=1e-6)


NETWORKS = {
    "resnet": replace(get("resnet50").with_arguments(stages=1), tap="layer1", channels=256),
    "efficientnet": replace(get("efficientnet-lite0"), tap="blocks_2"),
}


@pytest.mark.parametrize(
    ("name", "remat"), [("resnet", False), ("resnet", True), ("efficientnet", False)]
)
def test_network_in_training_mode(name, remat, photographs):
    """Value and every gradient, in float64: in float32 a ReLU near 0 falls to either side."""
    spec = NETWORKS[name]
    twin = twins.randomize(twins.build(spec), seed=2)
    encoder = from_state_dict(spec, twins.published_state(spec, twin))
    images = photographs(96, 80, 4)
    with jax.enable_x64(True):
        variables = jax.tree.map(lambda array: np.asarray(array, np.float64), encoder.variables)

        def loss(params):
            fmap, _ = forward_training(
                spec, {**variables, "params": params}, images, dtype=jnp.float64, remat=remat
            )
            return jnp.square(fmap).mean()

        value, slope = jax.jit(jax.value_and_grad(loss))(variables["params"])
    twin = twin.double().train()
    expected = torch.square(twin(pixels_to_torch(spec, images).double())[spec.tap]).mean()
    expected.backward()
    assert float(value) == pytest.approx(expected.item(), rel=1e-6)
    # Gradients take the place of the weights, so that the port says which is which.
    with torch.no_grad():
        for parameter in twin.parameters():
            parameter.copy_(parameter.grad if parameter.grad is not None else parameter * 0)
    wanted = from_state_dict(spec, twins.published_state(spec, twin)).variables["params"]
    largest = max(float(np.abs(one).max()) for _, one in named_arrays(wanted))
    for (name, actual), (_, one) in zip(named_arrays(slope), named_arrays(wanted), strict=True):
        scale = float(np.abs(one).max())
        # A bias before batch normalisation has the gradient 0, up to rounding.
        np.testing.assert_allclose(actual, one, atol=1e-5 * scale + 1e-12 * largest, err_msg=name)
