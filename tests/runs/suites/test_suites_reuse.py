"""Nothing is done twice, and nothing old is taken for something new."""

import dataclasses

import pytest
from suite_cells import cells

import jaxret
from jaxret.descriptors import extraction as extraction
from jaxret.runs import run as runs
from jaxret.runtime import artifacts


class Killed(Exception):  # noqa: N818 - not an error
    """Stands for a signal that ends the process."""


@pytest.mark.slow
@pytest.mark.parametrize("share", [0.2, 0.5, 0.8])
def test_killed_in_the_middle_it_ends_with_the_same_tables(
    base, passes, tmp_path, monkeypatch, share
):
    chosen = {"model": ["resnet50", "simclr2x", "resnet50+simclr2x"], "dataset": ["roxford5k"]}
    written, writes, last = artifacts.atomic_write, [], [0]

    def counted(path):
        writes.append(path)
        if len(writes) == last[0]:
            raise Killed
        return written(path)

    monkeypatch.setattr(artifacts, "atomic_write", counted)
    whole = runs.run(base, suite="table2", chosen=chosen)
    seen = sorted(passes)
    last[0] = int(share * len(writes))
    del writes[:], passes[:]
    interrupted = dataclasses.replace(base, workdir=str(tmp_path / "killed"))
    with pytest.raises(Killed):
        runs.run(interrupted, suite="table2", chosen=chosen)
    last[0] = 0
    again = runs.run(interrupted, suite="table2", chosen=chosen)
    assert cells(again) == cells(whole)
    assert set(passes) == set(seen)
    assert len(passes) <= len(seen) + extraction.SHARD  # what the killed shard had not written


def test_members_of_an_ensemble_are_never_described_again(base, passes):
    one = dataclasses.replace(base, dataset="roxford5k", ranking=("G",))
    for model in ("resnet50", "simclr2x"):
        jaxret.run(dataclasses.replace(one, model=model), report=False)
    del passes[:]
    results = jaxret.run(dataclasses.replace(one, model="resnet50+simclr2x"), report=False)
    assert not passes
    assert {figure["model"] for figure in results.figures} == {"resnet50+simclr2x (random)"}
    assert [row["name"] for row in results.models] == ["resnet50", "simclr2x"]


@pytest.mark.parametrize(
    "changes",
    [
        {"aqe_n": 3},
        {"aqe_weights": "alpha"},
        {"pca_dim": 4},
        {"pca_dim": "true"},
        {"whiten_on": "rparis6k"},
        {"dataset": "rparis6k"},
        {"model": "simclr2x"},
        {"seed": 1},
        {"query_crop": "none"},
        {"image_size": 64},
    ],
    ids=lambda change: "-".join(map(str, *change.items())),
)
def test_a_changed_setting_never_meets_an_old_ranking(base, passes, ranked, changes):
    first = dataclasses.replace(base, model="resnet50", dataset="roxford5k", ranking=("G+AQE",))
    jaxret.run(first, report=False)
    jaxret.run(first, report=False)
    assert ranked == ["G+AQE"]
    jaxret.run(dataclasses.replace(first, **changes), report=False)
    assert ranked == 2 * ["G+AQE"]


def test_what_cannot_change_a_figure_does_not_rank_again(base, passes, ranked):
    first = dataclasses.replace(base, model="resnet50", dataset="roxford5k", ranking=("G",))
    jaxret.run(first, report=False)
    moved = dataclasses.replace(first, batch_size=3, workers=1, block_size=7)
    results = jaxret.run(dataclasses.replace(moved, ranking=("G+AQE", "G")), report=False)
    assert ranked == ["G", "G+AQE"]
    assert [f["ranking"] for f in results.figures] == 3 * ["G+AQE"] + 3 * ["G"]


def test_one_eigendecomposition_serves_all_dimensions(base, passes, monkeypatch):
    from jaxret.stages.whitening import PCAWhitening

    fitted = []
    plain = PCAWhitening.fit.__func__
    monkeypatch.setattr(
        PCAWhitening,
        "fit",
        classmethod(lambda cls, x, dim, **how: fitted.append(dim) or plain(cls, x, dim, **how)),
    )
    sweep = [
        dataclasses.replace(base, model="resnet50", dataset="oxford5k", pca_dim=d, ranking=("G",))
        for d in (4, 32, 8)
    ]
    results = jaxret.run(sweep, report=False)
    assert fitted == [32]
    jaxret.run([dataclasses.replace(sweep[0], pca_dim=16)], report=False)
    assert fitted == [32]
    alone = dataclasses.replace(sweep[0], workdir=base.workdir + "2")
    [direct] = jaxret.run(alone, report=False).figures
    assert fitted == [32, 4]
    assert direct["ap"] == pytest.approx(results.figures[0]["ap"])
