"""Settings of a training run: sentences for what cannot be, and a digest of what counts."""

import subprocess
import sys
import time
from dataclasses import replace

import pytest

from jaxret.errors import UserError
from jaxret.training.settings import LOSSES, PUBLISHED, TrainSettings

BAD = {
    "--steps=0 must be 1 or more": {"steps": 0},
    "--image_size=16 must be 32 or more": {"image_size": 16},
    "--warmup_steps=50 must be fewer than --steps=50": {"steps": 50},
    "--held_out=1.0 is a share": {"held_out": 1.0},
    "--learning_rate=0.0 must be above 0": {"learning_rate": 0.0},
    "--learning_rate=nan must be above 0": {"learning_rate": float("nan")},
    "--momentum=1.0 must lie in": {"momentum": 1.0},
    "--weight_decay=-1 must be 0 or more": {"weight_decay": -1},
    "--batch_size=1 has no negatives": {"batch_size": 1},
    "--batch_size=6 must be a multiple of --ap_group=4": {"batch_size": 6, "loss": "ap"},
    "--queue_size=48 must be a multiple of --batch_size=32": {"queue_size": 48},
    "--loss=triplet is not known; allowed: simclr, mocov2, ap": {"loss": "triplet"},
    "--optimizer=adam is not known; allowed: sgd, lars, adamw": {"optimizer": "adam"},
}


@pytest.mark.parametrize("sentence", BAD)
def test_what_cannot_be_is_one_sentence(sentence):
    with pytest.raises(UserError) as raised:
        TrainSettings(**BAD[sentence])
    assert sentence in str(raised.value)


@pytest.mark.parametrize("loss", LOSSES)
def test_what_is_unset_is_as_published_with_the_loss(loss):
    found = TrainSettings(loss=loss, image_size=100).resolved()
    assert {name: getattr(found, name) for name in PUBLISHED[loss]} == PUBLISHED[loss]
    assert found.stored_size == 200
    assert TrainSettings(loss=loss, temperature=0.07).resolved().temperature == 0.07


def test_the_digest_leaves_out_where_things_lie():
    one = TrainSettings()
    for other in ({"workdir": "x"}, {"workers": 3}, {"remat": True}, {"checkpoint_every": 7}):
        assert replace(one, **other).digest() == one.digest()
    for other in ({"seed": 1}, {"steps": 999}, {"dtype": "bfloat16"}, {"init": "random"}):
        assert replace(one, **other).digest() != one.digest()


def test_help_is_fast_and_explains_every_flag():
    started = time.perf_counter()
    shown = subprocess.run(
        [sys.executable, "-m", "jaxret.train", "--help"], capture_output=True, text=True
    )
    assert time.perf_counter() - started < 10  # a second on a machine that does nothing else
    for option, _ in TrainSettings.options():
        assert f"--{option.name}" in shown.stdout or f"--[no]{option.name}" in shown.stdout
        assert len(option.metadata["help"]) > 15


def test_a_wrong_flag_is_a_sentence():
    shown = subprocess.run(
        [sys.executable, "-m", "jaxret.train", "--loss=ap", "--batch_size=6"],
        capture_output=True,
        text=True,
    )
    assert shown.returncode == 1
    assert shown.stderr == "jaxret: --batch_size=6 must be a multiple of --ap_group=4.\n"
