"""The curve of mAP over bytes a photograph: its figures, its intervals, its places."""

import numpy as np
import pytest
from scipy import stats

from jaxret.report import stores
from jaxret.report.page import html
from jaxret.report.results import Results


@pytest.fixture
def kept(make_results, make_figure):
    """Four ways to keep one encoder's descriptors, and another encoder's, whole."""
    ways = {"pq8": (8, 0, 0.60), "float32": (128, 0, 0.80), "float16": (64, 0, 0.79)}
    figures = []
    for store, (size, rescored, value) in ways.items():
        mark = "" if store == "float32" else f" ({store})"
        one = make_figure(f"net{mark}", "demo", "G", "medium", value)
        figures.append({**one, "store": store, "store_rescored": rescored, "bytes": size})
    again = make_figure("net (pq8, first 9 exact)", "demo", "G", "medium", 0.7)
    figures.append({**again, "store": "pq8", "store_rescored": 9, "bytes": 8})
    other = make_figure("other", "demo", "G", "medium", 0.5)
    figures.append({**other, "store": "float32", "store_rescored": 0, "bytes": 128})
    return make_results(figures=figures)


def test_a_curve_for_each_encoder_kept_in_several_ways(kept):
    [curve] = stores.store_curves(kept)
    assert (curve.encoder, curve.dataset, curve.protocol) == ("net", "demo", "medium")
    assert curve.title == "net on demo, medium"
    assert [(one.size, one.name) for one in curve.points] == [
        *((8, "pq8"), (8, "pq8, first 9 exact")),
        *((64, "float16"), (128, "float32")),
    ]


def test_intervals_are_those_of_scipys_bootstrap(kept):
    [curve] = stores.store_curves(kept)
    ap = {figure["model"]: np.array(figure["ap"]) for figure in kept.figures}
    first, _, _, whole = curve.points
    assert whole.loss is None and first.loss is not None
    for interval, values in (
        (first.map, ap["net (pq8)"]),
        (first.loss, ap["net (pq8)"] - ap["net"]),
    ):
        theirs = stats.bootstrap(
            (values,), np.mean, method="percentile", rng=np.random.default_rng(1)
        ).confidence_interval
        assert interval.value == pytest.approx(values.mean())
        np.testing.assert_allclose([interval.low, interval.high], theirs, atol=0.01)


def test_stands_in_the_page_and_in_the_text(kept):
    text = stores.markdown(kept)
    assert "| pq8, first 9 exact | 8 |" in text and text.count("\n| ") == 5
    page = html.page(kept)
    assert 'id="stores"' in page and "bytes a photograph" in page
    assert 'id="stores"' not in html.page(Results())
    assert stores.markdown(Results()) == ""


def test_one_way_or_figures_of_before_are_no_curve(results, kept):
    assert stores.store_curves(results) == []
    kept.figures = kept.figures[:1]
    assert stores.store_curves(kept) == []
