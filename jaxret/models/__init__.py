"""Networks in Flax, the registry of models, and the Encoder that runs them.

`get(name)` is a row, `names()` all of them; `load(name)` is its Encoder with converted weights,
`random(name)` one with untrained weights; `recalibrate` and `fold` make new Encoders of old ones.
"""

import importlib
from typing import Any

from jaxret.models.registry import get, names
from jaxret.models.spec import ModelSpec, Source

# Those that import JAX and Flax are loaded when first used.
_HOMES = {
    "Encoder": "jaxret.models.encoder",
    "forward": "jaxret.models.encoder",
    "load": "jaxret.models.weights.loading",
    "random": "jaxret.models.weights.random",
    "recalibrate": "jaxret.models.batch_norm",
    "fold": "jaxret.models.folding",
}

__all__ = [  # noqa: RUF022  # in the order in which they are met
    "ModelSpec",
    "Source",
    "get",
    "names",
    "Encoder",
    "load",
    "random",
    "forward",
    "recalibrate",
    "fold",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'jaxret.models' has no attribute {name!r}")
