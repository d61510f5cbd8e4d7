"""The paper's suites whole, at small scale: stand-ins for every model and every dataset."""

import dataclasses
import json
import re
import shutil

import jax.numpy as jnp
import numpy as np
import pytest
import stand_in_benchmarks

import jaxret
from jaxret import artifacts, models, suites
from jaxret import suite as runs
from jaxret.data import ground_truth, published, stand_ins
from jaxret.data.loader import batches
from jaxret.descriptors import extract as extraction
from jaxret.errors import UserError
from jaxret.models import registry, rows
from jaxret.models.encoder import Encoder
from jaxret.report import paper
from jaxret.report.grid import Address
from jaxret.report.layouts import tables

MEMBERS = ("resnet50", "simclr1x", "simclr2x", "simclr4x", "mocov1", "mocov2", "amdim", "gem-ap")
CHANNELS = 48


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
        channels = CHANNELS

        def __init__(self, encoder, how):
            self.how, self.name = how, encoder.spec.name
            draw = np.random.default_rng(MEMBERS.index(self.name))
            self.matrix = draw.standard_normal((how.image_size**2 * 3, CHANNELS))

        def all(self, split, positions, skipped, clock):
            for batch in batches(split, self.how.image_size, 8, indices=positions):
                seen.extend((self.name, split.names[int(i)]) for i in batch.indices)
                pixels = batch.images[: batch.count].reshape(batch.count, -1) / 255.0
                yield batch, (pixels @ self.matrix).astype(np.float32)

    monkeypatch.setattr("jaxret.members.models.random", untrained)
    monkeypatch.setattr(extraction, "_Describe", Projection)
    return seen


def cells(results):
    """Ours and why not, by table and address."""
    found = {}
    for table in tables(results):
        for cell in table.cells():
            found[table.number, cell.address] = (cell.ours, cell.gap)
    return found


def test_every_model_and_dataset_of_the_tables_is_in_the_registry():
    for suite in suites.SUITES.values():
        for part in suite.parts:
            assert set(part.datasets) <= set(jaxret.data.names())
            for model in part.models:
                assert all(jaxret.models.get(member) for member in model.split("+"))


@pytest.mark.parametrize(
    ("name", "evaluations", "figures"),
    [("table1", 39, 312), ("table2", 26, 26), ("table3", 168, 168), ("paper", 233, 506)],
)
def test_a_suite_is_as_large_as_the_printed_table(name, evaluations, figures):
    expanded = suites.expand(name, jaxret.Settings()).evaluations
    assert len(expanded) == evaluations
    assert sum(len(one.ranking) for one in expanded) == figures
    assert {one.dfs_rest for one in expanded} == {"none"}


def test_table2_whole_with_stand_ins_and_nothing_twice(base, passes):
    results = runs.run(base, suite="table2")
    # Both datasets have 36 photographs and four queries.
    assert len(passes) == len(set(passes)) == len(MEMBERS) * 2 * (36 + 4)
    found = cells(results)
    assert len(found) == 13 * 2 * 3 * 3
    assert all(ours is not None for ours, _ in found.values())
    assert results.notes[0].startswith("STAND-INS")
    assert not any("reused" in note for note in results.notes)
    del passes[:]
    again = runs.run(base, suite="table2")
    assert not passes
    assert any("reused" in note for note in again.notes)
    assert cells(again) == found


def assert_every_number_of_the_paper(results):
    """Beside ours in each cell, or beside why there is none; two cannot be read and say so."""
    found = {}
    for table in tables(results):
        for cell in table.cells():
            found[table.number, cell.address] = cell
    checked = 0
    for number in (1, 2, 3):
        for row in paper.rows(number):
            dim = row.get("dim", "512")
            address = Address(
                row["model"],
                row["dataset"],
                dim if dim == "true" else int(dim),
                row.get("ranking", "G"),
                row.get("protocol", "classic"),
                row.get("metric", "map"),
            )
            cell = found[number, address]
            assert cell.paper == float(row["map"] if "map" in row else row["value"])
            assert (cell.ours is None) == bool(cell.gap)
            checked += 1
    assert checked == 712
    unreadable = {address for (_, address), cell in found.items() if cell.unreadable}
    assert {(a.dataset, a.model) for a in unreadable} == {
        ("paris6k", "resnet50"),
        ("instre", "resnet50"),
    }


@pytest.mark.slow
def test_the_whole_paper_with_stand_ins_and_nothing_twice(base, passes):
    results = runs.run(base, suite="paper")
    # Queries and database of five datasets; the revisited ones ask the classic ones' queries.
    assert len(passes) == len(MEMBERS) * (44 + 44 + 40 + 36 + 36)
    found = cells(results)
    for (number, address), (ours, gap) in found.items():
        too_large = number == 3 and address.dim != "true" and address.dim > 32
        assert (ours is None) == too_large, (number, address, gap)
        if too_large:
            assert f"{address.dim} PCA dimensions cannot be learnt from" in gap
    assert len(found) == 13 * 3 * 8 + 13 * 2 * 9 + 7 * 3 * 8
    assert_every_number_of_the_paper(results)
    del passes[:]
    again = runs.run(base, suite="paper")
    assert not passes
    assert cells(again) == found


@pytest.mark.slow
def test_real_networks_and_recalibration_in_a_suite(base, monkeypatch):
    """ResNet-18 under the names of the study's models; ends like the single evaluations."""
    small = tuple(registry.resnet(name, depth=18, parameters=11_176_512) for name in MEMBERS)
    monkeypatch.setattr(rows, "ROWS", small)
    base = dataclasses.replace(base, bn_recalibration="ema")
    models = ["resnet50", "simclr2x", "resnet50+simclr2x"]
    results = runs.run(base, suite="table2", chosen={"model": models})
    assert len(results.figures) == 3 * 2 * 3
    alone = dataclasses.replace(
        base,
        model="resnet50+simclr2x",
        dataset="rparis6k",
        ranking=("G",),
        workdir=base.workdir + "-alone",
    )
    place = {"model": "resnet50+simclr2x", "dataset": "rparis6k"}
    figures = [figure["ap"] for figure in jaxret.run(alone).figures]
    assert figures == [figure["ap"] for figure in results.select(**place)]


@pytest.mark.slow
def test_real_ground_truth_at_full_size(shared_data, passes, tmp_path):
    """Table 2 over stand-ins for all photographs of rOxford5k."""
    manual = tmp_path / "manual"
    for name in ("oxford5k", "roxford5k"):
        source = shared_data / "gnd" / f"gnd_{name}.pkl"
        truth = ground_truth.read(source, name)
        stand_ins.make(truth, published.get(name).builder, manual)
        (manual / source.name).write_bytes(source.read_bytes())
    base = jaxret.Settings(
        weights="random",
        image_size=32,
        bn_recalibration="none",
        data_dir=str(tmp_path / "data"),
        manual_dir=str(manual),
        workdir=str(tmp_path / "workdir"),
    )
    models = ["resnet50", "gem-ap", "resnet50+gem-ap"]
    chosen = {"model": models, "dataset": ["roxford5k"], "pca_dim": [32]}
    results = runs.run(base, suite="table2", chosen=chosen)
    assert len(passes) == 2 * (4993 + 70)
    assert [figure["queries"] for figure in results.figures] == 3 * [68, 70, 70]


class Killed(Exception):  # noqa: N818 - not an error
    """Stands for a signal that ends the process."""


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


def test_one_eigendecomposition_serves_all_dimensions(base, passes, monkeypatch):
    from jaxret.whitened import PCAWhitening

    fitted = []
    plain = PCAWhitening.fit.__func__
    monkeypatch.setattr(
        PCAWhitening,
        "fit",
        classmethod(lambda cls, x, dim: fitted.append(dim) or plain(cls, x, dim)),
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


def test_a_dimension_too_large_says_why_and_the_sweep_goes_on(base, passes):
    sweep = [
        dataclasses.replace(base, model="resnet50", dataset="oxford5k", pca_dim=dim)
        for dim in (8, 40)
    ]
    results = jaxret.run(sweep, report=False)
    assert {figure["dim"] for figure in results.figures} == {8}
    assert any("40 PCA dimensions cannot be learnt from 40" in note for note in results.notes)
    with pytest.raises(UserError, match="40 PCA dimensions cannot be learnt"):
        jaxret.run(sweep[1])


def test_missing_weights_leave_gaps_that_say_how_to_get_them(base, passes, monkeypatch):
    plain, untrained = models.load, jaxret.members.models.random

    def load(name, weights_dir):
        return untrained(name, 0) if name == "simclr1x" else plain(name, weights_dir)

    monkeypatch.setattr("jaxret.members.models.load", load)
    settings = dataclasses.replace(base, weights="converted", weights_dir="/nowhere")
    told: list[str] = []
    results = runs.run(settings, suite="table2", tell=told.append)
    assert {figure["model"] for figure in results.figures} == {"simclr1x"}
    missing = [line for line in told if line.startswith("Missing: ")]
    assert len(missing) == 7  # each member once, though ensembles need them too
    assert any("tools/download.py resnet50" in line for line in missing)
    for (_, address), (ours, gap) in cells(results).items():
        if address.model != "simclr1x":
            assert ours is None
            assert "tools/convert.py --model=" in gap, address


def test_a_missing_benchmark_leaves_gaps_too(base, passes, tmp_path):
    (tmp_path / "manual").mkdir()
    stand_in = tmp_path / "manual" / "readme.txt"
    stand_in.write_text("no photographs here")
    settings = dataclasses.replace(
        base, manual_dir=str(tmp_path / "manual"), data_dir=str(tmp_path / "data")
    )
    told: list[str] = []
    with pytest.raises(UserError, match=r"Nothing of this can run:\n- .*tools/download\.py"):
        runs.run(settings, suite="table2", tell=told.append)
    assert not (tmp_path / "workdir").exists()


def test_dry_run_says_what_is_there_and_writes_nothing(base, passes, tmp_path, capsys):
    from jaxret import terminal

    work = terminal.Work((base,), "table2", {"model": ["resnet50", "gem-ap"]})
    terminal.run(work, download=False, dry_run=True)
    before = capsys.readouterr().out
    assert "40 of 40 photographs to describe" in before
    assert not (tmp_path / "workdir").exists()
    assert re.search(r"To do: about .* on this machine and .* of disk", before)
    terminal.run(work, download=False, dry_run=False)
    capsys.readouterr()
    terminal.run(work, download=False, dry_run=True)
    after = capsys.readouterr().out
    assert "to describe" not in after
    assert after.count("there") >= 8


@pytest.mark.parametrize(
    ("suite", "chosen", "sentence"),
    [
        ("table4", {}, "Unknown suite 'table4'. Nearest: table"),
        ("table2", {"dataset": ["demo"]}, "--dataset=demo is in no table of --suite=table2"),
        (
            "table1",
            {"model": ["resnet50+simclr3x"]},
            r"\+simclr3x: Unknown model 'simclr3x'",
        ),
    ],
)
def test_what_cannot_be_is_refused_in_a_sentence(base, passes, suite, chosen, sentence):
    with pytest.raises(UserError, match=sentence):
        runs.run(base, suite=suite, chosen=chosen)


def test_dry_run_counts_what_waits_for_photographs_too(base, passes, tmp_path, capsys):
    from jaxret import terminal

    elsewhere = dataclasses.replace(base, manual_dir=str(tmp_path), data_dir=str(tmp_path))
    work = terminal.Work((elsewhere,), "table2", {"model": ["resnet50"]})
    terminal.run(work, download=False, dry_run=True)
    told = capsys.readouterr().out
    assert told.count("Missing: ") == 2
    assert told.count("40 photographs to describe, once they can be  about ") == 2


def test_a_checkpoint_is_one_encoder():
    with pytest.raises(UserError, match="is one encoder"):
        jaxret.Settings(checkpoint="mine.pth", model="a+b")
    with pytest.raises(UserError, match="is one encoder, a suite is many"):
        suites.expand("table1", jaxret.Settings(checkpoint="mine.pth"))


def test_a_suite_may_be_cut_down_and_says_so(base, passes, tmp_path):
    results = runs.run(base, suite="table1", chosen={"dataset": ["instre"], "ranking": ["G"]})
    assert {figure["ranking"] for figure in results.figures} == {"G"}
    assert {figure["protocol"] for figure in results.figures} == {"classic"}
    reasons = {gap for ours, gap in cells(results).values() if ours is None}
    assert reasons == {"not asked for (--dataset)", "not asked for (--ranking)"}
    assert json.loads((tmp_path / "workdir" / "results.json").read_text())["suite"] == "table1"


def test_an_incomplete_benchmark_is_compared_with_nothing(base, passes, manual_dir, tmp_path):
    rest = tmp_path / "rest"
    shutil.copytree(manual_dir, rest)
    (rest / "new_000011.jpg").unlink()
    settings = dataclasses.replace(
        base,
        model="resnet50",
        dataset="roxford5k",
        manual_dir=str(rest),
        data_dir=str(tmp_path / "data"),
        allow_missing=True,
    )
    results = runs.run(settings, suite="table2", chosen={"dataset": ["roxford5k"]})
    assert {figure["dataset"] for figure in results.figures} == {"roxford5k (incomplete)"}
    assert all(note.startswith(("STAND-INS", "INCOMPLETE")) for note in results.notes[:2])
    for (_, address), (ours, gap) in cells(results).items():
        assert ours is None
        assert address.dataset == "rparis6k" or gap.startswith("INCOMPLETE: ")


def test_download_fetches_what_is_missing_once_and_then_runs(base, passes, monkeypatch, capsys):
    from jaxret import obtain, terminal

    fetched: list[str] = []
    untrained = jaxret.members.models.random

    def load(name, weights_dir):
        assert name in fetched
        return untrained(name, 0)

    def obtain_weights(name, folder, say):
        if name == "gem-ap":
            raise UserError("Google Drive says no.")
        fetched.append(name)

    monkeypatch.setattr(obtain, "obtain_weights", obtain_weights)
    monkeypatch.setattr(obtain, "obtain_dataset", lambda *arguments, **others: 1 / 0)
    monkeypatch.setattr("jaxret.members.models.load", load)
    settings = dataclasses.replace(base, weights="converted", weights_dir="/nowhere")
    members = ["resnet50", "resnet50+simclr2x"]
    work = terminal.Work((settings,), "table2", {"model": members})
    terminal.run(work, download=True, dry_run=False)
    assert fetched == ["resnet50", "simclr2x"]
    assert "Report: " in capsys.readouterr().out
    one = terminal.Work((dataclasses.replace(settings, model="gem-ap", dataset="roxford5k"),))
    with pytest.raises(UserError, match="Google Drive says no"):
        terminal.run(one, download=True, dry_run=False)
