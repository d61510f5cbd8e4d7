"""Converted weights on disk: what is damaged or foreign is refused, never loaded."""

import json
from dataclasses import replace

import numpy as np
import pytest

from jaxret import UserError, models
from jaxret.models.weights import locations
from jaxret.models.weights.saving import save


@pytest.fixture
def folder(tmp_path):
    spec = replace(models.get("gem-ap").with_arguments(stages=1, descriptor=8), channels=8)
    pca = {"mean": np.zeros(8), "components": np.eye(8)[:4], "explained_variance": np.ones(4)}
    encoder = replace(models.random(spec, seed=1), whitening=pca)
    save(encoder, tmp_path / "gem-ap", "made-up.pt", "0" * 64)
    return encoder, tmp_path


def test_what_was_saved_is_loaded(folder):
    encoder, place = folder
    loaded = models.load(encoder.spec, place)
    assert loaded.digest() == encoder.digest()
    np.testing.assert_array_equal(loaded.whitening["components"], np.eye(8)[:4])


def damaged_bytes(folder):
    file = max(folder.rglob("*"), key=lambda path: path.stat().st_size if path.is_file() else 0)
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 0xFF
    file.write_bytes(content)


def cut_short(folder):
    file = max(folder.rglob("*"), key=lambda path: path.stat().st_size if path.is_file() else 0)
    file.write_bytes(file.read_bytes()[:-1000])


def lost_metadata(folder):
    (folder / "_METADATA").unlink()


def another_digest(folder):
    file = folder / "provenance.json"
    stated = json.loads(file.read_text()) | {"digest": "f" * 64}
    file.write_text(json.dumps(stated))


def half_written_provenance(folder):
    file = folder / "provenance.json"
    file.write_text(file.read_text()[:50])


def lost_whitening(folder):
    (folder / "whitening.npz").unlink()


def another_whitening(folder):
    np.savez(folder / "whitening.npz", mean=np.ones(8))


@pytest.mark.parametrize(
    "harm",
    [
        damaged_bytes,
        cut_short,
        lost_metadata,
        another_digest,
        half_written_provenance,
        another_whitening,
        lost_whitening,
    ],
)
def test_damage_is_one_sentence(harm, folder, capfd):
    encoder, place = folder
    harm(place / "gem-ap")
    with pytest.raises(UserError, match="damaged or incomplete") as error:
        models.load(encoder.spec, place)
    assert "\n" not in str(error.value)
    assert capfd.readouterr() == ("", "")


def test_weights_of_another_network_are_refused(folder):
    encoder, place = folder
    other = encoder.spec.with_arguments(stages=2)
    with pytest.raises(UserError, match="not those of gem-ap"):
        models.load(other, place)


def test_missing_weights_name_the_two_commands(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError) as error:
        models.load("simclr4x", tmp_path / "mine")
    sentence = str(error.value)
    assert "python tools/download.py simclr4x" in sentence
    assert "python tools/convert.py --model=simclr4x --source=" in sentence
    assert f"--output={tmp_path / 'mine' / 'simclr4x'}" in sentence


def test_places_are_tried_in_order(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    given = locations.weights_dirs("mine")
    assert [str(path) for path in given[:2]] == ["mine", "weights"]
    assert locations.find("efficientnet-lite0") is not None  # shipped with the package
    nearer = tmp_path / "weights" / "efficientnet-lite0"
    nearer.mkdir(parents=True)
    (nearer / "provenance.json").write_text("{}")
    assert locations.find("efficientnet-lite0") == nearer.relative_to(tmp_path)


def test_a_disk_that_takes_nothing_is_one_sentence(folder):
    encoder, place = folder
    (place / "file").write_text("")
    with pytest.raises(UserError, match="cannot be written"):
        save(encoder, place / "file" / "gem-ap", "made-up.pt", "0" * 64)
