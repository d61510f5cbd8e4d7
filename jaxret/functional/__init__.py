"""The paper as pure functions over `jax.Array`s of static shape, in the order of its equations.

    map -> rmac | gem | pool -> l2_normalize -> whitening, whiten                      descriptors
    descriptors -> top_k, others -> expand (AQE), augment (DBA)                 neighbours
    neighbours -> mutual_graph -> diffuse -> combine | cosines                  diffusion
    scores -> order -> average_precision                                        ranking

They may be called inside another jit, vmap, shard_map or export, and are differentiable where the
mathematics is (ids are not). They check nothing: NaN in, NaN out; the functions of the same names
in `jaxret` refuse bad input with a sentence and then call these where the arrays lie on an
accelerator. "neighbours" are (similarities float32 [n, k], ids int32 [n, k]), best first.
"""

from jaxret.descriptors.pooling import gem, l2_normalize
from jaxret.descriptors.pooling_rows import pool
from jaxret.descriptors.rmac import rmac
from jaxret.functional.diffusion import (
    Graph,
    combine,
    cosines,
    diffuse,
    diffuse_jointly,
    lists_of,
    mutual_graph,
)
from jaxret.functional.expansion import augment, expand
from jaxret.functional.metrics import average_precision
from jaxret.functional.neighbours import Neighbours, inner_products, others, top_k
from jaxret.functional.order import order
from jaxret.functional.ranking import rank
from jaxret.functional.reranking import k_reciprocal, superglobal
from jaxret.functional.whitening import whiten, whitening

__all__ = [
    "Graph",
    "Neighbours",
    "augment",
    "average_precision",
    "combine",
    "cosines",
    "diffuse",
    "diffuse_jointly",
    "expand",
    "gem",
    "inner_products",
    "k_reciprocal",
    "l2_normalize",
    "lists_of",
    "mutual_graph",
    "order",
    "others",
    "pool",
    "rank",
    "rmac",
    "superglobal",
    "top_k",
    "whiten",
    "whitening",
]
