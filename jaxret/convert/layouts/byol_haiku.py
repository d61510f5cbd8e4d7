"""BYOL's ResNet-50 in the names of Haiku; kernels are [kh, kw, in, out]."""

import re

from jaxret.convert.layouts.layout import Layout

_HAIKU_MODULES = {
    "initial_conv": "conv1",
    "initial_conv_1": "conv1",
    "initial_batchnorm": "bn1",
    "shortcut_conv": "downsample_0",
    "shortcut_batchnorm": "downsample_1",
    **{f"conv_{i}": f"conv{i + 1}" for i in range(3)},
    **{f"batchnorm_{i}": f"bn{i + 1}" for i in range(3)},
}
_HAIKU_ROLES = {
    "w": ("params", "kernel"),
    "scale": ("params", "scale"),
    "offset": ("params", "bias"),
    "mean_ema/average": ("batch_stats", "mean"),
    "var_ema/average": ("batch_stats", "var"),
}
_HAIKU_NAME = re.compile(
    r"(block_group_(?P<group>\d)/~/block_(?P<block>\d+)/~/)?(?P<module>\w+)/(~/)?(?P<role>.+)"
)


def _haiku_path(name: str, axes: int) -> str | None:
    match = _HAIKU_NAME.fullmatch(name)
    if match is None or match["module"] not in _HAIKU_MODULES or match["role"] not in _HAIKU_ROLES:
        return None
    module = _HAIKU_MODULES[match["module"]]
    if match["group"] is not None:
        module = f"layer{int(match['group']) + 1}_{match['block']}/{module}"
    collection, leaf = _HAIKU_ROLES[match["role"]]
    return f"{collection}/{module}/{leaf}"


# Names as the reader joins them: "module/name" of the online network's parameters and state.
BYOL_HAIKU = Layout(
    name="byol_haiku",
    anchor="initial_batchnorm/scale",
    kept=r"(initial_|block_group_)",
    dropped=(
        (r"/(mean|var)_ema/(counter|hidden)$", "working values of the moving average"),
        (r"^(projector|predictor)/", "projection head"),
        (r"^classifier/", "classifier"),
    ),
    path=_haiku_path,
    prefixes=tuple(f"res_net{depth}/~/" for depth in (50, 101, 152, 200)),
    kernels="ours",
    flat_vectors=False,
)
