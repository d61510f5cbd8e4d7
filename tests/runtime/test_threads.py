import os
import subprocess
import sys
import time

import numpy as np
import pytest

from jaxret.runtime.threads import in_threads


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


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_forked_process_has_threads_of_its_own():
    script = (
        "import os\n"
        "from jaxret.runtime.threads import in_threads\n"
        "in_threads(lambda item: None, range(4))\n"
        "if os.fork() == 0:\n"
        "    in_threads(lambda item: None, range(4))\n"
        "    os._exit(7)\n"
        "raise SystemExit(os.waitstatus_to_exitcode(os.wait()[1]))\n"
    )
    assert subprocess.run([sys.executable, "-c", script], timeout=60).returncode == 7
