"""PyTorch twins: the networks of the registry as PyTorch modules, to compare against.

Written from the published facts (names, operations, shapes), apart from the Flax modules, so that
an error of one shows as a difference to the other. Module names are those of the authors' own
checkpoints.

>>> twin = build(jaxret.models.get("resnet50"))
>>> randomize(twin, seed=0)
>>> stages = run(twin, spec, images)       # {stage: [B, h, w, C]}, names as in the Flax module
"""

from twins.building import build, randomize, run
from twins.published import published_state

__all__ = ["build", "published_state", "randomize", "run"]
