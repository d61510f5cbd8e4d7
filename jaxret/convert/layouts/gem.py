"""AP-GeM, as deep-image-retrieval writes it."""

from dataclasses import replace

from jaxret.convert.layouts.resnet import RESNET
from jaxret.convert.layouts.torch_names import COUNTER

# deep-image-retrieval: the network ends in adpool.p and fc, which are used here.
GEM = replace(
    RESNET,
    name="gem",
    kept=r"(conv1|bn1|layer[1-4]|adpool|fc)\.",
    dropped=(COUNTER,),
    prefixes=("", "module."),
)
