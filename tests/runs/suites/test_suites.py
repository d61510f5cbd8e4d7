"""The paper's suites whole, at small scale: stand-ins for every model and every dataset."""

import dataclasses
from pathlib import Path

import pytest
from suite_cells import MEMBERS, cells

import jaxret
from jaxret.data.benchmarks import registry as benchmarks
from jaxret.data.benchmarks import stand_ins
from jaxret.data.ground_truth import files
from jaxret.models import rows
from jaxret.models.rows.resnet import resnet
from jaxret.report import paper
from jaxret.report.page.html import PAGE_LIMIT
from jaxret.report.tables.cells import Address
from jaxret.report.tables.layouts import tables
from jaxret.runs import paper_suites
from jaxret.runs import run as runs


def test_every_model_and_dataset_of_the_tables_is_in_the_registry():
    for suite in paper_suites.SUITES.values():
        for part in suite.parts:
            assert set(part.datasets) <= set(jaxret.data.names())
            for model in part.models:
                assert all(jaxret.models.get(member) for member in model.split("+"))


@pytest.mark.parametrize(
    ("name", "evaluations", "figures"),
    [("table1", 39, 312), ("table2", 26, 26), ("table3", 168, 168), ("paper", 233, 506)],
)
def test_a_suite_is_as_large_as_the_printed_table(name, evaluations, figures):
    expanded = paper_suites.expand(name, jaxret.Settings()).evaluations
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
    assert (Path(base.workdir) / "report.html").stat().st_size < PAGE_LIMIT
    del passes[:]
    again = runs.run(base, suite="paper")
    assert not passes
    assert cells(again) == found


@pytest.mark.slow
def test_real_networks_and_recalibration_in_a_suite(base, monkeypatch):
    """ResNet-18 under the names of the study's models; ends like the single evaluations."""
    small = tuple(resnet(name, depth=18, parameters=11_176_512) for name in MEMBERS)
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
        truth = files.read(source, name)
        stand_ins.make(truth, benchmarks.get(name).builder, manual)
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
