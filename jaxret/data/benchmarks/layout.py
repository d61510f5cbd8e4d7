"""What a benchmark's official files are called and what they say: a `Layout` a builder.

`<builder>/layout.py` holds it for those whose names or lists say what is right; the others have a
file of ground truth, which names the photographs as well.
"""

import abc
import hashlib
import importlib
import importlib.util
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from jaxret.data.benchmarks import archives, locate, registry
from jaxret.data.benchmarks.missing_files import how_to_get
from jaxret.data.benchmarks.row import Benchmark
from jaxret.data.ground_truth import files
from jaxret.data.ground_truth.checks import check_published
from jaxret.data.ground_truth.files import GroundTruth
from jaxret.errors import UserError

Read = Callable[[str], bytes]
"""The encoded photograph of a name."""


@dataclass(frozen=True)
class Truth:
    """A ground truth and where it is from.

    Attributes:
      lists: who answers whom.
      file: the official file, or in words what it was made from.
      sha256: of the official file; of what was made, its own names.
    """

    lists: GroundTruth
    file: str
    sha256: str


class Layout(abc.ABC):
    """One benchmark's official files.

    Attributes:
      row: the benchmark.
    """

    def __init__(self, row: Benchmark) -> None:
        self.row = row

    @abc.abstractmethod
    def find(self, manual_dir: Path, unpack_into: Path | None) -> locate.Found:
        """Its photographs below a folder; `unpack_into` as `locate.find`."""

    @abc.abstractmethod
    def truth(self, manual_dir: Path, names: Sequence[str], read: Read) -> Truth:
        """Its ground truth over the photographs that were found, in order of their names."""

    def check(self, manual_dir: Path) -> None:  # noqa: B027 - names alone need no file
        """Raises `UserError` if something is missing without which the long work is in vain."""


class OfGroundTruthFile(Layout):
    """The official file of ground truth names the photographs."""

    def check(self, manual_dir: Path) -> None:
        find_ground_truth(self.row, manual_dir)

    def find(self, manual_dir: Path, unpack_into: Path | None) -> locate.Found:
        return locate.find(self._names(manual_dir), manual_dir, unpack_into)

    def truth(self, manual_dir: Path, names: Sequence[str], read: Read) -> Truth:
        truth, file = find_ground_truth(self.row, manual_dir)
        return Truth(truth, file.name, hashlib.sha256(file.read_bytes()).hexdigest())

    def _names(self, manual_dir: Path) -> list[str]:
        """Any of the ground truths over the same photographs names them all."""
        rows = [row for row in registry.of_builder(self.row.builder) if row != self.row]
        problem: UserError | None = None
        for row in (self.row, *rows):
            try:
                truth, _ = find_ground_truth(row, manual_dir)
            except UserError as error:
                problem = problem or error
            else:
                return sorted({*truth.imlist, *truth.qimlist})
        assert problem is not None
        raise problem


class OfLists(Layout):
    """Official lists name the photographs."""

    @abc.abstractmethod
    def names(self, manual_dir: Path) -> list[str]:
        """Every photograph, each once."""

    def check(self, manual_dir: Path) -> None:
        self.names(manual_dir)

    def find(self, manual_dir: Path, unpack_into: Path | None) -> locate.Found:
        own = [source.file for source in self.row.archives]
        return locate.find(sorted(self.names(manual_dir)), manual_dir, unpack_into, own)


class OfNames(Layout):
    """The photographs' own names say what they show."""

    @abc.abstractmethod
    def name_of(self, path: str) -> str | None:
        """The name of the photograph at a path; None where it is none of this benchmark's."""

    def find(self, manual_dir: Path, unpack_into: Path | None) -> locate.Found:
        own = [source.file for source in self.row.archives]
        count = self.row.photographs
        return locate.find_named(self.name_of, manual_dir, unpack_into, count, own)

    @abc.abstractmethod
    def lists(self, names: Sequence[str]) -> GroundTruth:
        """Who answers whom, by the names."""

    def truth(self, manual_dir: Path, names: Sequence[str], read: Read) -> Truth:
        return made(self.lists(names), "the photographs' names")


def of(row: Benchmark) -> Layout:
    """The layout of a benchmark's builder."""
    home = f"jaxret.data.benchmarks.{row.builder}.layout"
    if importlib.util.find_spec(home) is None:
        return OfGroundTruthFile(row)
    return importlib.import_module(home).Layout(row)


def made(lists: GroundTruth, source: str) -> Truth:
    """A ground truth made from names or lists; the digest is that of its names in order."""
    whole = hashlib.sha256("\n".join([*lists.imlist, "", *lists.qimlist]).encode())
    return Truth(lists, f"made from {source}", whole.hexdigest())


def check_counts(row: Benchmark, truth: GroundTruth, where: str) -> None:
    """What was published about the benchmark holds for a ground truth that was made."""
    check_published(row, truth.imlist, truth.qimlist, truth.gnd, where)


def find_ground_truth(row: Benchmark, manual_dir: Path) -> tuple[GroundTruth, Path]:
    """The benchmark's ground truth from the file of its official name, anywhere below a folder."""
    assert row.ground_truth is not None
    stem = Path(row.ground_truth.file).stem
    for ending in (".pkl", ".mat"):
        found = sorted(manual_dir.rglob(stem + ending), key=lambda file: (len(file.parts), file))
        if found:
            return files.read(found[0], row.name), found[0]
    raise UserError(
        f"The ground truth of {row.name}, {row.ground_truth.file}, is not in {manual_dir}. "
        f"{how_to_get(row, manual_dir)}"
    )


def read_list(row: Benchmark, file: str, manual_dir: Path) -> bytes:
    """An official list of that name: a loose file anywhere below the folder, else in an archive.

    Raises:
      UserError: it is nowhere; the sentence says how to get it.
    """
    for _, content in listed_files(row, lambda path: PurePosixPath(path).name == file, manual_dir):
        return content
    raise UserError(
        f"{file} of {row.name}, which names its photographs, is not in {manual_dir}. "
        f"{how_to_get(row, manual_dir)}"
    )


def listed_files(
    row: Benchmark, wanted: Callable[[str], bool], manual_dir: Path, anywhere: bool = False
) -> Iterator[tuple[str, bytes]]:
    """Path and content of the benchmark's files that are no photographs, loose ones first.

    Then those in its own archives, and with `anywhere` those in others.
    """
    loose = sorted(manual_dir.rglob("*.*"), key=lambda path: (len(path.parts), path))
    for path in loose:
        if wanted(path.as_posix()) and path.is_file():
            yield path.as_posix(), path.read_bytes()
    official = {Path(source.file).name for source in row.files}
    found = archives.find_archives(manual_dir)
    for archive in sorted(found, key=lambda archive: archive.name not in official):
        if anywhere or archive.name in official:
            yield from archives.members(archive, wanted)
