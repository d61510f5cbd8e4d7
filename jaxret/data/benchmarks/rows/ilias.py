"""ILIAS: instance-level retrieval at scale."""

from jaxret.data.benchmarks.row import Benchmark, Source

BASE = "https://vrg.fel.cvut.cz/ilias_data"
_CORE = Source("ilias_core.tar", f"{BASE}/ilias_core.tar", digests=f"{BASE}/checksums.txt")
MINI_IDS = Source("mini_ilias_yfcc100m_ids.txt", f"{BASE}/image_ids/mini_ilias_yfcc100m_ids.txt")
MINI_DISTRACTORS = 5_000_000  # "5 M" as published, of YFCC100M
_LICENCE = (
    "the makers' photographs CC BY 4.0, those from the web as their own pages say; YFCC100M "
    "Creative Commons by name"
)

ROWS = (
    Benchmark(
        name="ilias-core",
        builder="ilias",
        config="core",
        database=4715,
        queries=1232,
        photographs=5947,
        kind="classic",
        query_in_database=False,
        ground_truth=None,
        archives=(_CORE,),
        notes=(
            "Only the 4715 photographs of the objects are searched, without distractors: far "
            "easier than ILIAS's own figures over 5 or 100 million more.",
        ),
        metrics=("map@1000", "oracle@1000"),
        query_crop="none",
        licence=_LICENCE,
    ),
    Benchmark(
        name="ilias-mini",
        builder="ilias",
        config="core",
        database=4715 + MINI_DISTRACTORS,
        queries=1232,
        photographs=5947 + MINI_DISTRACTORS,
        kind="classic",
        query_in_database=False,
        ground_truth=None,
        archives=(_CORE,),
        lists=(MINI_IDS,),
        metrics=("map@1000", "oracle@1000"),
        depth=1000,
        query_crop="none",
        loader="jaxret.data.benchmarks.ilias_distractors.loader:load",
        licence=_LICENCE,
    ),
)
