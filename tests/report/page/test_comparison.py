"""Two models on the same queries."""

import numpy as np
import pytest

from jaxret.report.page.comparison import compare_models, comparisons


def test_two_models_are_compared_in_the_order_they_were_named(make_results):
    results = make_results(("one", "two"))
    (facts,) = compare_models(results)
    assert (facts["model_a"], facts["model_b"]) == ("one", "two")
    assert (facts["protocol"], facts["ranking"]) == ("medium", "G")
    one, two = (figure["ap"] for figure in results.select(protocol="medium", ranking="G"))
    assert facts["difference"] == pytest.approx(np.mean(two) - np.mean(one))
    assert facts["low"] <= facts["difference"] <= facts["high"]


def test_of_many_models_the_two_best_are_compared(make_results):
    (facts,) = compare_models(make_results(("best", "good", "fair", "poor")))
    assert (facts["model_a"], facts["model_b"]) == ("good", "best")


def test_one_model_or_other_queries_make_no_comparison(make_results):
    assert compare_models(make_results()) == []
    results = make_results(("one", "two"))
    for figure in results.select(model="two"):
        figure["ap"] = figure["ap"][:-1]
    assert compare_models(results) == []


def test_queries_are_counted_by_who_is_ahead(make_results):
    results = make_results(("one", "two"))
    for model, ap in (("one", [0.1, 0.5, 0.5, None]), ("two", [0.2, 0.5, 0.4, None])):
        for figure in results.select(model=model):
            figure["ap"] = ap
    results.comparisons = compare_models(results)
    (drawn,) = comparisons(results)
    assert (drawn.better_a, drawn.better_b, drawn.level) == (1, 1, 1)
    assert drawn.facts["queries"] == 3
