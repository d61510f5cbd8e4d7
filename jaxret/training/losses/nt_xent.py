"""NT-Xent, the loss of SimCLR."""

import jax
import jax.numpy as jnp

from jaxret.training.losses.cosines import products, unit_rows


def nt_xent(first: jax.Array, second: jax.Array, temperature: jax.typing.ArrayLike) -> jax.Array:
    """Normalised temperature-scaled cross entropy between two views of B photographs.

    With z the 2 B rows of both views, s(i, k) the cosine of rows i and k and j(i) the other view
    of row i,

        loss = 1 / (2 B) sum_i -log( exp(s(i, j(i)) / t) / sum_{k != i} exp(s(i, k) / t) ).

    Source: Chen, Kornblith, Norouzi, Hinton, "A Simple Framework for Contrastive Learning of
    Visual Representations", ICML 2020, eq. (1) and algorithm 1.

    Args:
        first: [B, D], one view of each photograph.
        second: [B, D], the other views in the same order.
        temperature: t > 0.

    Returns:
        Scalar; 0 for a single photograph, which has no negatives.

    Raises:
        ValueError: The views differ in shape.
    """
    if first.shape != second.shape:
        raise ValueError(f"two views of one batch, but got {first.shape} and {second.shape}")
    first, second = unit_rows(first), unit_rows(second)
    half = _cross_entropy(first, second, temperature)
    return (half + _cross_entropy(second, first, temperature)) / 2


def _cross_entropy(
    views: jax.Array, others: jax.Array, temperature: jax.typing.ArrayLike
) -> jax.Array:
    """Mean over the rows of one view: its partner against every row of both views but itself."""
    itself = jnp.eye(len(views), dtype=bool)
    across = products(views, others) / temperature
    within = jnp.where(itself, -jnp.inf, products(views, views) / temperature)
    everyone = jax.nn.logsumexp(jnp.concatenate([across, within], axis=1), axis=1)
    return jnp.mean(everyone - jnp.diagonal(across))
