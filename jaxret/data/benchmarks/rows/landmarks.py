"""Google Landmarks Dataset v2, retrieval."""

from jaxret.data.benchmarks.row import Benchmark, Source

_GLDV2 = "https://s3.amazonaws.com/google-landmark"
INDEX_ARCHIVES, TEST_ARCHIVES = 100, 20


def archive(split: str, number: int) -> Source:
    """One tar of "index" or "test"; `file` is where it lies below the folder of official files."""
    name = f"images_{number:03d}"
    return Source(
        f"{split}/{name}.tar",
        f"{_GLDV2}/{split}/{name}.tar",
        digests=f"{_GLDV2}/md5sum/{split}/md5.{name}.txt",
        about=850_000_000 if split == "index" else 500_000_000,
    )


def _gldv2(name: str, config: str, queries: int) -> Benchmark:
    return Benchmark(
        name=name,
        builder="gldv2",
        config=config,
        database=761_757,
        queries=queries,
        photographs=761_757 + queries,
        kind="classic",
        query_in_database=False,
        ground_truth=Source(
            "retrieval_solution_v2.1.csv", f"{_GLDV2}/ground_truth/retrieval_solution_v2.1.csv"
        ),
        archives=(
            *(archive("test", number) for number in range(TEST_ARCHIVES)),
            *(archive("index", number) for number in range(INDEX_ARCHIVES)),
        ),
        metrics=("map@100",),
        depth=1000,
        loader="jaxret.data.benchmarks.gldv2.loader:load",
        licence="index and test photographs CC0 or public domain; annotations CC BY 4.0",
    )


ROWS = (
    _gldv2("gldv2", "all", 1129),
    _gldv2("gldv2-private", "private", 750),
    _gldv2("gldv2-public", "public", 379),
)
