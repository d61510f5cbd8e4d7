"""Presets as rows, what a flag beside one does, and what a report says of it."""

import dataclasses

import pytest

import jaxret
from jaxret import models, presets
from jaxret.data.benchmarks.registry import BENCHMARKS
from jaxret.errors import UserError
from jaxret.settings import Settings

FIELDS = {option.name for option, _ in Settings.options()}


@pytest.mark.parametrize("name", presets.names())
def test_a_row_states_settings_that_are_there_and_where_it_has_them_from(name):
    row = presets.get(name)
    assert row.name == name and row.title and row.metric and row.sources
    assert row.mentioned() <= FIELDS - {"preset", "model", "dataset", "ranking"}
    assert set(row.assumed) <= set(row.values)
    assert {"query_crop", "resize", "image_size", "scales", "pooling"} <= set(row.values)
    assert set(row.of_dataset) <= set(BENCHMARKS)


@pytest.mark.parametrize("name", presets.names())
def test_every_model_and_dataset_gets_settings_that_deviate_in_nothing(name):
    for model in models.names():
        for dataset in ("roxford5k", "rparis6k", "demo"):
            settings = Settings.of_preset(name, model=model, dataset=dataset)
            assert presets.deviations(settings) == ()
            assert presets.mark(settings) == {"preset": name}


def test_every_pattern_fits_a_model():
    for row in presets.PRESETS.values():
        for pattern, values in row.of_model:
            found = [m for m in models.names() if row.values_for(m, "").items() >= values.items()]
            assert found, (row.name, pattern)


@pytest.mark.parametrize(
    ("preset", "model", "dataset", "expected"),
    [
        # DINO's README: --imsize 224 on Oxford, --imsize 512 --multiscale 1 on Paris
        ("dino", "dino-vits16", "roxford5k", {"image_size": 224, "scales": (1.0,)}),
        ("dino", "dino-vits16", "rparis6k", {"image_size": 512, "scales_mean": "raw"}),
        ("dino", "dino", "rparis6k", {"image_size": 512, "pooling": "spoc"}),
        # ILIAS's models.sh
        ("ilias", "dinov2-large-reg", "ilias-core", {"image_size": 724, "patch_fit": "pad"}),
        ("ilias", "dinov3-base", "ilias-core", {"image_size": 768, "position_resize": None}),
        ("ilias", "siglip-large-384", "ilias-core", {"image_size": 512}),
        ("ilias", "siglip2-base-512", "ilias-core", {"image_size": 724, "position_resize": "timm"}),
        ("ilias", "siglip-base-256", "ilias-core", {"image_size": 384}),
        ("ilias", "pe-core-large", "ilias-core", {"image_size": 512}),
        ("ilias", "clip-l14", "ilias-core", {"image_size": 384}),
        ("ilias", "clip-l14-336", "ilias-core", {"image_size": 512}),
        # cirtorch's test.py and test_e2e.py
        ("revisited", "gem-gl18-101", "roxford5k", {"scales": (1.0, 2**0.5, 2**-0.5)}),
        ("revisited", "resnet101", "roxford5k", {"pooling": "gem", "scales": (1.0, 2**-0.5, 0.5)}),
    ],
)
def test_what_the_sources_say(preset, model, dataset, expected):
    settings = Settings.of_preset(preset, model=model, dataset=dataset)
    assert {name: getattr(settings, name) for name in expected} == expected


def test_the_study_is_what_the_defaults_do_at_its_size():
    study = Settings.of_preset("study", model="simclr4x", dataset="roxford5k")
    defaults = Settings(model="simclr4x", dataset="roxford5k")
    same = dataclasses.replace(study, preset=None, image_size=None, query_crop=None, pooling=None)
    assert same == defaults and study.image_size == 724


def test_what_is_said_counts_and_is_named():
    settings = Settings.of_preset("dino", dataset="rparis6k", query_crop="bbox", scales=(1.0,))
    assert (settings.query_crop, settings.scales, settings.image_size) == ("bbox", (1.0,), 512)
    assert presets.deviations(settings) == (
        "query_crop=bbox (preset: none)",
        "scales=1 (preset: 1,0.707107,0.5)",
    )
    assert presets.mark(settings) == {}
    stated = presets.stated(settings)
    assert stated["name"] == "dino" and len(stated["deviations"]) == 2
    assert stated["values"]["image_size"] == "512"


def test_several_evaluations_under_one_preset():
    every = [
        Settings.of_preset("dino", dataset=dataset, image_size=size)
        for dataset in ("roxford5k", "rparis6k")
        for size in (224, 448, 640)
    ]
    assert presets.deviations(*every) == (
        "image_size=448|640 (preset: 224)",
        "image_size=224|448|640 (preset: 512)",
    )
    stated = presets.stated(*every)
    assert stated["values"]["image_size"] == ["224", "512"]
    assert stated["values"]["scales_mean"] == ["normalized", "raw"]


def test_what_a_preset_does_not_state_is_held_against_the_default():
    settings = Settings.of_preset("dino", dtype="bfloat16", ranking=("G",), aqe_n=3, workdir="x")
    assert presets.deviations(settings) == ("dtype=bfloat16 (preset: float32)",)


def test_no_preset_deviates_from_nothing():
    settings = Settings(query_crop="none")
    assert presets.applied(settings, ()) is settings
    assert (presets.deviations(settings), presets.stated(settings)) == ((), {})
    assert presets.mark(settings) == {}


def test_values_of_another_model_do_not_stay():
    """A suite puts model after model into the same settings."""
    timm = Settings.of_preset("ilias", model="siglip2-base-512")
    assert timm.position_resize == "timm"
    other = presets.applied(dataclasses.replace(timm, model="dinov2-base"), ())
    assert other == Settings.of_preset("ilias", model="dinov2-base")


def test_an_encoder_of_ones_own_is_nobody_elses():
    settings = Settings.of_preset("dinov2", model="dinov2-base", checkpoint="mine.pth")
    assert presets.mark(settings) == {}
    named = Settings.of_preset("dinov2", model="dinov2-base", checkpoint="mine=mine.pth")
    assert presets.mark(named) == {"preset": "dinov2"}


def test_unknown_presets_are_refused():
    with pytest.raises(UserError, match="Nearest: dinov2"):
        presets.get("dinov22")
    with pytest.raises(UserError, match="--preset=dinov22 is not known"):
        Settings(preset="dinov22")


def test_features_do_not_depend_on_the_name():
    """What lies in the workdir serves the same settings under whatever name."""
    from jaxret.stages.context import one_encoder

    row = Settings.of_preset("dino", model="dino-vits16")
    own = dataclasses.replace(row, preset=None)
    assert row.digest() == own.digest()
    assert one_encoder("dino-vits16", "demo", row) == one_encoder("dino-vits16", "demo", own)
    assert jaxret.Settings is Settings


def test_sides_are_what_the_network_looks_at():
    """With the public code's resizes a photograph keeps its pixels, but those of no whole patch."""
    from jaxret.stages.features import side_multiple

    vit, cnn = models.get("dinov2-small"), models.get("resnet50")
    padded = vit.with_conventions(patch_fit="pad")
    for resize, expected in (("thumbnail", (14, 1, 1)), ("longer", (14, 1, 1)), ("keep", None)):
        found = tuple(side_multiple(spec, resize) for spec in (vit, padded, cnn))
        assert found == (expected or (14, 14, 32))
