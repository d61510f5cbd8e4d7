"""InfoNCE against a queue, the loss of MoCo, with its queue and its momentum encoder.

Source: He, Fan, Wu, Xie, Girshick, "Momentum Contrast for Unsupervised Visual Representation
Learning", CVPR 2020; the projection head is that of Chen, Fan, Girshick, He, "Improved Baselines
with Momentum Contrastive Learning", 2020 (MoCo v2).
"""

from typing import Any

import jax
import jax.numpy as jnp
import optax

from jaxret.training.losses.cosines import products, unit_rows


def info_nce(
    queries: jax.Array, keys: jax.Array, queue: jax.Array, temperature: jax.typing.ArrayLike
) -> jax.Array:
    """Each query's own key against the K keys of the queue.

    With q, k+ and k_1 ... k_K of length 1,

        loss = 1 / B sum_q -log( exp(q.k+ / t) / (exp(q.k+ / t) + sum_i exp(q.k_i / t)) ),

    eq. (1) of He et al. Gradients reach the queries alone.

    Args:
        queries: [B, D], from the encoder that learns.
        keys: [B, D], the other views, from the momentum encoder.
        queue: [K, D], keys of earlier batches.
        temperature: t > 0.

    Returns:
        Scalar.

    Raises:
        ValueError: Queries and keys differ in shape.
    """
    if queries.shape != keys.shape:
        raise ValueError(f"a key for every query, but got {queries.shape} and {keys.shape}")
    queries, keys, queue = map(unit_rows, (queries, keys, queue))
    keys, queue = jax.lax.stop_gradient((keys, queue))
    positive = jnp.sum(queries * keys, axis=1, keepdims=True)
    logits = jnp.concatenate([positive, products(queries, queue)], axis=1) / temperature
    return jnp.mean(jax.nn.logsumexp(logits, axis=1) - logits[:, 0])


def enqueue(
    queue: jax.Array, position: jax.Array | int, keys: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """The newest keys in place of the oldest.

    Args:
        queue: [K, D], a ring.
        position: int32 scalar in [0, K), the oldest row.
        keys: [B, D]; B need not divide K, and where B > K only the last K keys are kept.

    Returns:
        The queue, and the position of its oldest row.
    """
    length, count = len(queue), len(keys)
    kept = min(count, length)
    places = (position + jnp.arange(count - kept, count)) % length
    rows = jax.lax.stop_gradient(unit_rows(keys[count - kept :])).astype(queue.dtype)
    moved = jnp.asarray((position + count) % length, jnp.int32)
    return queue.at[places].set(rows, unique_indices=True), moved


def follow(slow: Any, fast: Any, momentum: jax.typing.ArrayLike) -> Any:
    """Moves slow to momentum * slow + (1 - momentum) * fast: eq. (2) of He et al.

    Args:
        slow: Parameters of the momentum encoder.
        fast: Those of the encoder that learns, a tree of the same structure.
        momentum: In [0, 1]; 0.999 in the paper.
    """
    return optax.incremental_update(fast, slow, 1 - momentum)
