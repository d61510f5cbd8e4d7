"""An encoder of one's own in the paper's tables, alone and in an ensemble with the study's."""

import dataclasses

import pytest
from suite_cells import cells

from jaxret import models
from jaxret.models import rows
from jaxret.models.rows.resnet import resnet
from jaxret.models.weights import saving
from jaxret.runs import run as runs


@pytest.fixture
def small(monkeypatch):
    """The first stage of a ResNet-18 under the name of the study's ResNet-50."""
    spec = resnet("resnet50", depth=18, parameters=157_504).with_arguments(stages=1)
    spec = dataclasses.replace(spec, tap="layer1", channels=64)
    monkeypatch.setattr(rows, "ROWS", (spec,))
    return spec


@pytest.mark.slow
def test_rows_of_a_table_of_the_paper(base, small, tmp_path):
    weights, run = tmp_path / "weights", tmp_path / "run"
    saving.save(models.random(small, 0), weights / "resnet50", "published.pth", "")
    saving.save(models.random(small, 1), run / "encoder", "learnt in 3 steps", "")
    base = dataclasses.replace(
        base, weights="converted", weights_dir=str(weights), checkpoint=f"mine={run}"
    )
    chosen = {"model": ["mine", "resnet50+mine"], "ranking": ["G"]}
    results = runs.run(base, suite="table1", chosen=chosen)
    assert len(results.figures) == 2 * 3
    found = {
        address.model: (ours, gap)
        for (_, address), (ours, gap) in cells(results).items()
        if (address.dataset, address.ranking) == ("oxford5k", "G")
    }
    assert found["mine"][0] is not None and found["resnet50+mine"][0] is not None
    assert found["resnet50"] == (None, "not asked for (--model)")
    assert {row["name"]: row["source"] for row in results.models} == {
        "mine": "learnt in 3 steps",
        "resnet50": "",
    }
    assert (tmp_path / "workdir" / "report.html").exists()
