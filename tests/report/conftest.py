"""Small results made up for the tests of the report: no encoder runs here."""

import csv
import zlib
from pathlib import Path

import numpy as np
import pytest

import jaxret.report.paper
from jaxret.report.results import Results

RANKINGS = (
    *("G", "G+AQE", "G+DBA", "G+DBA+AQE", "G+DFS"),
    *("G+AQE+DFS", "G+DBA+DFS", "G+DBA+AQE+DFS"),
)


def _figure(model, dataset, ranking, protocol, value, dim=32, queries=12):
    """A figure whose mAP is `value`, with APs spread around it."""
    rng = np.random.default_rng(zlib.crc32(f"{model}{dataset}{ranking}{protocol}".encode()))
    ap = np.clip(value + 0.2 * rng.standard_normal(queries), 0, 1).tolist()
    figure = dict(model=model, dataset=dataset, dim=dim, ranking=ranking, protocol=protocol)
    figure |= {"map": value, "mp@1": min(1, value + 0.05), "mp@5": value, "mp@10": 0.9 * value}
    isolated = 2 if ranking == "G+DBA+DFS" else 0 if "DFS" in ranking else None
    return figure | {"ap": ap, "queries": queries, "isolated_queries": isolated}


@pytest.fixture
def make_figure():
    return _figure


@pytest.fixture
def make_results():
    """Results whose figures fall with the model and the protocol, and rise with the ranking."""

    def make(models=("efficientnet-lite0",), datasets=("demo",), protocols=None, **more):
        protocols = protocols or ("easy", "medium", "hard")
        values = {
            "settings": {"model": ",".join(models), "image_size": 448, "ranking": list(RANKINGS)},
            "models": [
                {"name": m, "parameters": 4652008, "source": "https://example.org/w.pth"}
                | {"sha256": "ab" * 32, "licence": "Apache-2.0", "digest": "cd" * 32}
                for m in models
            ],
            "datasets": [
                {"name": d, "version": "1.0.0", "database": 167, "queries": 12}
                | {"skipped": [], "notes": ["Made at first use."]}
                | {"query_names": [f"{d}/{number}.jpg" for number in range(12)]}
                for d in datasets
            ],
            "figures": [
                _figure(m, d, r, p, 0.9 - 0.1 * j + 0.01 * i - 0.03 * k)
                for k, m in enumerate(models)
                for d in datasets
                for i, r in enumerate(RANKINGS)
                for j, p in enumerate(protocols)
            ],
            "timings": {"features": 61.5, "ranking": 2.25},
            "environment": {"jaxret": "0.1.0", "jax": "0.10.2", "date": "2026-01-02"},
            "notes": ["Features were reused."],
        }
        return Results(**(values | more))

    return make


@pytest.fixture
def results(make_results):
    return make_results()


@pytest.fixture
def hostile():
    """A name that breaks every format which does not escape it."""
    return "a|b <script>alert('x')</script> & \"q\" $x^{ \\n_%#~\nnew\t`line` {y} é ]]> -->"


@pytest.fixture
def paper_cells():
    """Every number of the paper by (table, dataset, model, column), read without jaxret."""
    folder = Path(jaxret.report.paper.__file__).parent
    cells = {}
    for table in (1, 2, 3):
        with open(folder / f"table{table}.csv", newline="") as file:
            for dataset, model, *column, value in list(csv.reader(file))[1:]:
                cells[table, dataset, model, *column] = value
    return cells


@pytest.fixture
def paper_results(paper_cells, make_figure):
    """A suite in which ours are the paper's plus one point."""
    figures = {}
    for (table, dataset, model, *column), value in paper_cells.items():
        ranking = column[0] if table == 1 else "G"
        protocol, metric = column if table == 2 else ("classic", "map")
        dim = 512 if table != 3 else column[0] if column[0] == "true" else int(column[0])
        place = (model, dataset, ranking, protocol)
        if (*place, dim) not in figures:
            figures[*place, dim] = make_figure(*place, 0.5, dim) | dict.fromkeys(
                ("map", "mp@1", "mp@5", "mp@10")
            )
        figures[*place, dim][metric] = (float(value) + 1) / 100
    return Results(suite="paper", figures=list(figures.values()))
