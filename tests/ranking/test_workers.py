import threading
import time

import numpy as np
import pytest

from jaxret.ranking.scratch import ALIGNED, Scratch
from jaxret.ranking.workers import in_threads


def test_every_item_is_done_once():
    done = np.zeros(1000, int)

    def work(item):
        done[item] += 1

    in_threads(work, range(1000))
    assert (done == 1).all()


def test_the_first_error_ends_it_and_the_threads_work_on():
    begun = []

    def work(item):
        begun.append(item)
        if item == 3:
            raise ValueError("item 3")
        time.sleep(0.005)

    with pytest.raises(ValueError, match="item 3"):
        in_threads(work, range(400))
    assert len(begun) < 400
    count = len(begun)
    in_threads(lambda item: None, range(10))
    assert len(begun) == count  # nothing of the failed work goes on


def test_scratch_is_kept_aligned_and_a_thread_has_its_own():
    scratch = Scratch()
    large = scratch.array("a", (7, 5), np.float32)
    small = scratch.array("a", (3, 4), np.uint16)
    assert np.shares_memory(large, small)
    assert not np.shares_memory(large, scratch.array("b", (7, 5), np.float32))
    assert large.ctypes.data % ALIGNED == 0
    elsewhere = []
    thread = threading.Thread(
        target=lambda: elsewhere.append(scratch.array("a", (7, 5), np.float32))
    )
    thread.start()
    thread.join()
    assert not np.shares_memory(large, elsewhere[0])
