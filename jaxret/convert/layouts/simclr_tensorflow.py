"""SimCLR's ResNet-50 in the names of its TensorFlow files; kernels are [kh, kw, in, out]."""

import re
from collections.abc import Iterator

from jaxret.convert.layouts.layout import Layout

_BLOCKS = (3, 4, 6, 3)  # of ResNet-50, the only depth that was published in these forms

# google-research/simclr names its layers by the order of their creation, "conv2d_7" being the
# eighth convolution; the projection shortcut of a block is created first. Batch normalisation i
# belongs to convolution i.


def _in_order_of_creation() -> Iterator[tuple[str, str]]:
    """(module of the convolution, module of its batch normalisation), our names."""
    yield "conv1", "bn1"
    for stage, count in enumerate(_BLOCKS, start=1):
        for block in range(count):
            parent = f"layer{stage}_{block}"
            if block == 0:
                yield f"{parent}/downsample_0", f"{parent}/downsample_1"
            for i in (1, 2, 3):
                yield f"{parent}/conv{i}", f"{parent}/bn{i}"


_CREATED = tuple(_in_order_of_creation())
_TENSORFLOW_NAME = re.compile(
    r"base_model/(?P<kind>conv2d|batch_normalization)(_(?P<index>\d+))?/(?P<role>\w+)"
)
_TENSORFLOW_ROLES = {
    "kernel": ("params", "kernel"),
    "gamma": ("params", "scale"),
    "beta": ("params", "bias"),
    "moving_mean": ("batch_stats", "mean"),
    "moving_variance": ("batch_stats", "var"),
}


def _tensorflow_path(name: str, axes: int) -> str | None:
    match = _TENSORFLOW_NAME.fullmatch(name)
    index = int(match["index"] or 0) if match else len(_CREATED)
    if match is None or index >= len(_CREATED) or match["role"] not in _TENSORFLOW_ROLES:
        return None
    module = _CREATED[index][match["kind"] == "batch_normalization"]
    collection, leaf = _TENSORFLOW_ROLES[match["role"]]
    return f"{collection}/{module}/{leaf}"


SIMCLR_TENSORFLOW = Layout(
    name="simclr_tensorflow",
    anchor="base_model/conv2d/kernel",
    kept=r"base_model/(conv2d|batch_normalization)(_\d+)?/\w+$",
    dropped=(
        (r"^head_(supervised|contrastive)/", "classifier or projection head"),
        (r"^global_step$", "counter of steps"),
        (r"/(Momentum|LARSOptimizer|ExponentialMovingAverage)", "state of the optimiser"),
    ),
    path=_tensorflow_path,
    kernels="ours",
    network=(("stem_pool", "same"),),  # google-research/simclr, resnet.py
)
