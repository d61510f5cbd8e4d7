import numpy as np
import pytest

from jaxret.errors import UserError
from jaxret.ranking import inputs


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (np.nan, "Row 2 of the database descriptors holds NaN"),
        (np.inf, "Row 2 of the database descriptors holds NaN or inf"),
        (-np.inf, "Row 2"),
        (1e300, "Row 2"),
    ],
)
def test_names_the_row_that_is_not_finite(value, says):
    descriptors = np.ones((4, 3))
    descriptors[2, 1] = value
    with pytest.raises(UserError, match=says):
        inputs.as_descriptors(descriptors, "database")


def test_names_the_row_that_is_zero_in_any_block():
    descriptors = np.ones((70000, 2), np.float32)
    descriptors[69999] = 0
    with pytest.raises(UserError, match="Row 69999 of the query descriptors is zero"):
        inputs.as_descriptors(descriptors, "query")


def test_does_not_copy_what_is_right_already():
    descriptors = np.ones((4, 3), np.float32)
    assert inputs.as_descriptors(descriptors, "database") is descriptors


def test_normalises_and_says_so(caplog):
    descriptors = np.random.default_rng(0).normal(size=(5, 7))
    with caplog.at_level("WARNING"):
        unit = inputs.unit_rows(descriptors, "database")
    np.testing.assert_allclose(np.linalg.norm(unit, axis=1), 1, rtol=1e-6)
    assert "database descriptors are not L2-normalised" in caplog.text


def test_is_silent_about_what_half_precision_explains(caplog):
    descriptors = np.random.default_rng(0).normal(size=(50, 64))
    descriptors /= np.linalg.norm(descriptors, axis=1, keepdims=True)
    with caplog.at_level("WARNING"):
        unit = inputs.unit_rows(descriptors.astype(np.float16), "database")
    np.testing.assert_allclose(np.linalg.norm(unit, axis=1), 1, rtol=1e-6)
    assert not caplog.text


def test_normalises_in_place_as_beside(caplog, monkeypatch):
    monkeypatch.setattr(inputs, "BLOCK", 4)
    rows = np.random.default_rng(0).normal(size=(11, 7)).astype(np.float32)
    rows[5] /= np.linalg.norm(rows[5])
    beside = inputs.unit_rows(rows, "database")
    caplog.clear()
    inputs.unit_in_place(rows, "database")
    np.testing.assert_array_equal(rows, beside)
    assert "database descriptors are not L2-normalised" in caplog.text
    with pytest.raises(UserError, match="Row 0 of the query descriptors is zero"):
        inputs.unit_in_place(np.zeros((1, 7), np.float32), "query", 7)
