"""The examples of docs/extending.md do what the page says."""

import importlib
import re
from pathlib import Path

import pytest

import jaxret
from jaxret import data, defaults, models
from jaxret.models import rows
from jaxret.models.encoder import count_parameters, template

PAGE = Path(__file__).parents[1] / "docs" / "extending.md"
BLOCK = re.compile(r"```python\n# (file|row): (\S+)\n(.*?)```", re.DOTALL)


@pytest.fixture
def extended(tmp_path, monkeypatch):
    """The package with the rows of the page, whose files can be imported."""
    homes = {
        "jaxret/models/rows/__init__.py": rows,
        "jaxret/data/__init__.py": data,
        "jaxret/defaults.py": defaults,
    }
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(rows, "ROWS", rows.ROWS)
    monkeypatch.setattr(data, "LOADERS", dict(data.LOADERS))
    monkeypatch.setattr(defaults, "OTHER_RANKINGS", {})
    blocks = BLOCK.findall(PAGE.read_text())
    assert sorted(kind for kind, _, _ in blocks) == ["file", "file", *["row"] * 4]
    for kind, name, code in sorted(blocks):  # files first
        if kind == "file":
            (tmp_path / name).write_text(code)
        else:
            place = {**vars(homes[name]), "importlib": importlib}
            exec(compile(code, name, "exec"), place)
            monkeypatch.setattr(rows, "ROWS", place.get("ROWS", rows.ROWS))
    return tmp_path


@pytest.mark.slow
def test_the_pages_model_dataset_and_ranking_run_together(extended):
    assert models.get("my-resnet").parameters == 11_176_512
    vit = models.get("my-vit")
    assert count_parameters(template(vit)["params"]) == vit.parameters
    results = jaxret.run(
        jaxret.Settings(
            model="my-resnet",
            weights="random",
            dataset="squares",
            data_dir=str(extended / "data"),
            workdir=str(extended / "work"),
            image_size=64,
            pca_dim="true",
            ranking=("G", "G+AQE+AQE"),
            aqe_n=1,
        )
    )
    figures = {f["ranking"]: f["map"] for f in results.figures}
    assert figures == {"G": 1.0, "G+AQE+AQE": 1.0}
    assert "G+AQE+AQE" in (extended / "work" / "report.html").read_text()


def test_without_the_rows_none_of_them_is_known():
    with pytest.raises(jaxret.UserError, match="AQE stands twice; the order is G, DBA"):
        jaxret.Settings(ranking=("G+AQE+AQE",))
    with pytest.raises(jaxret.UserError, match="Unknown model 'my-resnet'"):
        models.get("my-resnet")
