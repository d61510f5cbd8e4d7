"""Folders of converted weights anywhere, found without saying whose network they are."""

import json
import shutil
from pathlib import Path

import pytest

from jaxret import UserError, models
from jaxret.models.weights.folders import FolderEncoder

SHIPPED = Path(__file__).resolve().parents[3] / "weights" / "efficientnet-lite0"


@pytest.fixture
def workdir(tmp_path):
    """As a training leaves it."""
    shutil.copytree(SHIPPED, tmp_path / "training" / "encoder")
    (tmp_path / "training" / "run.json").write_text("{}")
    return tmp_path / "training"


def test_a_trainings_workdir_and_the_folder_in_it_hold_the_same(workdir):
    for place in (workdir, workdir / "encoder", str(workdir)):
        found = FolderEncoder.find(place)
        assert found.folder == workdir / "encoder"
        assert found.spec == models.get("efficientnet-lite0")
        assert found.load().digest() == found.provenance.digest


def drop(*names):
    def spoil(place):
        for name in names:
            path = place / name
            shutil.rmtree(path) if path.is_dir() else path.unlink()

    return spoil


def state(**changes):
    def spoil(place):
        path = place / "encoder" / "provenance.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))

    return spoil


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (drop("."), "training is not there: give a folder"),
        (drop("encoder/provenance.json"), "has not finished: .* holds no provenance.json yet"),
        (drop("encoder"), "has not finished"),
        (drop("encoder", "run.json"), "holds no converted weights: neither provenance.json"),
        (state(model="resnet51"), "of a model without a row: Unknown model 'resnet51'"),
        (state(arguments={"width": 2}), "and the row efficientnet-lite0 is"),
        (lambda place: (place / "encoder" / "provenance.json").write_text("{"), "damaged"),
    ],
)
def test_what_is_no_encoder_is_refused_in_a_sentence(spoil, sentence, workdir):
    spoil(workdir)
    with pytest.raises(UserError, match=sentence):
        FolderEncoder.find(workdir)


def test_a_file_is_no_folder(workdir):
    with pytest.raises(UserError, match=r"run\.json is no folder"):
        FolderEncoder.find(workdir / "run.json")
