"""Products and works of art by their classes."""

from jaxret.data.benchmarks.row import Benchmark, Source

_MET = "http://ptak.felk.cvut.cz/met/dataset"
_MET_LISTS = Source("ground_truth.tar.gz", f"{_MET}/ground_truth.tar.gz")
_MET_QUERIES = (
    Source("test_met.tar.gz", f"{_MET}/test_met.tar.gz", about=34_048_842),
    Source("test_other.tar.gz", f"{_MET}/test_other.tar.gz"),
    Source("test_noart.tar.gz", f"{_MET}/test_noart.tar.gz"),
)
_MET_NOTE = (
    "The classifier of one nearest neighbour; 18,316 of the 19,319 queries show nothing of the "
    "museum and must be found unsure."
)


def _met(name: str, config: str, database: int, pictures: str, archive: Source) -> Benchmark:
    return Benchmark(
        name=name,
        builder="met",
        config=config,
        database=database,
        queries=19_319,
        photographs=database + 19_319,
        kind="classic",
        query_in_database=False,
        ground_truth=None,
        archives=(archive, *_MET_QUERIES),
        notes=(_MET_NOTE,),
        lists=(_MET_LISTS,),
        metrics=("gap", "gap-", "acc"),
        depth=1000,
        pictures=pictures,
        licence="exhibits CC0; query photographs Creative Commons, by name; annotations CC BY 4.0",
    )


ROWS = (
    Benchmark(
        name="sop",
        builder="sop",
        config="test",
        database=60_502,
        queries=60_502,
        photographs=60_502,
        kind="classic",
        query_in_database=True,
        ground_truth=None,
        archives=(
            Source(
                "Stanford_Online_Products.zip",
                "ftp://cs.stanford.edu/cs/cvgl/Stanford_Online_Products.zip",
                md5="7f73d41a2f44250d4779881525aea32e",
                about=3_000_000_000,
                mirrors=("http://ftp.cs.stanford.edu/cs/cvgl/Stanford_Online_Products.zip",),
            ),
        ),
        metrics=("r@1", "r@10", "r@100", "r@1000"),
        depth=1001,  # 1000 and the query's own photograph
        licence="research; photographs of eBay's sellers",
    ),
    _met(
        "met",
        "full",
        397_121,
        "photographs",
        Source("MET.tar.gz", f"{_MET}/MET.tar.gz", about=28_000_000_000),
    ),
    _met(
        "met-mini",
        "mini",
        38_307,
        "photographs_mini",
        Source("small_MET.tar.gz", f"{_MET}/small_MET.tar.gz", about=2_865_082_125),
    ),
)
