"""torchvision, also where its compiled operators do not load.

They may be built against another torch than the one at hand; what is needed of it here (transforms,
ResNets, what timm and transformers import) is Python, and asks only that two operators are
declared.
"""

import functools
import importlib.util
import sys
import warnings
from pathlib import Path
from types import ModuleType

import torch

_KEPT: list[torch.library.Library] = []  # a declaration lives as long as its library


@functools.cache
def load() -> ModuleType | None:
    """The module torchvision with `models` and `transforms.v2`; None where it is not installed."""
    found = importlib.util.find_spec("torchvision")
    if found is None or found.origin is None:
        return None
    if "torchvision" not in sys.modules and not _loads_operators(Path(found.origin).parent):
        _KEPT.append(torch.library.Library("torchvision", "DEF"))
        for name in ("nms", "qnms"):
            _KEPT[0].define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it tells which extensions it did not find
        for name in ("torchvision.models", "torchvision.transforms.v2"):
            importlib.import_module(name)
    return importlib.import_module("torchvision")


def _loads_operators(package: Path) -> bool:
    try:
        for library in package.glob("_C.*"):
            torch.ops.load_library(str(library))
            return True
    except OSError:
        pass
    return False
