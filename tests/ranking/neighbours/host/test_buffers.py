import threading

import numpy as np

from jaxret.ranking.neighbours.host.buffers import ALIGNED, Buffers


def test_memory_is_kept_aligned_and_a_thread_has_its_own():
    buffers = Buffers()
    large = buffers.array("a", (7, 5), np.float32)
    small = buffers.array("a", (3, 4), np.uint16)
    assert np.shares_memory(large, small)
    assert not np.shares_memory(large, buffers.array("b", (7, 5), np.float32))
    assert large.ctypes.data % ALIGNED == 0
    elsewhere = []
    thread = threading.Thread(
        target=lambda: elsewhere.append(buffers.array("a", (7, 5), np.float32))
    )
    thread.start()
    thread.join()
    assert not np.shares_memory(large, elsewhere[0])


def test_rows_come_in_the_order_of_their_ids():
    database = np.random.default_rng(0).normal(size=(30, 3)).astype(np.float32)
    ids = np.array([4, 29, 4, 0, 17, 3, 8], np.int32)
    buffers, found = Buffers(), np.empty((7, 3), np.float32)
    for part, rows in buffers.rows(database, ids, 3):
        found[part] = rows
    np.testing.assert_array_equal(found, database[ids])
    assert list(buffers.rows(database, ids[:0], 3)) == []
