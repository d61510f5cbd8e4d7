"""MoCo v1 and v2 (He et al., CVPR 2020; Chen et al., 2020)."""

from jaxret.models.rows.licences import CC_BY_NC
from jaxret.models.rows.resnet import resnet
from jaxret.models.spec import ModelSpec, Source

_FACEBOOK = "https://dl.fbaipublicfiles.com/"


def _moco(version: int, *runs: tuple[str, str, str]) -> ModelSpec:
    """MoCo; each run is (epochs, first 8 digits of its MD5, linear top-1)."""
    name = f"moco_v{version}_{{}}ep"
    return resnet(
        f"mocov{version}",
        sources=tuple(
            Source(
                f"{_FACEBOOK}moco/moco_checkpoints/{name}/{name}_pretrain.pth.tar".format(
                    epochs, epochs
                ),
                md5=md5,
                note=f"{epochs} epochs, linear top-1 {accuracy}",
            )
            for epochs, md5, accuracy in runs
        ),
        licence=f"{CC_BY_NC} (README; the LICENSE file is MIT since 2023-01-18)",
        note=f"MoCo v{version}, ResNet-50.",
    )


ROWS = (
    _moco(1, ("200", "b251726a", "60.6")),
    _moco(2, ("800", "a04e12f8", "71.1"), ("200", "59fd9945", "67.7")),
)
