"""jaxret: instance-based image retrieval with pretrained encoders, in JAX.

The public names are loaded when first used, so that `import jaxret` and `--help` stay fast.
"""

import importlib
from typing import Any

__version__ = "0.1.0"

_HOMES = {
    "PCAWhitening": "jaxret.descriptors.whitening",
    "l2_normalize": "jaxret.descriptors.pooling",
    "rmac": "jaxret.descriptors.rmac",
    "recalibrate": "jaxret.models.batch_norm",
    "Index": "jaxret.ranking.neighbours.index",
    "knn": "jaxret.ranking.neighbours.search",
    "expand_queries": "jaxret.ranking.expansion",
    "Shards": "jaxret.ranking.streamed.shards",
    "knn_streamed": "jaxret.ranking.streamed.search",
    "expand_queries_streamed": "jaxret.ranking.streamed.search",
    "augment_database": "jaxret.ranking.expansion",
    "Diffusion": "jaxret.ranking.diffusion.inductive",
    "diffuse_jointly": "jaxret.ranking.diffusion.inductive",
    "average_precision": "jaxret.evaluation.metrics",
    "evaluate": "jaxret.evaluation.metrics",
    "RankingSettings": "jaxret.functional.settings",
    "UserError": "jaxret.errors",
    "Settings": "jaxret.settings",
    "run": "jaxret.runs.run",
}
_ROOMS = (
    "models",
    "convert",
    "data",
    "descriptors",
    "functional",
    "ranking",
    "evaluation",
    "metrics",
    "report",
)

__all__ = sorted([*_HOMES, *_ROOMS])


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    if name in _ROOMS:
        return importlib.import_module(f"jaxret.{name}")
    raise AttributeError(f"module 'jaxret' has no attribute {name!r}")
