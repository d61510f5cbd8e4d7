"""A linear layer learnt behind frozen descriptors: its losses, what it learns, its file."""

from dataclasses import replace

import jax.numpy as jnp
import numpy as np
import pytest
import torch

import jaxret
from jaxret.convert.whitening_files import read_whitening
from jaxret.data.dataset import Dataset, FileSplit
from jaxret.descriptors.whitening import PCAWhitening
from jaxret.errors import UserError
from jaxret.training import linear_head
from jaxret.training.curves import Curves
from jaxret.training.data.labelled_photographs import LabelledPhotographs
from jaxret.training.linear_head import FILE, Described, learn, loss_of, train_head
from jaxret.training.settings import TrainSettings

COMMON = {"train": "head", "batch_size": 16, "steps": 60, "warmup_steps": 5, "validate_every": 30}
SETTINGS = TrainSettings(**COMMON, learning_rate=0.01, ap_group=4, head_dim=6)


@pytest.fixture(scope="module")
def described(tmp_path_factory):
    """Twelve instances of eight, told apart by the quietest directions of a loud noise."""
    draw = np.random.default_rng(3)
    instance = np.repeat(np.arange(12), 8)
    signal = draw.normal(size=(12, 4))[instance]
    quiet = 0.5 * signal + 0.2 * draw.normal(size=(96, 4))
    rows = np.concatenate([quiet, 2.0 * draw.normal(size=(96, 4))], axis=1)
    queries = np.arange(0, 96, 8)
    database = np.setdiff1d(np.arange(96), queries)
    ok = [np.flatnonzero(instance[database] == one).tolist() for one in range(12)]
    folder = tmp_path_factory.mktemp("none")
    dataset = Dataset(
        name="made-up",
        version="1",
        database=FileSplit(folder, tuple(f"{i}.jpg" for i in database)),
        queries=FileSplit(folder, tuple(f"q{i}.jpg" for i in queries)),
        ground_truth=[{"ok": one, "junk": []} for one in ok],
        protocols=("classic",),
    )
    collection = LabelledPhotographs.of(dataset)
    rows = np.concatenate([rows[database], rows[queries]]).astype(np.float32)
    return Described(rows, collection, collection.held_out(0.34, 0))


@pytest.mark.parametrize("loss", ["classification", pytest.param("ap", marks=pytest.mark.slow)])
def test_what_is_learnt_finds_instances_never_seen(described, loss):
    settings = replace(SETTINGS, head_loss=loss)
    first, curves = PCAWhitening.fit(described.rows[described.learnt], 6), Curves()
    learnt = learn(described, first, settings, curves)
    assert [row["step"] for row in curves.retrieval] == [0, 30, 60]
    before, after = curves.retrieval[0]["classic"], curves.retrieval[-1]["classic"]
    assert after > before + 0.05
    losses = [row["loss"] for row in curves.losses]
    assert np.mean(losses[-10:]) < np.mean(losses[:10]) and len(losses) == 60
    again = learn(described, first, settings, Curves())
    np.testing.assert_array_equal(again.components, learnt.components)


def test_starts_as_the_whitening_and_its_file_is_one(described, tmp_path):
    first = PCAWhitening.fit(described.rows[described.learnt], 6)
    params = {"kernel": first.projection}
    layer = linear_head._layer(params, first)
    layer.save(tmp_path / "head.npz")
    read = PCAWhitening.from_pca(**read_whitening(tmp_path / "head.npz"))
    np.testing.assert_allclose(read(described.rows), first(described.rows), atol=1e-6)


def test_classification_is_torchs_cross_entropy_of_cosines():
    draw = np.random.default_rng(5)
    kernel, classes, rows = (
        draw.normal(size=s).astype(np.float32) for s in ((3, 7), (4, 3), (9, 7))
    )
    labels = draw.integers(0, 4, 9)
    settings = replace(SETTINGS, temperature=0.3)
    params = {"kernel": jnp.asarray(kernel), "classes": jnp.asarray(classes)}
    ours = loss_of(params, jnp.asarray(rows), jnp.asarray(labels, jnp.int32), settings)
    unit = torch.nn.functional.normalize
    cosines = unit(torch.tensor(rows) @ torch.tensor(kernel).T) @ unit(torch.tensor(classes)).T
    wanted = torch.nn.functional.cross_entropy(cosines / 0.3, torch.tensor(labels))
    assert float(ours) == pytest.approx(float(wanted), abs=1e-5)


@pytest.mark.slow
def test_from_photographs_to_an_evaluation_with_the_layer(folder_of, tmp_path):
    folder, workdir = folder_of(60, instances=8), tmp_path / "head"
    settings = TrainSettings(
        **{**COMMON, "steps": 20, "validate_every": 10, "batch_size": 8},
        **{"dataset": str(folder), "model": "tiny", "init": "random", "workdir": str(workdir)},
        **{"describe_size": 64, "head_dim": 8},
    )
    lines = []
    trained = train_head(settings, lines.append)
    assert "held out" in lines[0] and (trained.workdir / "report.html").exists()
    assert (workdir / "loss.csv").exists()
    shared = {"model": "tiny", "weights": "random", "dataset": str(folder), "image_size": 64}
    results = jaxret.run(
        jaxret.Settings(
            **shared, ranking=("G",), whitening=str(workdir / FILE), workdir=str(tmp_path / "work")
        )
    )
    assert {figure["dim"] for figure in results.figures} == {8}


@pytest.mark.slow
def test_needs_to_know_what_shows_the_same(folder_of, tmp_path):
    settings = TrainSettings(
        **COMMON, dataset=str(folder_of(20)), model="tiny", init="random", workdir=str(tmp_path)
    )
    with pytest.raises(UserError, match="--train=head needs to know which photographs show"):
        train_head(settings)
