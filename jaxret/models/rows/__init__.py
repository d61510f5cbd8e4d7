"""The rows of the registry: every model that jaxret knows by name, one file a family.

Parameter counts are exact, and a test holds each of them to a count made apart from jaxret. URLs,
checksums and licences are those that the publishers state.
"""

from jaxret.models.rows import (
    amdim,
    cirtorch,
    efficientnet,
    gem,
    moco,
    resnet,
    self_supervised,
    simclr,
    vit,
)
from jaxret.models.spec import ModelSpec

ROWS: tuple[ModelSpec, ...] = (
    *efficientnet.ROWS,
    # The study
    resnet.RESNET50,
    *simclr.ROWS,
    *moco.ROWS,
    *amdim.ROWS,
    *gem.ROWS,
    # Beyond it
    *cirtorch.ROWS,
    *self_supervised.ROWS,
    *resnet.OTHER_DEPTHS,
    *vit.ROWS,
)
