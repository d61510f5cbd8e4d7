"""The eight rankings by the host's path, in a process that has no accelerator.

JAX_PLATFORMS=cpu python host_rankings.py GIVEN.npz FOUND.npz TRUNCATION
"""

import sys
import time
from typing import Any

import numpy as np

from jaxret.defaults import RANKINGS
from jaxret.functional.settings import DiffusionSettings, RankingSettings
from jaxret.ranking.placement import rank_on
from jaxret.ranking.rankings import rank_all

QUICK = 30.0  # seconds, beside which compilation does not count

if __name__ == "__main__":
    given, found, truncation = sys.argv[1:]
    settings = RankingSettings(diffusion=DiffusionSettings(truncation=int(truncation)))
    with np.load(given) as arrays:
        queries, database = arrays["queries"], arrays["database"]
    seconds = QUICK
    for _ in range(2):  # the second one compiles nothing, if there is time for it
        if seconds <= QUICK:
            start = time.perf_counter()
            with rank_on("host"):
                ranked = rank_all(queries, database, RANKINGS, settings)
            seconds = time.perf_counter() - start
    ids: dict[str, Any] = {name: ranked[name].ids for name in RANKINGS}
    np.savez(found, seconds=seconds, **ids)
