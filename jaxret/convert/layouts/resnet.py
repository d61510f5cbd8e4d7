"""ResNets in torchvision's names, whatever stands around them."""

from jaxret.convert.layouts.layout import Layout
from jaxret.convert.layouts.torch_names import COUNTER, torch_name, torch_path

# MoCo (momentum encoder, queue), SwAV (projection_head, prototypes), Barlow Twins and VICReg
# (projector; bn), DINO (head), SimSiam (predictor), and classifiers: SimSiam's and MoCo's fc too.
_RESNET_DROPPED = (
    COUNTER,
    (r"(^|\.)encoder_k\.", "momentum encoder"),
    (r"(^|\.)queue(_ptr)?$", "queue of negatives"),
    (r"(^|\.)(projection_head|projector|head)\.", "projection head"),
    (r"(^|\.)prototypes\.", "prototypes"),
    (r"(^|\.)predictor\.", "predictor"),
    (r"^(module\.)?bn\.", "normalisation of the loss"),
    (r"(^|\.)fc\.", "classifier or projection head"),
    (r"^n_averaged$", "counter of a moving average"),
)

RESNET = Layout(
    name="resnet",
    anchor="conv1.weight",
    kept=r"(conv1|bn1|layer[1-4])\.",
    dropped=_RESNET_DROPPED,
    path=torch_path,
    name_of=torch_name,
    prefixes=tuple(
        outer + inner
        for inner in ("encoder_q.", "encoder.", "backbone.", "")
        for outer in ("module.", "")
    ),
    witness="layer1.0.conv1.weight",
)
