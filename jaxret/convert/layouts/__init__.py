"""How each family of checkpoints names its arrays, one file a family."""

from jaxret.convert.layouts import vit
from jaxret.convert.layouts.amdim import AMDIM
from jaxret.convert.layouts.byol_haiku import BYOL_HAIKU
from jaxret.convert.layouts.cirtorch import CIRTORCH
from jaxret.convert.layouts.efficientnet import EFFICIENTNET_LITE
from jaxret.convert.layouts.gem import GEM
from jaxret.convert.layouts.layout import Layout
from jaxret.convert.layouts.resnet import RESNET
from jaxret.convert.layouts.resnet_sequential import RESNET_SEQUENTIAL
from jaxret.convert.layouts.simclr_tensorflow import SIMCLR_TENSORFLOW

__all__ = ["Layout", "layouts_of"]

_LAYOUTS = {
    "resnet": (RESNET, RESNET_SEQUENTIAL),
    "simclr": (RESNET, RESNET_SEQUENTIAL, SIMCLR_TENSORFLOW),
    "byol": (BYOL_HAIKU, RESNET, RESNET_SEQUENTIAL),
    "gem": (GEM,),
    "cirtorch": (CIRTORCH,),
    "amdim": (AMDIM,),
    "efficientnet_lite": (EFFICIENTNET_LITE,),
    **vit.LAYOUTS,
}


def layouts_of(name: str) -> tuple[Layout, ...]:
    """The layouts that the files of a row may have, by the name of the row's `layout`."""
    return _LAYOUTS[name]
