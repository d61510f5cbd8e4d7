"""The five benchmarks as rows: what was published about each one, and where it lies."""

import difflib
from dataclasses import dataclass

from jaxret.errors import UserError


@dataclass(frozen=True)
class Source:
    """One official file.

    Attributes:
      file: its name, by which it is recognised in a folder.
      url: where its makers keep it.
      sha256: of a known copy, or empty. A ground truth of another digest is read and checked all
        the same, and the report says so.
      release: what its name says about the photographs in it, for the report.
    """

    file: str
    url: str
    sha256: str = ""
    release: str = ""


@dataclass(frozen=True)
class Benchmark:
    """What is known beforehand about one benchmark.

    Attributes:
      name: as the paper's tables write it.
      builder: the package folder under jaxret/data that prepares its photographs.
      config: the builder's configuration.
      database: photographs searched, as published.
      queries: queries, as published.
      photographs: database and query photographs, each counted once.
      kind: which lists a query has: "revisited" (easy, hard, junk) or "classic" (ok, junk).
      query_in_database: whether the query's photograph is itself searched.
      ground_truth: the official file.
      archives: the official archives of the photographs.
      notes: sentences for the report.
    """

    name: str
    builder: str
    config: str
    database: int
    queries: int
    photographs: int
    kind: str
    query_in_database: bool
    ground_truth: Source
    archives: tuple[Source, ...]
    notes: tuple[str, ...] = ()


_VGG = "https://www.robots.ox.ac.uk/~vgg/data"
_CLASSIC = "http://cmp.felk.cvut.cz/cnnimageretrieval/data/test"
_REVISITED = "http://cmp.felk.cvut.cz/revisitop/data/datasets"
_INSTRE = "ftp://ftp.irisa.fr/local/texmex/corpus/instre"
_BLURRED = "the re-release of 2022 with blurred faces"

_OXFORD_ARCHIVES = (
    Source("oxbuild_images-v1.tgz", f"{_VGG}/oxbuildings/oxbuild_images-v1.tgz", release=_BLURRED),
)
_PARIS_ARCHIVES = (
    Source("paris_1-v1.tgz", f"{_VGG}/parisbuildings/paris_1-v1.tgz", release=_BLURRED),
    Source("paris_2-v1.tgz", f"{_VGG}/parisbuildings/paris_2-v1.tgz", release=_BLURRED),
)
_PARIS_NOTES = (
    "The archives of Paris hold 20 further photographs that have never been readable; they are no "
    "part of the benchmark.",
)


def _pickle(name: str, folder: str, sha256: str) -> Source:
    """The ground truth of Oxford or Paris, as its makers name the file."""
    file = f"gnd_{name}.pkl"
    return Source(file, f"{folder}/{name}/{file}", sha256)


# Archives under these names were published until 2022 and are no longer to be had.
ORIGINAL_ARCHIVES = {
    "oxbuild_images.tgz": "the original release",
    "paris_1.tgz": "the original release",
    "paris_2.tgz": "the original release",
}

BENCHMARKS: dict[str, Benchmark] = {
    row.name: row
    for row in (
        Benchmark(
            name="oxford5k",
            builder="oxford5k",
            config="classic",
            database=5063,
            queries=55,
            photographs=5063,
            kind="classic",
            query_in_database=True,
            ground_truth=_pickle(
                "oxford5k",
                _CLASSIC,
                "c84e5eb68524fd46aab5c0e80b90f970d7bf677507aeb8cddd6b12990d4bc19e",
            ),
            archives=_OXFORD_ARCHIVES,
        ),
        Benchmark(
            name="paris6k",
            builder="paris6k",
            config="classic",
            database=6392,
            queries=55,
            photographs=6392,
            kind="classic",
            query_in_database=True,
            ground_truth=_pickle(
                "paris6k",
                _CLASSIC,
                "def916cf4f197a182d9a7840cdb6294489fa57c2121f9742a1bcc6f2209bb345",
            ),
            archives=_PARIS_ARCHIVES,
            notes=_PARIS_NOTES,
        ),
        Benchmark(
            name="instre",
            builder="instre",
            config="iscen",
            database=27293,
            queries=1250,
            photographs=28543,
            kind="classic",
            query_in_database=False,
            ground_truth=Source(
                "gnd_instre.mat",
                f"{_INSTRE}/gnd_instre.mat",
                "d21fcd0254bf4bb3863a646dccffae5e48a849991537b9a64ef07e74627d4b5f",
            ),
            archives=(Source("instre.tar.gz", f"{_INSTRE}/instre.tar.gz"),),
        ),
        Benchmark(
            name="roxford5k",
            builder="oxford5k",
            config="revisited",
            database=4993,
            queries=70,
            photographs=5063,
            kind="revisited",
            query_in_database=False,
            ground_truth=_pickle(
                "roxford5k",
                _REVISITED,
                "ba7967754bd2d7d2210a5799f9c45ad5835e269a80ef9d3eba44caa35816c471",
            ),
            archives=_OXFORD_ARCHIVES,
        ),
        Benchmark(
            name="rparis6k",
            builder="paris6k",
            config="revisited",
            database=6322,
            queries=70,
            photographs=6392,
            kind="revisited",
            query_in_database=False,
            ground_truth=_pickle(
                "rparis6k",
                _REVISITED,
                "d2e729a5293dda7dda8a15c8383424a42e4964a2c4cfea2f32fa85d11d2df499",
            ),
            archives=_PARIS_ARCHIVES,
            notes=_PARIS_NOTES,
        ),
    )
}


def get(name: str) -> Benchmark:
    """The row of a benchmark; an unknown name is an error that lists the known, nearest first."""
    if name not in BENCHMARKS:
        nearest = difflib.get_close_matches(name, BENCHMARKS, n=1)
        hint = f" Nearest: {nearest[0]}." if nearest else ""
        raise UserError(f"Unknown benchmark {name!r}.{hint} Known: {', '.join(BENCHMARKS)}.")
    return BENCHMARKS[name]


def of_builder(builder: str) -> list[Benchmark]:
    """The benchmarks over one builder's photographs."""
    return [row for row in BENCHMARKS.values() if row.builder == builder]


def release_of(archive: str) -> str:
    """What an archive's name says about the photographs in it; empty if nothing."""
    known = {source.file: source.release for row in BENCHMARKS.values() for source in row.archives}
    return (known | ORIGINAL_ARCHIVES).get(archive, "")
