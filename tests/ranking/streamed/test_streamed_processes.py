"""Two processes share the shards and find what one finds; an error of one is said by both."""

import subprocess
import sys

import numpy as np
import pytest
from rows import clustered
from two_processes import run_both

import jaxret
from jaxret.functional.settings import RankingSettings
from jaxret.ranking.streamed.search import rank_streamed

SCRIPT = """
import sys
import numpy as np
from rows import clustered
from jaxret.errors import UserError
from jaxret.functional.settings import RankingSettings
from jaxret.ranking.placement import rank_on
from jaxret.ranking.streamed.search import knn_streamed, rank_streamed
from jaxret.runtime import parallel

port, process, folder, place, output = sys.argv[1:]
parallel.start(f"localhost:{port}", 2, int(process))
queries = clustered(9, 24, seed=5)
settings = RankingSettings(aqe_n=6, block_size=700)
with rank_on(place):
    ranked = rank_streamed(queries, folder, settings=settings, k=80)
    try:
        knn_streamed(queries, folder + "/spoilt", 5)
    except UserError as error:
        said = str(error)
np.savez(output, said=said, **{name: one.ids for name, one in ranked.items()})
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Four shards; and, in a folder of its own, one whose last row is NaN."""
    folder = tmp_path_factory.mktemp("shards")
    rows = clustered(5000, 24).astype(np.float16)
    rows[3000:3300] = rows[7]
    for number, part in enumerate(np.split(rows, [900, 901, 4000])):
        np.save(folder / f"{number}.npy", part)
    (folder / "spoilt").mkdir()
    rows[-1] = np.nan
    np.save(folder / "spoilt" / "0.npy", rows)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("place", ["host", "device"])
def test_two_processes_find_the_same(folder, tmp_path, place):
    outputs = run_both(SCRIPT, tmp_path, str(folder), place, timeout=300)
    queries = clustered(9, 24, seed=5)
    expected = rank_streamed(queries, folder, settings=RankingSettings(aqe_n=6), k=80)
    for output in outputs:
        found = np.load(output)
        for name, one in expected.items():
            np.testing.assert_array_equal(found[name], one.ids, err_msg=name)
        assert "Row 4999 of" in str(found["said"])


@pytest.mark.slow
def test_memory_stays_that_of_a_block(tmp_path):
    """A database of 400 MiB passes in less than 100 MiB beyond what a small one takes."""
    script = """
import sys
import numpy as np
import jaxret
jaxret.knn_streamed(np.eye(64, 512, dtype=np.float32), sys.argv[1], 50, block_size=8192)
print([line for line in open("/proc/self/status") if line.startswith("VmHWM")][0].split()[1])
"""
    part = np.random.default_rng(0).standard_normal((20_000, 512)).astype(np.float16)
    for number in range(20):
        np.save(tmp_path / f"{number:02d}.npy", part)

    def peak(pattern):
        command = [sys.executable, "-c", script, str(tmp_path / pattern)]
        return int(subprocess.run(command, check=True, capture_output=True).stdout) / 1024

    assert peak("*.npy") < peak("00.npy") + 100
    assert jaxret.Shards.of(tmp_path).starts[-1] == 380_000
