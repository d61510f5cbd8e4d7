"""EfficientNet-Lite, as its PyTorch port writes it."""

from functools import partial

from jaxret.convert.layouts.layout import Layout
from jaxret.convert.layouts.torch_names import COUNTER, torch_name, torch_path

EFFICIENTNET_LITE = Layout(
    name="efficientnet_lite",
    anchor="_conv_stem.weight",
    kept=r"(_conv_stem|_bn0|_blocks|_conv_head|_bn1)\.",
    dropped=(COUNTER, (r"^_fc\.", "classifier")),
    path=torch_path,
    name_of=partial(torch_name, mark="_"),
)
