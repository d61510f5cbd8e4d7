"""cirtorch's networks (Radenovic, Tolias and Chum, TPAMI 2018): learnt for retrieval, with GeM.

Trained with a triplet loss on retrieval-SfM-120k or google-landmarks-2018; the linear layer at the
end was initialised with a learnt whitening. Addresses: cirtorch/examples/test_e2e.py. The digits
that end a file's name are of no checksum that is documented.
"""

from jaxret.models.rows.resnet import resnet
from jaxret.models.spec import ModelSpec, Source

_CMP = "http://cmp.felk.cvut.cz/cnnimageretrieval/data/networks/"
_NOTE = "HTTP only; PyTorch 1.0"


def _cirtorch(name: str, depth: int, parameters: int, file: str, figures: str) -> ModelSpec:
    return resnet(
        name,
        depth=depth,
        descriptor=2048,
        head="cirtorch",
        parameters=parameters,
        sources=(Source(_CMP + file, note=_NOTE),),
        licence="MIT",
        note=f"GeM with learnt whitening, ResNet-{depth}, trained for retrieval; multi-scale "
        f"medium / hard mAP as published: {figures}.",
    )


ROWS = (
    _cirtorch(
        "gem-sfm120k-50",
        50,
        27_704_385,
        "retrieval-SfM-120k/rSfM120k-tl-resnet50-gem-w-97bf910.pth",
        "rOxford 64.7 / 39.0, rParis 76.3 / 54.9",
    ),
    _cirtorch(
        "gem-sfm120k-101",
        101,
        46_696_513,
        "retrieval-SfM-120k/rSfM120k-tl-resnet101-gem-w-a155e54.pth",
        "rOxford 67.8 / 41.7, rParis 77.6 / 56.3",
    ),
    _cirtorch(
        "gem-sfm120k-152",
        152,
        62_340_161,
        "retrieval-SfM-120k/rSfM120k-tl-resnet152-gem-w-f39cada.pth",
        "rOxford 68.8 / 41.3, rParis 78.0 / 57.2",
    ),
    _cirtorch(
        "gem-gl18-50",
        50,
        27_704_385,
        "gl18/gl18-tl-resnet50-gem-w-83fdc30.pth",
        "rOxford 63.6 / 40.9, rParis 78.0 / 57.5",
    ),
    _cirtorch(
        "gem-gl18-101",
        101,
        46_696_513,
        "gl18/gl18-tl-resnet101-gem-w-a4d43db.pth",
        "rOxford 67.3 / 44.3, rParis 80.6 / 61.5",
    ),
    _cirtorch(
        "gem-gl18-152",
        152,
        62_340_161,
        "gl18/gl18-tl-resnet152-gem-w-21278d5.pth",
        "rOxford 68.7 / 44.2, rParis 79.7 / 60.3",
    ),
)
