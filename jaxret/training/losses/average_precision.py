"""The listwise average-precision loss."""

import jax
import jax.numpy as jnp

from jaxret.defaults import AP_BINS
from jaxret.training.losses.cosines import products, unit_rows


def listwise_ap(descriptors: jax.Array, labels: jax.Array, bins: int = AP_BINS) -> jax.Array:
    """1 - mean AP_Q, where every row of the batch queries all the others.

    The cosines s_j of a query are softly counted in M bins with centres b_m = 1 - (m - 1) D,
    D = 2 / (M - 1), by the triangular kernel d(s, m) = max(1 - |s - b_m| / D, 0). With y_j = 1 for
    the positives, those of the query's label, and 0 otherwise,

        P_m  = sum_{m' <= m} sum_j d(s_j, m') y_j / sum_{m' <= m} sum_j d(s_j, m')
        dr_m = sum_j d(s_j, m) y_j / sum_j y_j
        AP_Q = sum_m P_m dr_m.

    Source: Revaud, Almazan, Rezende, de Souza, "Learning with Average Precision: Training Image
    Retrieval with a Listwise Loss", ICCV 2019, section 3.2. As there, bins span [-1, 1].

    AP_Q is the exact AP where each cosine lies on a centre of its own. Otherwise, with bins that
    are narrow enough to hold one cosine each, it is at most the exact AP and less than 0.09 below:
    a positive that shares its weight between two centres is only partly counted in the precision
    at the upper one.

    Args:
        descriptors: [B, D].
        labels: int [B], which instance each shows.
        bins: M >= 2 (static).

    Returns:
        Scalar; queries without a positive in the batch are left out, and without any query left
        it is 0, with zero gradient.

    Raises:
        ValueError: Labels of another number than descriptors, or fewer than two bins.
    """
    if labels.shape != descriptors.shape[:1]:
        raise ValueError(f"a label a row, but got {labels.shape} for {descriptors.shape}")
    if bins < 2:
        raise ValueError(f"at least 2 bins, but got {bins}")
    unit = unit_rows(descriptors)
    others = ~jnp.eye(len(unit), dtype=bool)
    positives = (labels[:, None] == labels[None, :]) & others
    precisions = _quantised_ap(products(unit, unit), positives, others, bins)
    counted = positives.any(axis=1)
    loss = jnp.sum(jnp.where(counted, 1 - precisions, 0))
    return loss / jnp.maximum(jnp.sum(counted), 1)


def _quantised_ap(
    cosines: jax.Array, positives: jax.Array, others: jax.Array, bins: int
) -> jax.Array:
    """AP_Q [B] of every row; `positives` and `others` are bool [B, B]; 0 without positives."""
    width = 2 / (bins - 1)
    centres = 1 - width * jnp.arange(bins, dtype=cosines.dtype)
    apart = jnp.abs(cosines[:, :, None] - centres[None, None, :])
    share = jnp.maximum(1 - apart / width, 0)  # d(s_j, m): [B, B, M]
    counts = jnp.sum(share * others[:, :, None], axis=1)
    hits = jnp.sum(share * positives[:, :, None], axis=1)
    above = jnp.cumsum(counts, axis=1)
    # Above the first cosine both sums are 0, and so is the recall that this precision weighs.
    precision = jnp.cumsum(hits, axis=1) / jnp.where(above > 0, above, 1)
    recall = hits / jnp.maximum(jnp.sum(positives, axis=1, keepdims=True), 1)
    return jnp.sum(precision * recall, axis=1)
