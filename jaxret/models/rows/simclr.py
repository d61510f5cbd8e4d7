"""SimCLR v1 (Chen et al., ICML 2020), at three widths."""

from jaxret.models.rows.resnet import resnet
from jaxret.models.spec import ModelSpec, Source

_HUGGING_FACE = "https://huggingface.co/lightly-ai/simclrv1-imagenet1k-resnet50-"
_GOOGLE = "https://storage.googleapis.com/"


def _simclr(width: int, parameters: int) -> ModelSpec:
    """SimCLR v1. Pixels stay in [0, 1]: its networks saw no mean and no standard deviation."""
    return resnet(
        f"simclr{width}x",
        width=width,
        parameters=parameters,
        layout="simclr",
        mean=(0.0, 0.0, 0.0),
        std=(1.0, 1.0, 1.0),
        sources=(
            Source(f"{_HUGGING_FACE}{width}x/resolve/main/resnet50-{width}x.pth"),
            Source(
                f"{_GOOGLE}simclr-checkpoints/simclrv1/pretrain/{width}x/model.ckpt-225206",
                note="TensorFlow: .index and .data-00000-of-00001; needs the extra `tensorflow`",
            ),
        ),
        licence="Apache-2.0",
        note=f"SimCLR, ResNet-50 ({width}x), 1000 epochs.",
    )


ROWS = (
    _simclr(1, 23_508_032),
    _simclr(2, 93_907_072),
    _simclr(4, 375_378_176),
)
