"""AMDIM, as its authors write it."""

from jaxret.convert.layouts.layout import Layout
from jaxret.convert.layouts.torch_names import COUNTER, torch_name, torch_path

AMDIM = Layout(
    name="amdim",
    anchor="layer_list.0.conv.weight",
    kept=r"layer_list\.",
    dropped=(
        COUNTER,
        (r"layer_list\.[01]\.bn\.", "batch normalisation that is never applied"),
        (r"layer_list\.[2-8]\.(.*\.)?bn1\.", "batch normalisation that is never applied"),
        (r"layer_list\.5\.bn\.", "batch normalisation that is never applied"),
        (r"(^|\.)rkhs_block_\d+\.", "heads of the contrastive loss"),
        (r"^g2l_loss\.", "masks of the contrastive loss"),
        (r"^evaluator\.", "classifier"),
    ),
    path=torch_path,
    name_of=torch_name,
    prefixes=("encoder.module.", "encoder.", "module.", ""),
)
