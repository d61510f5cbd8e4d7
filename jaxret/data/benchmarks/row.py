"""What is known beforehand about a benchmark: its row."""

from dataclasses import dataclass

PHOTOGRAPHS = "photographs"  # the builders' configuration that holds the pictures


@dataclass(frozen=True)
class Source:
    """One official file.

    Attributes:
      file: its name, by which it is recognised in a folder.
      url: where its makers keep it; a page where `by_hand`.
      sha256: of a known copy, or empty. A ground truth of another digest is read and checked all
        the same, and the report says so.
      release: what its name says about the photographs in it, for the report.
      md5: as published, or empty.
      digests: address of a list from its makers that holds the file's checksum, or empty.
      about: bytes where they have been stated, for the announcement.
      mirrors: further addresses of the same file.
      by_hand: whether its makers give it out on a page only, behind a form or a DOI.
    """

    file: str
    url: str
    sha256: str = ""
    release: str = ""
    md5: str = ""
    digests: str = ""
    about: int | None = None
    mirrors: tuple[str, ...] = ()
    by_hand: bool = False


@dataclass(frozen=True)
class Benchmark:
    """What is known beforehand about one benchmark.

    Attributes:
      name: as tables write it.
      builder: the package folder under jaxret/data/benchmarks that prepares its photographs.
      config: the builder's configuration.
      database: photographs searched, as published.
      queries: queries, as published.
      photographs: database and query photographs, each counted once.
      kind: which lists a query has: "revisited" (easy, hard, junk) or "classic" (ok, junk).
      query_in_database: whether the query's photograph is itself searched.
      ground_truth: the official file; None where names or `lists` say what is right.
      archives: the official archives of the photographs.
      lists: official files that name photographs, queries or classes.
      notes: sentences for the report.
      metrics: keys of `evaluation.measures` that it is evaluated by, the main one first; none: mAP
        and mP@k of revisited Oxford and Paris.
      depth: results of a query that are kept where all of them would be too many.
      query_crop: "none" where its makers search with whole photographs in spite of boxes.
      pictures: the builder's configuration of its photographs.
      loader: "module:function" where its photographs are prepared archive by archive.
      licence: of photographs and annotations, in words.
    """

    name: str
    builder: str
    config: str
    database: int
    queries: int
    photographs: int
    kind: str
    query_in_database: bool
    ground_truth: Source | None
    archives: tuple[Source, ...]
    notes: tuple[str, ...] = ()
    lists: tuple[Source, ...] = ()
    metrics: tuple[str, ...] = ()
    depth: int | None = None
    query_crop: str = "bbox"
    pictures: str = PHOTOGRAPHS
    loader: str = ""
    licence: str = ""

    @property
    def files(self) -> tuple[Source, ...]:
        """Every official file, what says what is right before the photographs."""
        truth = (self.ground_truth,) if self.ground_truth else ()
        return (*truth, *self.lists, *self.archives)
