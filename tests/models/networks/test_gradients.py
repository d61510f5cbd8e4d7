"""Gradients against PyTorch's: of single operations, and of whole networks in training mode."""

import functools
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
from jaxret.models.networks import dense_convolution
from jaxret.models.networks.batch_normalization import normalize_by_batch
from jaxret.models.networks.convolution import depthwise_conv2d
from jaxret.models.networks.dense_convolution import conv2d
from jaxret.models.networks.matrix_product import product
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
        weights = jnp.asarray(np.cos(np.arange(y.size, dtype=y.dtype)).reshape(y.shape))
        return (y * weights).sum()

    return jax.jit(jax.grad(total, argnums=tuple(range(len(arrays)))))(*arrays)


def torch_slopes(y: torch.Tensor, *tensors: torch.Tensor) -> list[np.ndarray]:
    y = y.permute(0, 2, 3, 1)
    weights = torch.cos(torch.arange(y.numel(), dtype=y.dtype)).reshape(y.shape)
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


def torch_padded(images: torch.Tensor, window: int, stride: int, padding: str) -> torch.Tensor:
    """With zeros around, as [B, C, H, W]; TensorFlow's SAME by its own documented formula."""
    if padding == "valid":
        return images
    if padding == "torch":
        return functional.pad(images, [(window - 1) // 2] * 4)
    around = []
    for size in reversed(images.shape[2:]):
        over = size % stride or stride
        missing = max(window - over, 0)
        around += [missing // 2, missing - missing // 2]
    return functional.pad(images, around)


# (window, stride, padding, height, width): the 7x7 stem, 4x4 and 2x2 of AMDIM, 3x3 with either
# stride; maps larger than the window, smaller on one side, and smaller on both down to a pixel.
CONVOLUTIONS = [
    (1, 1, "torch", 9, 7),
    (1, 2, "torch", 9, 7),
    (3, 1, "torch", 9, 7),
    (3, 2, "torch", 6, 6),
    (3, 2, "torch", 9, 7),
    (3, 2, "same", 6, 7),
    (3, 1, "valid", 6, 5),
    (3, 2, "torch", 4, 4),  # whose slopes alone are smaller than the window
    (3, 2, "same", 2, 5),
    (3, 1, "torch", 2, 2),
    (3, 2, "same", 2, 1),
    (3, 2, "torch", 1, 1),
    (4, 2, "valid", 9, 10),
    (2, 2, "valid", 6, 7),
    (7, 2, "torch", 15, 10),
    (7, 2, "same", 10, 9),
]


@pytest.mark.parametrize("few", [0, 16], ids=["of many channels", "of few"])
@pytest.mark.parametrize(("window", "stride", "padding", "height", "width"), CONVOLUTIONS)
def test_convolution(window, stride, padding, height, width, few, monkeypatch):
    """Value and gradients in float64, over blocks of two images and one image that is left."""
    if padding == "valid" and min(height, width) < window:
        pytest.skip("no window fits")
    x, kernel = drawn(5, height, width, 4), drawn(window, window, 4, 6)
    images, weights = to_torch(x, 0, 3, 1, 2), to_torch(kernel, 3, 2, 0, 1)
    images, weights = (a.detach().double().requires_grad_() for a in (images, weights))
    y = functional.conv2d(torch_padded(images, window, stride, padding), weights, stride=stride)
    expected_x, expected_kernel = torch_slopes(y, images, weights)
    monkeypatch.setattr(dense_convolution, "_FEW_CHANNELS", few)
    monkeypatch.setattr(dense_convolution, "_PIXELS_AT_ONCE", 2 * y.shape[2] * y.shape[3])
    monkeypatch.setattr(dense_convolution, "_IMAGES_AT_ONCE", 2)
    with jax.enable_x64(True):
        x, kernel = x.astype(np.float64), kernel.astype(np.float64)
        value = conv2d(jnp.asarray(x), jnp.asarray(kernel), stride, padding)
        to_x, to_kernel = slopes(lambda x, k: conv2d(x, k, stride, padding), x, kernel)
    close = functools.partial(np.testing.assert_allclose, atol=1e-12, rtol=1e-12)
    close(value, y.detach().numpy().transpose(0, 2, 3, 1))
    close(to_x, expected_x.transpose(0, 2, 3, 1))
    close(to_kernel, expected_kernel.transpose(2, 3, 1, 0))


@pytest.mark.parametrize("channels", [3, 16])
@pytest.mark.parametrize("stride", [1, 2])
def test_convolution_in_bfloat16_sums_in_float32(stride, channels):
    x, kernel = np.ones((20, 40, 40, channels), np.float32), np.ones((3, 3, channels, 2))
    x, kernel = jnp.asarray(x, jnp.bfloat16), jnp.asarray(kernel, jnp.bfloat16)
    slope = jax.grad(lambda k: conv2d(x, k, stride, "torch").astype(jnp.float32).sum())(kernel)
    assert slope.dtype == jnp.bfloat16
    assert float(slope[1, 1, 0, 0]) == pytest.approx(20 * (40 // stride) ** 2, rel=2**-8)


@pytest.mark.parametrize("platform", ["tpu", "cuda"])
@pytest.mark.parametrize(
    ("channels", "size", "stride", "on_cpus"),
    [(16, 8, 1, (2, 0)), (16, 8, 2, (1, 9)), (16, 2, 1, (0, 10)), (3, 8, 2, (2, 0))],
)
def test_other_platforms_keep_the_convolutions_of_xla(platform, channels, size, stride, on_cpus):
    """Decided when a function is lowered, so that one lowered elsewhere is not the CPU's."""
    shapes = (jax.ShapeDtypeStruct((4, size, size, channels), jnp.float32),)
    shapes += (jax.ShapeDtypeStruct((3, 3, channels, 8), jnp.float32),)
    gradient = jax.jit(jax.grad(lambda x, k: conv2d(x, k, stride, "torch").sum(), argnums=(0, 1)))

    def operations(platform):
        text = gradient.trace(*shapes).lower(lowering_platforms=(platform,)).as_text()
        return text.count("stablehlo.convolution"), text.count("stablehlo.dot_general")

    assert operations(platform) == (2, 0)  # of x and of the kernel; the value is not asked for
    assert operations("cpu") == on_cpus


@pytest.mark.parametrize("shape", [(5,), (3, 4), (2, 3, 3)])
@pytest.mark.parametrize(("before", "after"), [(4, 7), (7, 4), (1, 1)])
def test_product_with_a_kernel(before, after, shape):
    """Value and gradients in float64, of rows in one to three axes, wider and narrower."""
    x, kernel = (a.astype(np.float64) for a in (drawn(*shape, before), drawn(before, after)))
    of_x, of_kernel = (torch.from_numpy(a).requires_grad_() for a in (x, kernel))
    y = functional.linear(of_x, of_kernel.T)
    weights = torch.cos(torch.arange(y.numel(), dtype=y.dtype)).reshape(y.shape)
    (y * weights).sum().backward()
    with jax.enable_x64(True):
        value = jax.jit(product)(x, kernel)
        to_x, to_kernel = slopes(product, x, kernel)
    close = functools.partial(np.testing.assert_allclose, atol=1e-12, rtol=1e-12)
    close(value, y.detach().numpy())
    close(to_x, of_x.grad.numpy())
    close(to_kernel, of_kernel.grad.numpy())


@pytest.mark.parametrize("platform", ["tpu", "cuda", "cpu"])
@pytest.mark.parametrize(("before", "after"), [(4, 7), (7, 4)])
def test_only_cpus_turn_the_gradient_of_a_product_round(before, after, platform):
    shapes = (jax.ShapeDtypeStruct((2, 5, before), jnp.float32),)
    shapes += (jax.ShapeDtypeStruct((before, after), jnp.float32),)
    gradient = jax.jit(jax.grad(lambda x, k: product(x, k).sum(), argnums=1))
    text = gradient.trace(*shapes).lower(lowering_platforms=(platform,)).as_text()
    assert ("optimization_barrier" in text) == (platform == "cpu" and before > after)


@pytest.mark.parametrize("padding", ["torch", "same"])
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(("window", "stride"), [(3, 2), (3, 1), (2, 3)])
def test_max_pool(window, stride, size, padding):
    """Whole numbers, so that many maxima are met twice: the first of them gets the gradient."""
    x = np.round(drawn(3, *size, 4))
    (to_x,) = slopes(lambda x: max_pool(x, window, stride, padding), x)
    images = to_torch(x, 0, 3, 1, 2)
    padded = torch_padded(images + 100, window, stride, padding)  # so that zeros never win
    (expected,) = torch_slopes(functional.max_pool2d(padded, window, stride), images)
    np.testing.assert_allclose(to_x, expected.transpose(0, 2, 3, 1), atol=1e-6)


def test_batch_normalisation_by_some_rows():
    """Gradients of values and moments, against differentiation in torch: float64, 3 of 5 rows."""
    x, scale, bias = drawn(5, 4, 3, 6), drawn(6), drawn(6, seed=1)
    mask, of_mean, of_var = np.array([1, 0, 1, 1, 0], bool), drawn(6, seed=2), drawn(6, seed=3)
    leaves = [torch.from_numpy(a).double().requires_grad_() for a in (x, scale, bias)]
    rows = leaves[0][torch.from_numpy(mask)]
    mean, var = rows.mean(dim=(0, 1, 2)), rows.var(dim=(0, 1, 2), correction=0)
    y = leaves[1] * (leaves[0] - mean) / torch.sqrt(var + 1e-3) + leaves[2]
    weights = np.cos(np.arange(y.numel())).reshape(y.shape)
    total = (y * torch.from_numpy(weights)).sum()
    (total + (mean * torch.from_numpy(of_mean) + var * torch.from_numpy(of_var)).sum()).backward()
    with jax.enable_x64(True):

        def loss(*arrays):
            y, (mean, var) = normalize_by_batch(arrays[0], mask, *arrays[1:], 1e-3)
            return (y * weights).sum() + (mean * of_mean + var * of_var).sum()

        arrays = [jnp.asarray(a, jnp.float64) for a in (x, scale, bias)]
        actual = jax.jit(jax.grad(loss, argnums=(0, 1, 2)))(*arrays)
    for one, leaf in zip(actual, leaves, strict=True):
        np.testing.assert_allclose(one, leaf.grad.numpy(), rtol=1e-10, atol=1e-12)


NETWORKS = {
    "resnet": replace(get("resnet50").with_arguments(stages=1), tap="layer1", channels=256),
    "efficientnet": replace(get("efficientnet-lite0"), tap="blocks_2"),
}


@pytest.mark.slow
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
