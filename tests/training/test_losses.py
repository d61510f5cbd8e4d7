"""Losses against their equations, written out in loops, and against PyTorch's gradients."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from sklearn.metrics import average_precision_score
from torch.nn import functional

from jaxret.runtime.parallel import local_mesh, over_devices
from jaxret.training.losses import enqueue, follow, info_nce, listwise_ap, nt_xent

TOLERANCE = 1e-5

jitted_ap = jax.jit(listwise_ap, static_argnames="bins")


def rows(seed, count, width=5):
    return np.random.default_rng(seed).normal(size=(count, width)) * 3


def unit(x):
    length = np.linalg.norm(x, axis=1, keepdims=True)
    return np.divide(x, length, out=np.zeros_like(x), where=length > 0)


def torch_unit(x):
    return functional.normalize(x, dim=1)


def nt_xent_by_loops(first, second, temperature):
    z = unit(np.concatenate([first, second]))
    count = len(first)
    losses = []
    for i in range(2 * count):
        terms = {k: math.exp(z[i] @ z[k] / temperature) for k in range(2 * count) if k != i}
        losses.append(-math.log(terms[(i + count) % (2 * count)] / sum(terms.values())))
    return sum(losses) / len(losses)


def nt_xent_by_torch(first, second, temperature):
    z = torch_unit(torch.cat([first, second]))
    logits = (z @ z.T / temperature).fill_diagonal_(float("-inf"))
    partners = torch.arange(len(z)).roll(len(first))
    return functional.cross_entropy(logits, partners)


def info_nce_by_loops(queries, keys, queue, temperature):
    queries, keys, queue = unit(queries), unit(keys), unit(queue)
    losses = []
    for query, key in zip(queries, keys, strict=True):
        positive = math.exp(query @ key / temperature)
        negatives = sum(math.exp(query @ other / temperature) for other in queue)
        losses.append(-math.log(positive / (positive + negatives)))
    return sum(losses) / len(losses)


def info_nce_by_torch(queries, keys, queue, temperature):
    queries, keys, queue = map(torch_unit, (queries, keys.detach(), queue.detach()))
    logits = torch.cat([(queries * keys).sum(1, keepdim=True), queries @ queue.T], dim=1)
    return functional.cross_entropy(logits / temperature, torch.zeros(len(queries)).long())


def ap_of_query_by_loops(cosines, positive, bins):
    """AP_Q of one query from the cosines and relevance of all the others."""
    width = 2 / (bins - 1)
    counted = found = total = 0.0
    for m in range(1, bins + 1):
        centre = 1 - (m - 1) * width
        shares = [max(1 - abs(s - centre) / width, 0) for s in cosines]
        hits = sum(share for share, y in zip(shares, positive, strict=True) if y)
        counted, found = counted + sum(shares), found + hits
        if counted > 0:
            total += found / counted * hits / sum(positive)
    return total


def listwise_ap_by_loops(descriptors, labels, bins):
    z = unit(descriptors)
    precisions = []
    for q in range(len(z)):
        others = [j for j in range(len(z)) if j != q]
        positive = [labels[j] == labels[q] for j in others]
        if any(positive):
            precisions.append(ap_of_query_by_loops([z[q] @ z[j] for j in others], positive, bins))
    return 1 - sum(precisions) / len(precisions) if precisions else 0.0


def listwise_ap_by_torch(descriptors, labels, bins):
    z = torch_unit(descriptors)
    precisions = []
    for q, label in enumerate(labels):
        others = torch.arange(len(z)) != q
        positive = torch.as_tensor(labels == label)[others]
        if not positive.any():
            continue
        cosines = z[others] @ z[q]
        width = 2 / (bins - 1)
        centres = torch.linspace(1, -1, bins, dtype=z.dtype)
        share = torch.relu(1 - (cosines[None] - centres[:, None]).abs() / width)
        hits, counts = share[:, positive].sum(1), share.sum(1)
        precision = hits.cumsum(0) / counts.cumsum(0).clamp(min=1e-300)
        precisions.append((precision * hits).sum() / positive.sum())
    return 1 - torch.stack(precisions).mean()


@functools.cache
def jitted(loss, count):
    return jax.jit(jax.value_and_grad(loss, argnums=tuple(range(count))))


def value_and_gradients(loss, *arrays, temperature=None):
    """Of a jitted loss in float32, the precision it is used in."""
    arrays = [jnp.asarray(array, jnp.float32) for array in arrays]
    more = () if temperature is None else (temperature,)
    value, gradients = jitted(loss, len(arrays))(*arrays, *more)
    return float(value), [np.asarray(gradient) for gradient in gradients]


def torch_value_and_gradients(loss, *arrays):
    tensors = [torch.tensor(array, dtype=torch.float64, requires_grad=True) for array in arrays]
    value = loss(*tensors)
    gradients = torch.autograd.grad(value, tensors, materialize_grads=True)
    return value.item(), [gradient.detach().numpy() for gradient in gradients]


def assert_same(ours, expected):
    """Values, and gradients relative to their largest entry or, where that is small, to 0.1."""
    np.testing.assert_allclose(ours[0], expected[0], rtol=TOLERANCE, atol=TOLERANCE)
    for gradient, wanted in zip(ours[1], expected[1], strict=True):
        scale = max(0.1, np.abs(wanted).max())
        np.testing.assert_allclose(gradient, wanted, rtol=0, atol=TOLERANCE * scale)


@pytest.mark.parametrize("count", [1, 2, 3, 7])
@pytest.mark.parametrize("temperature", [0.05, 0.2, 1.0, 50.0])
def test_nt_xent_equals_its_equation(count, temperature):
    first, second = rows(count, count), rows(count + 50, count)
    ours = value_and_gradients(nt_xent, first, second, temperature=temperature)
    assert ours[0] == pytest.approx(nt_xent_by_loops(first, second, temperature), abs=TOLERANCE)
    assert_same(
        ours,
        torch_value_and_gradients(lambda a, b: nt_xent_by_torch(a, b, temperature), first, second),
    )


@pytest.mark.parametrize("count", [1, 2, 3, 7])
@pytest.mark.parametrize("temperature", [0.05, 0.2, 1.0, 50.0])
def test_info_nce_equals_its_equation(count, temperature):
    arrays = rows(count, count), rows(count + 50, count), rows(count + 99, 11)
    ours = value_and_gradients(info_nce, *arrays, temperature=temperature)
    assert ours[0] == pytest.approx(info_nce_by_loops(*arrays, temperature), abs=TOLERANCE)
    assert_same(
        ours, torch_value_and_gradients(lambda *x: info_nce_by_torch(*x, temperature), *arrays)
    )
    assert not ours[1][1].any(), "keys get no gradient"
    assert not ours[1][2].any(), "nor does the queue"


@pytest.mark.parametrize(
    ("labels", "bins"),
    [
        ([4, 4], 20),
        ([0, 0, 1], 20),
        ([1, 0, 1, 0, 1, 2, 2], 20),
        ([1, 0, 1, 0, 1, 2, 2], 2),
        ([1, 0, 1, 0, 1, 2, 3], 7),
        ([0, 0, 0, 0, 0, 0, 0], 20),
    ],
)
def test_listwise_ap_equals_its_equation(labels, bins):
    labels = np.array(labels, np.int32)
    descriptors = rows(len(labels), len(labels))
    ours = value_and_gradients(lambda x: listwise_ap(x, labels, bins), descriptors)
    expected = listwise_ap_by_loops(descriptors, labels, bins)
    assert ours[0] == pytest.approx(expected, abs=TOLERANCE)
    assert_same(
        ours,
        torch_value_and_gradients(lambda x: listwise_ap_by_torch(x, labels, bins), descriptors),
    )


def test_views_that_are_equal_are_told_apart_at_once():
    first = rows(0, 3, width=200)
    value, gradients = value_and_gradients(nt_xent, first, first, temperature=0.05)
    assert value == pytest.approx(nt_xent_by_loops(first, first, 0.05), abs=TOLERANCE)
    assert value < 1e-6
    assert np.isfinite(gradients).all()


@pytest.mark.parametrize(
    "loss",
    [
        lambda x: nt_xent(x[:4], x[4:], 0.05),
        lambda x: info_nce(x[:4], x[4:], x, 0.05),
        lambda x: listwise_ap(x, np.arange(8) % 3),
    ],
    ids=["nt_xent", "info_nce", "listwise_ap"],
)
def test_duplicates_and_zero_rows_give_finite_gradients(loss):
    x = rows(3, 8)
    x[5] = x[1] = x[2]
    x[3] = x[7] = 0
    value, (gradient,) = value_and_gradients(loss, x)
    assert np.isfinite(value)
    assert np.isfinite(gradient).all()
    assert not gradient[[3, 7]].any(), "a row without direction has nowhere to go"
    assert gradient[[0, 2, 4, 6]].any()


def test_zero_rows_count_as_orthogonal_to_all():
    first, second, queue = rows(0, 3), rows(1, 3), rows(2, 4)
    first[1] = second[2] = queue[0] = 0
    labels = np.array([0, 0, 1])
    assert jax.jit(nt_xent)(first, second, 0.2) == pytest.approx(
        nt_xent_by_loops(first, second, 0.2), abs=TOLERANCE
    )
    assert jax.jit(info_nce)(first, second, queue, 0.2) == pytest.approx(
        info_nce_by_loops(first, second, queue, 0.2), abs=TOLERANCE
    )
    assert jitted_ap(first, labels) == pytest.approx(
        listwise_ap_by_loops(first, labels, 20), abs=TOLERANCE
    )


@pytest.mark.parametrize("scale", [1e-9, 1e9])
def test_the_length_of_rows_does_not_matter(scale):
    first, second = rows(0, 3), rows(1, 3)
    first[1] *= scale
    value = jax.jit(nt_xent)(jnp.float32(first), jnp.float32(second), 0.2)
    assert value == pytest.approx(nt_xent_by_loops(first, second, 0.2), abs=TOLERANCE)


def test_bfloat16_rows_are_compared_in_float32():
    first, second = (jnp.asarray(rows(seed, 3), jnp.bfloat16) for seed in (0, 1))
    value = jax.jit(nt_xent)(first, second, 0.1)
    assert value.dtype == jnp.float32
    expected = nt_xent_by_loops(np.float64(first), np.float64(second), 0.1)
    assert value == pytest.approx(expected, abs=TOLERANCE)


@pytest.mark.parametrize("labels", [[0, 1, 2], [7]])
def test_without_any_positive_the_ap_loss_is_zero(labels):
    x = rows(0, len(labels))
    value, (gradient,) = value_and_gradients(lambda x: listwise_ap(x, np.array(labels)), x)
    assert value == 0
    assert not gradient.any()


def test_a_query_without_positives_is_left_out():
    x = rows(0, 5)
    value, _ = value_and_gradients(lambda x: listwise_ap(x, np.array([0, 0, 1, 1, 2])), x)
    z = unit(x)
    pairs = {0: 1, 1: 0, 2: 3, 3: 2}  # row 4 is nobody's positive, but among everybody's others
    expected = []
    for q, p in pairs.items():
        others = [j for j in range(5) if j != q]
        cosines = [z[q] @ z[j] for j in others]
        expected.append(ap_of_query_by_loops(cosines, [j == p for j in others], 20))
    assert value == pytest.approx(1 - np.mean(expected), abs=TOLERANCE)


def exact_mean_ap(cosines, labels):
    precisions = []
    for q in range(len(labels)):
        others = np.arange(len(labels)) != q
        positive = (labels == labels[q])[others]
        if positive.any():
            precisions.append(average_precision_score(positive, cosines[q, others]))
    return np.mean(precisions)


@pytest.mark.parametrize("seed", range(3))
def test_on_the_centres_of_bins_it_is_the_exact_ap(seed):
    # Every pair of rows its own multiple of 0.01, which are centres of 201 bins.
    random = np.random.default_rng(seed)
    count = 6
    pairs = np.triu_indices(count, 1)
    upper = np.zeros((count, count))
    upper[pairs] = random.permutation(np.arange(-10, 11))[: len(pairs[0])] / 100
    cosines = np.eye(count) + upper + upper.T
    labels = np.array([0, 1, 0, 1, 0, 2])
    with jax.enable_x64(True):
        loss = float(jitted_ap(jnp.asarray(np.linalg.cholesky(cosines)), labels, bins=201))
    assert 1 - loss == pytest.approx(exact_mean_ap(cosines, labels), abs=1e-9)


@pytest.mark.parametrize("seed", range(3))
def test_with_narrow_bins_it_lies_just_below_the_exact_ap(seed):
    descriptors = rows(seed, 12, width=8)
    labels = np.arange(12) % 4
    cosines = unit(descriptors) @ unit(descriptors).T
    exact = exact_mean_ap(cosines, labels)
    with jax.enable_x64(True):
        wide, narrow = (
            1 - float(jitted_ap(jnp.asarray(descriptors), labels, bins)) for bins in (20, 20001)
        )
    assert exact - 0.09 < narrow <= exact + 1e-9
    assert abs(narrow - exact) < abs(wide - exact) + 0.05


def test_a_perfect_ranking_costs_nothing():
    x = np.repeat(np.eye(3), 4, axis=0)
    assert jitted_ap(x, np.repeat(np.arange(3), 4)) == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("loss", ["nt_xent", "info_nce", "listwise_ap"])
def test_rows_on_several_devices_meet_each_other(loss):
    first, second, queue = (jnp.float32(rows(seed, 8)) for seed in range(3))
    losses = {
        "nt_xent": lambda a, b: nt_xent(a, b, 0.1),
        "info_nce": lambda a, b: info_nce(a, b, queue, 0.1),
        "listwise_ap": lambda a, b: listwise_ap(a + b, np.arange(8) % 3),
    }
    step = jax.jit(jax.value_and_grad(losses[loss], argnums=(0, 1)))
    on_one = step(first, second)
    mesh = local_mesh()
    assert mesh.size == 4
    spread = jax.device_put((first, second), over_devices(mesh))
    on_all = step(*spread)
    assert on_all[1][0].sharding.is_equivalent_to(spread[0].sharding, 2)
    for ours, expected in zip(jax.tree.leaves(on_all), jax.tree.leaves(on_one), strict=True):
        np.testing.assert_allclose(ours, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("length", "batch"), [(8, 4), (7, 3), (5, 5), (3, 7), (1, 2)])
def test_the_queue_holds_the_newest_keys(length, batch):
    queue, position = jnp.zeros((length, 5)), jnp.int32(0)
    seen = np.zeros((0, 5))
    turn = jax.jit(enqueue)
    for step in range(4):
        keys = rows(step, batch)
        seen = np.concatenate([seen, unit(keys)])
        queue, position = turn(queue, position, jnp.float32(keys))
        newest = seen[-length:]
        ring = np.roll(np.asarray(queue), -int(position), axis=0)[-len(newest) :]
        np.testing.assert_allclose(ring, newest, rtol=1e-5, atol=1e-6)
    assert position.dtype == jnp.int32
    assert queue.dtype == jnp.float32


def test_the_momentum_encoder_follows():
    slow = {"a": {"kernel": jnp.float32(rows(0, 2))}, "b": jnp.ones(3)}
    fast = {"a": {"kernel": jnp.float32(rows(1, 2))}, "b": jnp.zeros(3)}
    moved = follow(slow, fast, 0.75)
    np.testing.assert_allclose(moved["b"], [0.75] * 3)
    expected = 0.75 * rows(0, 2) + 0.25 * rows(1, 2)
    np.testing.assert_allclose(moved["a"]["kernel"], expected, rtol=1e-5, atol=1e-6)
    assert moved["b"].dtype == jnp.float32
    for momentum, tree in ((0.0, fast), (1.0, slow)):
        np.testing.assert_array_equal(follow(slow, fast, momentum)["b"], tree["b"])


@pytest.mark.parametrize(
    "call",
    [
        lambda: nt_xent(jnp.ones((3, 5)), jnp.ones((2, 5)), 0.1),
        lambda: info_nce(jnp.ones((3, 5)), jnp.ones((1, 5)), jnp.ones((4, 5)), 0.1),
        lambda: listwise_ap(jnp.ones((3, 5)), jnp.zeros(4, jnp.int32)),
        lambda: listwise_ap(jnp.ones((3, 5)), jnp.zeros(3, jnp.int32), bins=1),
    ],
)
def test_shapes_that_do_not_fit_are_errors(call):
    with pytest.raises(ValueError, match="but got"):
        call()
