"""Bootstrap intervals against scipy and against the normal approximation."""

import numpy as np
import pytest
import scipy.stats

from jaxret.errors import UserError
from jaxret.evaluation.bootstrap import difference_interval, map_interval


def two_systems(queries, seed=0):
    """Average precisions of two systems that find the same queries hard."""
    rng = np.random.default_rng(seed)
    common = rng.beta(0.7, 0.9, queries)
    return np.clip(common + rng.normal(0.03, 0.06, (2, queries)), 0, 1)


def test_difference_equals_scipy_paired_percentile():
    ours, theirs = two_systems(70)
    ours = ours + 0.02
    expected = scipy.stats.bootstrap(
        (ours, theirs),
        lambda a, b, axis: a.mean(axis=axis) - b.mean(axis=axis),
        paired=True,
        vectorized=True,
        method="percentile",
        n_resamples=20_000,
        random_state=np.random.default_rng(1),
    )
    interval = difference_interval(ours, theirs, resamples=20_000)
    spread = expected.standard_error
    # The limits are themselves drawn: their own standard error is about 0.02 of the spread.
    assert interval.low == pytest.approx(expected.confidence_interval.low, abs=0.1 * spread)
    assert interval.high == pytest.approx(expected.confidence_interval.high, abs=0.1 * spread)
    assert interval.value == pytest.approx(ours.mean() - theirs.mean())


@pytest.mark.parametrize("confidence", [0.5, 0.9, 0.99])
def test_many_queries_give_the_normal_interval(confidence):
    ap = np.random.default_rng(2).uniform(0, 1, 2000)
    interval = map_interval(ap, confidence=confidence)
    half = scipy.stats.norm.ppf((1 + confidence) / 2) * ap.std() / np.sqrt(2000)
    assert interval.high - interval.value == pytest.approx(half, rel=0.06)
    assert interval.value - interval.low == pytest.approx(half, rel=0.06)


def test_pairing_tells_systems_apart_that_their_own_intervals_do_not():
    theirs, _ = two_systems(70)
    ours = theirs + 0.01
    assert map_interval(ours).low < theirs.mean()
    paired = difference_interval(ours, theirs)
    assert paired.excludes_zero
    np.testing.assert_allclose([paired.value, paired.low, paired.high], 0.01, atol=1e-12)


def test_the_interval_covers_the_truth_as_often_as_it_says():
    rng = np.random.default_rng(3)
    covered = 0
    for seed in range(200):
        interval = map_interval(rng.beta(2, 3, 60), resamples=1000, seed=seed)
        covered += interval.low <= 2 / 5 <= interval.high
    assert 0.89 <= covered / 200 <= 0.99


def test_queries_without_positives_are_left_out():
    ap = [0.5, None, 0.7, float("nan"), 0.1]
    interval = map_interval(ap)
    assert (interval.queries, interval.value) == (3, pytest.approx(1.3 / 3))
    assert interval == map_interval([0.5, 0.7, 0.1])
    assert difference_interval(ap, ap).low == 0


def test_it_is_seeded():
    ours, theirs = two_systems(55)
    assert difference_interval(ours, theirs) == difference_interval(ours, theirs)
    assert difference_interval(ours, theirs) != difference_interval(ours, theirs, seed=1)
    # More than one block of draws, the last one partial.
    assert map_interval(ours, resamples=1500).low <= map_interval(ours, resamples=1500).high


def test_what_cannot_be_resampled_is_refused():
    with pytest.raises(UserError, match="same queries"):
        difference_interval([0.1, 0.2], [0.1, 0.2, 0.3])
    with pytest.raises(UserError, match="same queries"):
        difference_interval([0.1, None], [0.1, 0.2])
    with pytest.raises(UserError, match="No query has positives"):
        map_interval([None, None])
    with pytest.raises(UserError, match=r"got 1\.0"):
        map_interval([0.1, 0.2], confidence=1.0)
    with pytest.raises(UserError, match="shape"):
        map_interval([[0.1, 0.2]])
