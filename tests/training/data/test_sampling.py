"""Batches as a function of seed and step."""

from collections import Counter

import numpy as np
import pytest

from jaxret.training.data.labelled_photographs import NO_INSTANCE
from jaxret.training.data.sampling import grouped, labels, shuffled


def test_every_photograph_once_an_epoch():
    sampler = shuffled(23, 5, seed=1)
    assert sampler.batches_an_epoch == 4
    seen = [sampler.batch(step) for step in range(8)]
    assert [epoch for epoch, _ in seen] == [0] * 4 + [1] * 4
    for part in (seen[:4], seen[4:]):
        positions = np.concatenate([batch for _, batch in part])
        assert len(set(positions.tolist())) == 20
    assert not np.array_equal(seen[0][1], seen[4][1])


def test_a_batch_depends_on_seed_and_step_alone():
    sampler, other = shuffled(23, 5, seed=1), shuffled(23, 5, seed=1)
    order = [7, 0, 3, 100, 2]
    assert all(np.array_equal(sampler.batch(s)[1], other.batch(s)[1]) for s in order)
    assert not np.array_equal(sampler.batch(0)[1], shuffled(23, 5, seed=2).batch(0)[1])


@pytest.mark.parametrize("group", [2, 3, 4])
def test_groups_show_one_instance(group):
    instance = np.array([0] * 9 + [1] * 2 + [2] * 4 + [NO_INSTANCE] * 7, np.int32)
    batch_size = 2 * group
    sampler = grouped(instance, group, batch_size, seed=0)
    counts = Counter()
    for step in range(sampler.batches_an_epoch):
        _, positions = sampler.batch(step)
        shown = instance[positions].reshape(-1, group)
        assert (shown == shown[:, :1]).all()
        counts.update(positions.tolist())
        nobody = positions[instance[positions] == NO_INSTANCE]
        assert len(set(nobody.tolist())) == len(nobody)  # nothing is a negative of itself
    assert sampler.length == group * (9 // group + max(2 // group, 1) + 4 // group + 7 // group)


def test_photographs_of_no_instance_are_alone():
    instance = np.array([3, 3, NO_INSTANCE, NO_INSTANCE], np.int32)
    found = labels(instance, np.array([0, 2, 3, 1]))
    assert found[0] == found[3] == 3
    assert len({*found.tolist()}) == 3
