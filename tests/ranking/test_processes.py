"""Devices of several processes rank together, and find what one device finds."""

import numpy as np
import pytest
from rows import unit
from two_processes import run_both

from jaxret.defaults import RANKINGS
from jaxret.functional.settings import DiffusionSettings, RankingSettings
from jaxret.ranking.placement import rank_on
from jaxret.ranking.rankings import rank_all

SCRIPT = """
import sys
import numpy as np
from rows import unit
from jaxret.functional.settings import DiffusionSettings, RankingSettings
from jaxret.ranking.placement import rank_on
from jaxret.ranking.rankings import rank_all
from jaxret.runtime import parallel

port, process, output = sys.argv[1:]
parallel.start(f"localhost:{port}", 2, int(process))
settings = RankingSettings(diffusion=DiffusionSettings(40, 9))
with rank_on("device", parallel.global_mesh()):
    ranked = rank_all(unit(7), unit(131, seed=1), settings=settings)
np.savez(output, **{name: one.ids for name, one in ranked.items()})
"""


@pytest.mark.slow
def test_two_processes_of_two_devices_find_the_same(tmp_path):
    outputs = run_both(SCRIPT, tmp_path, timeout=500)
    settings = RankingSettings(diffusion=DiffusionSettings(40, 9))
    with rank_on("device"):
        expected = rank_all(unit(7), unit(131, seed=1), settings=settings)
    for output in outputs:
        found = np.load(output)
        for name in RANKINGS:
            np.testing.assert_array_equal(found[name], expected[name].ids, err_msg=name)
