"""The losses an encoder can learn from, each a pure function of descriptors.

All take rows that are not normalised, [B, D] with B the whole batch, and compute in float32 at
least. None names a mesh axis: jitted on rows that are dealt out over devices, every row still meets
those of all devices, because XLA gathers what a product needs.
"""

from jaxret.training.losses.average_precision import listwise_ap
from jaxret.training.losses.momentum_contrast import enqueue, follow, info_nce
from jaxret.training.losses.nt_xent import nt_xent

__all__ = ["enqueue", "follow", "info_nce", "listwise_ap", "nt_xent"]
