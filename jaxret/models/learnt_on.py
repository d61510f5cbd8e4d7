"""Models that learnt on photographs of what a benchmark asks for: figures that flatter them.

A row says which models, on what, and what that shares with which benchmark. Models that are in no
row learnt on nothing that is known to (retrieval-SfM-120k and Landmarks-clean were held against
Oxford and Paris and share no landmark: dealicious-inc/RGLDv2-clean), or on what nobody has
published.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

_OXFORD, _PARIS = ("roxford5k", "oxford5k"), ("rparis6k", "paris6k")
_GLDV2 = ("gldv2", "gldv2-private", "gldv2-public")


@dataclass(frozen=True)
class LearntOn:
    """What some models learnt on.

    Attributes:
        models: a regular expression of their names.
        data: what they learnt on.
        shared: benchmark -> what is in both, as the end of a sentence.
    """

    models: str
    data: str
    shared: Mapping[str, str]


# Counts of queries: Song et al., "On Train-Test Class Overlap and Detection for Image Retrieval",
# CVPR 2024 (RGLDv2-clean). GLDv2's own classes of training and test are not apart:
# tensorflow/models issue 10441, by one of its makers.
_LANDMARKS = {
    **dict.fromkeys(_OXFORD, "36 of the 70 landmarks that rOxford asks for"),
    **dict.fromkeys(_PARIS, "38 of the 70 landmarks that rParis asks for"),
    **dict.fromkeys(_GLDV2, "landmarks that its own test part asks for"),
}
_GATHERED = "photographs gathered for their likeness to those of {}"

ROWS = (
    LearntOn(r"dino-vits16-gldv2", "Google Landmarks v2", _LANDMARKS),
    # Oquab et al., TMLR 2024, table 15: GLDv2's training part as it is, and of the web what is
    # nearest to rOxford, rParis, AmsterTime, Met and others.
    LearntOn(
        r"(hf:facebook/)?dinov2-.*",
        "LVD-142M",
        _LANDMARKS
        | dict.fromkeys(("amstertime", "amstertime-old"), _GATHERED.format("AmsterTime"))
        | dict.fromkeys(("met", "met-mini"), _GATHERED.format("Met")),
    ),
)


def leak(model: str, benchmark: str) -> str:
    """The sentence for a report on a model that learnt on what a benchmark asks for; or nothing."""
    for row in ROWS:
        if benchmark in row.shared and re.fullmatch(row.models, model):
            return (
                f"LEAK: {model} learnt on {row.data}, which holds {row.shared[benchmark]}: its "
                f"figures on {benchmark} flatter it beside models that did not."
            )
    return ""
