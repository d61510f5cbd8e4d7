"""torchvision as an independent expression; a test that needs it is skipped where there is none."""

from types import ModuleType

import pytest
from twins import torchvision_module


def load() -> ModuleType:
    """The module torchvision with `models` and `transforms.v2`.

    >>> load().transforms.v2.functional.hflip
    """
    module = torchvision_module.load()
    if module is None:
        pytest.skip("torchvision is not installed")
    return module
