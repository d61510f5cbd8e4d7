"""Where a model learnt on what a benchmark asks for, the report says so."""

import re
from types import SimpleNamespace

import pytest

from jaxret import models, pipeline
from jaxret.data.benchmarks import registry
from jaxret.models import learnt_on
from jaxret.settings import Settings


def test_rows_name_models_and_benchmarks_that_are_there():
    for row in learnt_on.ROWS:
        assert any(re.fullmatch(row.models, name) for name in models.names())
        assert set(row.shared) <= set(registry.BENCHMARKS)


@pytest.mark.parametrize(
    ("model", "benchmark", "said"),
    [
        ("dino-vits16-gldv2", "roxford5k", "Google Landmarks v2, which holds 36 of the 70"),
        ("dino-vits16-gldv2", "rparis6k", "38 of the 70 landmarks that rParis asks for"),
        ("dinov2-large-reg", "gldv2-private", "LVD-142M, which holds landmarks"),
        ("hf:facebook/dinov2-base", "met", "likeness to those of Met"),
    ],
)
def test_a_meeting_is_said(model, benchmark, said):
    sentence = learnt_on.leak(model, benchmark)
    assert sentence.startswith(f"LEAK: {model} learnt on ") and said in sentence


@pytest.mark.parametrize(
    ("model", "benchmark"),
    [
        ("dino-vits16", "roxford5k"),
        ("gem-sfm120k-50", "roxford5k"),
        ("dinov2-base", "gpr1200"),
        ("dinov2-base", "./roxford5k"),
        ("my-dinov2-base", "roxford5k"),
    ],
)
def test_nothing_is_said_of_the_others(model, benchmark):
    assert learnt_on.leak(model, benchmark) == ""


def of(model, dataset="roxford5k", version="1.0.0", origin=None):
    identity = SimpleNamespace(name=model, origin=origin)
    return SimpleNamespace(
        identity=identity, dataset=SimpleNamespace(name=dataset, version=version)
    )


def test_an_evaluation_says_it_of_published_weights_alone():
    settings = Settings(model="dino-vits16-gldv2+resnet50", dataset="roxford5k")
    members = [of(name) for name in settings.members]
    first, second = pipeline._leaks(members, settings)
    assert first.startswith("LEAK: dino-vits16-gldv2") and second == ""
    [mine] = pipeline._leaks([of("dinov2-base", dataset="my photographs")], settings)
    assert mine == ""
    assert pipeline._leaks([of("dinov2-base", version="folder")], settings) == []
    assert pipeline._leaks([of("dinov2-base", origin="a file of one's own")], settings) == []
    random = Settings(model="dinov2-base", dataset="roxford5k", weights="random")
    assert pipeline._leaks([of("dinov2-base")], random) == []
