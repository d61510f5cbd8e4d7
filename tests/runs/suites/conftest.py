"""Stand-ins for every model and every dataset of the study."""

import dataclasses

import jax.numpy as jnp
import numpy as np
import pytest
import stand_in_benchmarks
from suite_cells import CHANNELS, MEMBERS

import jaxret
from jaxret import pipeline
from jaxret.data.images.loader import batches
from jaxret.descriptors import extraction as extraction
from jaxret.models import registry, rows
from jaxret.models.encoder import Encoder


@pytest.fixture(scope="module")
def manual_dir(tmp_path_factory):
    folder = tmp_path_factory.mktemp("manual")
    with pytest.MonkeyPatch.context() as patch:
        stand_in_benchmarks.use_counts(patch)
        stand_in_benchmarks.write(folder)
    return folder


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    return tmp_path_factory.mktemp("data")


@pytest.fixture
def base(manual_dir, data_dir, tmp_path, monkeypatch):
    """What the suites' evaluations have in common."""
    stand_in_benchmarks.use_counts(monkeypatch)
    return jaxret.Settings(
        weights="random",
        image_size=32,
        bn_recalibration="none",
        data_dir=str(data_dir),
        manual_dir=str(manual_dir),
        workdir=str(tmp_path / "workdir"),
    )


@pytest.fixture
def passes(monkeypatch):
    """Every encoder is a random projection of the pixels; which photographs each has seen."""
    seen: list[tuple[str, str]] = []
    by_name = {name: dataclasses.replace(registry.get(name), channels=CHANNELS) for name in MEMBERS}
    monkeypatch.setattr(rows, "ROWS", tuple(by_name.values()))

    def untrained(name, seed):
        weights = jnp.full(3, MEMBERS.index(name) + seed, jnp.float32)
        return Encoder(registry.get(name), {"params": {"w": weights}, "batch_stats": {}})

    class Projection:
        channels = (CHANNELS,)

        def __init__(self, encoder, several):
            self.how, self.name = several[0], encoder.spec.name
            draw = np.random.default_rng(MEMBERS.index(self.name))
            self.matrix = draw.standard_normal((self.how.image_size**2 * 3, CHANNELS))

        def all(self, split, positions, skipped, clock):
            for batch in batches(split, self.how.image_size, 8, indices=positions):
                seen.extend((self.name, split.names[int(i)]) for i in batch.indices)
                pixels = batch.images[: batch.count].reshape(batch.count, -1) / 255.0
                yield batch, (pixels @ self.matrix).astype(np.float32)

    monkeypatch.setattr("jaxret.stages.encoders.models.random", untrained)
    monkeypatch.setattr(extraction, "Describer", Projection)
    return seen


@pytest.fixture
def ranked(monkeypatch):
    """The rankings that are done, not taken from the workdir."""
    done: list[str] = []
    plain = pipeline.rank_all

    def counted(queries, database, rankings, settings, **others):
        done.extend(rankings)
        return plain(queries, database, rankings, settings, **others)

    monkeypatch.setattr(pipeline, "rank_all", counted)
    return done
