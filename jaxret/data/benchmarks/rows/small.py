"""Small benchmarks whose photographs are named by what they show: no file of ground truth."""

from jaxret.data.benchmarks.row import Benchmark, Source

_PASCAL = "http://pascal.inrialpes.fr/data/holidays"
_VISSL = "https://dl.fbaipublicfiles.com/vissl/datasets"
_INRIA = "INRIA's copyright, for research; see https://lear.inrialpes.fr/people/jegou/data.php"
_LEAR = "ftp://ftp.inrialpes.fr/pub/lear/douze/data"
_ORIGINALS = Source(
    "copydays_original.tar.gz",
    f"{_VISSL}/copydays_original.tar.gz",
    mirrors=(f"{_PASCAL}/copydays_original.tar.gz",),
)
_AMSTERTIME_NOTE = (
    "Its makers evaluate both directions: amstertime searches old photographs with today's street "
    "views, amstertime-old the other way round; over all is the mean of the two."
)


def _copydays(name: str, config: str, queries: int, archive: Source, note: str) -> Benchmark:
    return Benchmark(
        name=name,
        builder="copydays",
        config=config,
        database=157,
        queries=queries,
        photographs=157 + queries,
        kind="classic",
        query_in_database=False,
        ground_truth=None,
        archives=(_ORIGINALS, archive),
        notes=(note,),
        pictures=f"photographs_{config}",
        licence=_INRIA,
    )


def _amstertime(name: str, config: str) -> Benchmark:
    return Benchmark(
        name=name,
        builder="amstertime",
        config=config,
        database=1231,
        queries=1231,
        photographs=2462,
        kind="classic",
        query_in_database=False,
        ground_truth=None,
        archives=(Source("AmsterTime.zip", "https://doi.org/10.4121/19580806", by_hand=True),),
        notes=(_AMSTERTIME_NOTE,),
        metrics=("map_rect", "r@1", "r@5"),
        licence="see https://doi.org/10.4121/19580806; old views of the Amsterdam city archives, "
        "street views of Mapillary (CC BY-SA)",
    )


ROWS = (
    Benchmark(
        name="gpr1200",
        builder="gpr1200",
        config="all_against_all",
        database=12_000,
        queries=12_000,
        photographs=12_000,
        kind="classic",
        query_in_database=True,
        ground_truth=None,
        archives=(
            Source(
                "GPR1200.zip",
                "https://visual-computing.com/files/GPR1200/GPR1200.zip",
                about=1_000_000_000,
            ),
        ),
        notes=("As its makers evaluate it, a query's own photograph is among those it finds.",),
        metrics=("map_rect",),
        licence="non-commercial research and education; each photograph remains its owner's",
    ),
    Benchmark(
        name="holidays",
        builder="holidays",
        config="first_of_group",
        database=1491,
        queries=500,
        photographs=1491,
        kind="classic",
        query_in_database=True,
        ground_truth=None,
        archives=(
            Source("jpg1.tar.gz", f"{_LEAR}/jpg1.tar.gz", about=1_100_000_000),
            Source("jpg2.tar.gz", f"{_LEAR}/jpg2.tar.gz", about=1_600_000_000),
        ),
        notes=(
            "The official photographs, some of which lie on their side; works that turned those by "
            "hand (rotated or upright Holidays) have higher figures.",
        ),
        licence=_INRIA,
    ),
    Benchmark(
        name="ukbench",
        builder="ukbench",
        config="all_against_all",
        database=10_200,
        queries=10_200,
        photographs=10_200,
        kind="classic",
        query_in_database=True,
        ground_truth=None,
        archives=(
            Source(
                "ukbench.zip",
                "https://archive.org/download/ukbench/ukbench.zip",
                about=1_500_000_000,
            ),
        ),
        metrics=("n-s",),
        licence="not stated; published for research by the University of Kentucky",
    ),
    _copydays(
        "copydays",
        "strong",
        229,
        Source(
            "copydays_strong.tar.gz",
            f"{_VISSL}/copydays_strong.tar.gz",
            mirrors=(f"{_PASCAL}/copydays_strong.tar.gz",),
        ),
        "157 originals alone; DINO's figures are over these and 10,000 photographs of YFCC100M "
        "that were not published.",
    ),
    _copydays(
        "copydays-crops",
        "crops",
        1413,
        Source("copydays_crop.tar.gz", f"{_PASCAL}/copydays_crop.tar.gz"),
        "Mean over the nine crops, 10 to 80 % of the surface taken away.",
    ),
    _copydays(
        "copydays-jpeg",
        "jpeg",
        1413,
        Source("copydays_jpeg.tar.gz", f"{_PASCAL}/copydays_jpeg.tar.gz"),
        "Mean over the nine JPEG qualities, 3 to 75.",
    ),
    _amstertime("amstertime", "new"),
    _amstertime("amstertime-old", "old"),
)
