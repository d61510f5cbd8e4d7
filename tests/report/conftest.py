"""Small results made up for the tests of the report: no encoder runs here."""

import numpy as np
import pytest

from jaxret.report.results import Results

RANKINGS = (
    *("G", "G+AQE", "G+DBA", "G+DBA+AQE", "G+DFS"),
    *("G+AQE+DFS", "G+DBA+DFS", "G+DBA+AQE+DFS"),
)
HOSTILE = "a|b <script>alert('x')</script> & \"q\" $x^{ \\n_%#~\nnew `line` {y} é"


def make_figure(model, dataset, ranking, protocol, value, dim=32, queries=12):
    """A figure whose mAP is `value`, with APs spread around it."""
    rng = np.random.default_rng(abs(hash((model, ranking, protocol))) % 2**32)
    ap = np.clip(value + 0.2 * rng.standard_normal(queries), 0, 1).tolist()
    figure = dict(model=model, dataset=dataset, dim=dim, ranking=ranking, protocol=protocol)
    figure |= {"map": value, "mp@1": min(1, value + 0.05), "mp@5": value, "mp@10": 0.9 * value}
    isolated = 2 if ranking == "G+DBA+DFS" else 0 if "DFS" in ranking else None
    return figure | {"ap": ap, "queries": queries, "isolated_queries": isolated}


def make_results(models=("efficientnet-lite0",), datasets=("demo",), protocols=None, **more):
    protocols = protocols or ("easy", "medium", "hard")
    figures = [
        make_figure(m, d, r, p, 0.9 - 0.1 * j + 0.01 * i - 0.03 * k)
        for k, m in enumerate(models)
        for d in datasets
        for i, r in enumerate(RANKINGS)
        for j, p in enumerate(protocols)
    ]
    return Results(
        settings={"model": ",".join(models), "image_size": 448, "ranking": list(RANKINGS)},
        models=[
            {"name": m, "parameters": 4652008, "source": "https://example.org/w.pth"}
            | {"sha256": "ab" * 32, "licence": "Apache-2.0", "digest": "cd" * 32}
            for m in models
        ],
        datasets=[
            {"name": d, "version": "1.0.0", "database": 167, "queries": 12}
            | {"skipped": [], "notes": ["Made at first use."]}
            for d in datasets
        ],
        figures=figures,
        timings={"features": 61.5, "ranking": 2.25},
        environment={"jaxret": "0.1.0", "jax": "0.10.2", "devices": "1 cpu", "date": "2026-01-02"},
        notes=["Features were reused."],
        **more,
    )


@pytest.fixture
def results():
    return make_results()
