"""The five benchmarks as rows: what was published about each one."""

import difflib
from dataclasses import dataclass

from jaxret.errors import UserError


@dataclass(frozen=True)
class Benchmark:
    """What is known beforehand about one benchmark.

    Attributes:
      name: as the paper's tables write it.
      builder: the package folder under jaxret/data that prepares its photographs.
      config: the builder's configuration.
      database: photographs searched, as published.
      queries: queries, as published.
      kind: which lists a query has: "revisited" (easy, hard, junk) or "classic" (ok, junk).
      ground_truth: file name of the official ground truth.
      sha256: of a known copy of that file; others are read as well, and checked the same way.
      query_in_database: whether the query's photograph is itself searched.
    """

    name: str
    builder: str
    config: str
    database: int
    queries: int
    kind: str
    ground_truth: str
    sha256: str
    query_in_database: bool


BENCHMARKS: dict[str, Benchmark] = {
    row.name: row
    for row in (
        Benchmark(
            name="oxford5k",
            builder="oxford5k",
            config="classic",
            database=5063,
            queries=55,
            kind="classic",
            ground_truth="gnd_oxford5k.pkl",
            sha256="c84e5eb68524fd46aab5c0e80b90f970d7bf677507aeb8cddd6b12990d4bc19e",
            query_in_database=True,
        ),
        Benchmark(
            name="paris6k",
            builder="paris6k",
            config="classic",
            database=6392,
            queries=55,
            kind="classic",
            ground_truth="gnd_paris6k.pkl",
            sha256="def916cf4f197a182d9a7840cdb6294489fa57c2121f9742a1bcc6f2209bb345",
            query_in_database=True,
        ),
        Benchmark(
            name="roxford5k",
            builder="oxford5k",
            config="revisited",
            database=4993,
            queries=70,
            kind="revisited",
            ground_truth="gnd_roxford5k.pkl",
            sha256="ba7967754bd2d7d2210a5799f9c45ad5835e269a80ef9d3eba44caa35816c471",
            query_in_database=False,
        ),
        Benchmark(
            name="rparis6k",
            builder="paris6k",
            config="revisited",
            database=6322,
            queries=70,
            kind="revisited",
            ground_truth="gnd_rparis6k.pkl",
            sha256="d2e729a5293dda7dda8a15c8383424a42e4964a2c4cfea2f32fa85d11d2df499",
            query_in_database=False,
        ),
        Benchmark(
            name="instre",
            builder="instre",
            config="",
            database=27293,
            queries=1250,
            kind="classic",
            ground_truth="gnd_instre.mat",
            sha256="d21fcd0254bf4bb3863a646dccffae5e48a849991537b9a64ef07e74627d4b5f",
            query_in_database=False,
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
