"""The presets, each with its sources; code is named by repository, file and commit."""

import difflib

from jaxret.defaults import IMAGE_SIZE
from jaxret.errors import UserError
from jaxret.presets.row import Preset, Values

_HALVES = (1.0, 2**-0.5, 0.5)
_UP_AND_DOWN = (1.0, 2**0.5, 2**-0.5)
_SCALED_TENSOR = (
    "Its smaller and larger scales are bilinear interpolations of the normalised pixels without "
    "antialiasing; here each is resized from the photograph."
)
# As a network gives it: no batch norm is touched, no PCA is learnt, one scale.
_PLAIN: Values = {"bn_recalibration": "none", "pca_dim": "true", "scales": (1.0,)}

STUDY = Preset(
    name="study",
    title="Krishna, McGuinness and O'Connor, ICMR 2021",
    metric="mAP; on the revisited sets easy, medium and hard, and mP@5, mP@10",
    values={
        "query_crop": "bbox",
        "resize": "square",
        "image_size": IMAGE_SIZE,
        "scales": (1.0,),
        "pooling": "rmac",
        "bn_recalibration": "ema",
        "whitening": "learnt",
    },
    assumed=("query_crop", "resize", "bn_recalibration"),
    sources=("the paper, section 4; where it is silent, docs/decisions.md",),
)

_REVISITED = Preset(
    name="revisited",
    title="cirtorch's evaluation on revisited Oxford and Paris (Radenovic et al., 2018)",
    metric="mAP, medium and hard",
    values={
        **_PLAIN,
        "query_crop": "bbox",
        "resize": "thumbnail",
        "image_size": 1024,
        "scales": _HALVES,
        "pooling": "gem",
    },
    of_model=tuple(
        # Networks that end in a whitening of their own; cirtorch/examples/test_e2e.py.
        (pattern, {"scales": _UP_AND_DOWN, "pooling": None})
        for pattern in ("gem-sfm120k-*", "gem-gl18-*")
    ),
    sources=(
        "filipradenovic/cnnimageretrieval-pytorch 1e66a41: README.md, cirtorch/examples/test.py "
        "and test_e2e.py, cirtorch/datasets/genericdataset.py",
        "filipradenovic/revisitop: python/evaluate.py (the metric)",
    ),
    not_covered=(
        _SCALED_TENSOR,
        "Networks without a whitening of their own are evaluated there with one learnt on "
        "matching pairs of retrieval-SfM-120k (--whitening=FILE reads one), and their scales are "
        "pooled by a mean of the power p of GeM.",
    ),
)

_AP_GEM = Preset(
    name="ap-gem",
    title="deep-image-retrieval's evaluation of AP-GeM (Revaud et al., ICCV 2019)",
    metric="mAP; on the revisited sets easy, medium and hard",
    values={
        "query_crop": "bbox",
        "resize": "thumbnail",
        "image_size": 1024,
        "scales": (1.0,),
        "pooling": None,
        "bn_recalibration": "none",
        "whitening": "checkpoint",
    },
    sources=("naver/deep-image-retrieval 610247f: README.md, dirtorch/test_dir.py",),
    not_covered=(
        "Photographs are taken as large as they are there: 1024 is the longer side of the largest "
        "of Oxford and Paris, and nothing is enlarged.",
    ),
)

_DINO = Preset(
    name="dino",
    title="DINO's evaluation on revisited Oxford and Paris (Caron et al., ICCV 2021)",
    metric="mAP, medium and hard",
    values={
        **_PLAIN,
        "query_crop": "none",
        "resize": "thumbnail",
        "image_size": 224,
        "pooling": "cls",
    },
    of_dataset={"rparis6k": {"image_size": 512, "scales": _HALVES, "scales_mean": "raw"}},
    of_model=(("dino", {"pooling": "spoc"}),),
    sources=(
        "facebookresearch/dino 7c446df: eval_image_retrieval.py, eval_knn.py, "
        "utils.py (multi_scale), README.md (--imsize 224 on Oxford, 512 with --multiscale on "
        "Paris)",
    ),
    not_covered=(
        _SCALED_TENSOR,
        "The README's commands are those of the network learnt on Google Landmarks; whether the "
        "paper's other figures were made with them is not said (a user gets 30.8 / 10.3 with "
        "ResNet-50 where it prints 35.4 / 11.1: issue #219).",
        "The script leaves a ResNet a linear layer of no outputs; what stands in for it here is "
        "the mean of the map, as in eval_knn.py.",
    ),
)

_DINOV2 = Preset(
    name="dinov2",
    title="DINOv2's retrieval on revisited Oxford and AmsterTime (Oquab et al., 2023)",
    metric="mAP, medium and hard",
    values={
        **_PLAIN,
        "query_crop": "none",
        "resize": "center",
        "image_size": 224,
        "pooling": "cls",
    },
    assumed=("query_crop", "resize", "image_size", "scales", "pooling"),
    sources=(
        "facebookresearch/dinov2 b8931f7: MODEL_CARD.md (nearest neighbour), "
        "dinov2/data/transforms.py (make_classification_eval_transform, the only evaluation "
        "transform there)",
        "facebookresearch/dinov2 issue #44: a user comes nearer without the crop of the query "
        "(69 / 43.7 for 72.9 / 49.5)",
    ),
    not_covered=(
        "Neither the paper nor the repository states how photographs were prepared for retrieval.",
    ),
)

_DINOV3 = Preset(
    name="dinov3",
    title="DINOv3's retrieval on revisited Oxford (Simeoni et al., 2025)",
    metric="mAP, hard",
    values={
        **_PLAIN,
        "query_crop": "none",
        "resize": "square",
        "image_size": 256,
        "pooling": "cls",
    },
    assumed=("query_crop", "resize", "image_size", "scales", "pooling"),
    sources=(
        "facebookresearch/dinov3 6876159: MODEL_CARD.md, README.md (make_transform, a square of "
        "256)",
    ),
    not_covered=(
        "The paper's preparation of photographs differs from the README's (issue #253, open); "
        "jaxret has the README's.",
        "Its antialiased bilinear resize is torch's, of a tensor; here it is PIL's.",
    ),
)

_TIMM: Values = {"position_resize": "timm"}
_ILIAS = Preset(
    name="ilias",
    title="ILIAS's evaluation of global descriptors (Kordopatis-Zilos et al., CVPR 2025)",
    metric="mAP@1000",
    values={
        **_PLAIN,
        "query_crop": "none",
        "resize": "longer",
        "image_size": 384,
        "pooling": None,
        "patch_fit": "pad",
    },
    of_model=(
        ("dinov2-*", {"image_size": 724}),
        ("dinov3-*", {"image_size": 768}),
        ("siglip*-512", {"image_size": 724, **_TIMM}),
        ("siglip*-384", {"image_size": 512, **_TIMM}),
        ("siglip*", _TIMM),
        ("pe-core-large", {"image_size": 512, **_TIMM}),
        ("pe-core-*", _TIMM),
        ("clip-l14-336", {"image_size": 512, **_TIMM}),
        ("clip-*", _TIMM),
        ("vit-*", _TIMM),
        ("resnet*", {"pooling": "spoc"}),
        ("dino", {"pooling": "spoc"}),
    ),
    sources=(
        "ilias-vrg/ilias e81029e: feature_extraction/scripts/models.sh (sizes), "
        "src/datasets/transforms.py (RESIZE_LARGE), src/model/extractors/, "
        "evaluation/evaluate.py",
    ),
    not_covered=(
        "A model that its list does not have gets the size of one of the same native size there, "
        "384 for 224 and 256 pixels.",
        "timm's modules compute the exact GELU in SigLIP and, under some names, in OpenAI's CLIP; "
        "jaxret's rows do as the authors.",
    ),
)

PRESETS: dict[str, Preset] = {
    row.name: row for row in (STUDY, _REVISITED, _AP_GEM, _DINO, _DINOV2, _DINOV3, _ILIAS)
}


def names() -> tuple[str, ...]:
    return tuple(PRESETS)


def get(name: str) -> Preset:
    """The row; UserError names the nearest and all."""
    if name in PRESETS:
        return PRESETS[name]
    nearest = difflib.get_close_matches(name, PRESETS, n=1)
    hint = f" Nearest: {nearest[0]}." if nearest else ""
    raise UserError(f"Unknown preset {name!r}.{hint} Known: {', '.join(PRESETS)}.")
