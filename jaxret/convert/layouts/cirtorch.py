"""cirtorch's retrieval networks (filipradenovic/cnnimageretrieval-pytorch, ImageRetrievalNet).

`features` is the ResNet as nn.Sequential, `pool.p` the power of GeM, `whiten` the linear layer that
was initialised with a learnt whitening.
"""

import re
from dataclasses import replace

from jaxret.convert.layouts.resnet_sequential import RESNET_SEQUENTIAL, by_name, by_position
from jaxret.convert.layouts.torch_names import COUNTER, torch_name, torch_path

_FEATURES = "features."


def _path(name: str, axes: int) -> str | None:
    named = by_name(name.removeprefix(_FEATURES)) if name.startswith(_FEATURES) else name
    return torch_path(named, axes) if named else None


def _name_of(path: str) -> str:
    name = torch_name(path)
    return name if re.match(r"(pool|whiten)\.", name) else _FEATURES + by_position(name)


CIRTORCH = replace(
    RESNET_SEQUENTIAL,
    name="cirtorch",
    anchor=f"{_FEATURES}0.weight",
    witness="pool.p",
    # A local whitening is inside, so that it is refused: no network here has one.
    kept=r"(features|lwhiten|pool|whiten)\.",
    dropped=(COUNTER,),
    path=_path,
    name_of=_name_of,
)
