"""A benchmark's photographs in whatever nesting people have them: found by name.

Oxford's and Paris's are known by their file names, wherever they lie; INSTRE's by the last three
parts of their paths (INSTRE-S1/01a_canada_book/001.jpg), because its file names repeat. Letter
case and the ending .jpg or .jpeg make no difference. Loose files go before archives.
"""

import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from PIL import Image

from jaxret.data.benchmarks import archives, registry
from jaxret.data.photographs import find_photographs
from jaxret.errors import UserError

_JPEG_ENDINGS = (".jpg", ".jpeg")
_ENDINGS = (*_JPEG_ENDINGS, ".png")
# How a whole picture begins, and what is near its end.
_WHOLE = ((b"\xff\xd8\xff", b"\xff\xd9"), (b"\x89PNG\r\n\x1a\n", b"IEND"))

NameOf = Callable[[str], str | None]
"""A path -> the benchmark's name of the photograph there; None where it is none of its own."""


@dataclass(frozen=True)
class Found:
    """Which photographs there are.

    Attributes:
      files: name -> file, of those that are there and are pictures.
      missing: names of which there is no file.
      unreadable: names whose file is empty, cut off or no JPEG.
      archives: names of the archives that some of them came from.
    """

    files: Mapping[str, Path]
    missing: Sequence[str]
    unreadable: Sequence[str]
    archives: Sequence[str] = field(default=())

    @property
    def absent(self) -> list[str]:
        return sorted([*self.missing, *self.unreadable])


def find(
    names: Sequence[str], manual_dir: Path, unpack_into: Path | None, own: Sequence[str] = ()
) -> Found:
    """Look for the named photographs below a folder.

    Args:
      names: as in the ground truth, with or without .jpg.
      manual_dir: loose photographs, archives of them, or both.
      unpack_into: a folder for what comes out of archives; None looks at loose files only.
      own: names of archives that are opened before others.

    Raises:
      UserError: two different files for one photograph, or a damaged archive.
    """
    found = find_named(_among(names), manual_dir, unpack_into, len(names), own)
    present = found.files.keys() | set(found.unreadable)
    missing = [name for name in names if name not in present]
    return Found(found.files, missing, found.unreadable, found.archives)


def find_named(
    name_of: NameOf,
    manual_dir: Path,
    unpack_into: Path | None,
    count: int,
    own: Sequence[str] = (),
) -> Found:
    """Look for all photographs that have a name.

    Args:
      name_of: gives the name of the photograph at a path.
      manual_dir, unpack_into, own: as `find`.
      count: how many there are to be; where they are there, no further archive is opened.
    """
    loose = ((manual_dir / file) for file in find_photographs(manual_dir))
    files = _by_name(name_of, loose)
    used = []
    if unpack_into is not None:
        for archive in _likeliest_first(manual_dir, own):
            if len(files) >= count:
                break
            before = len(files)
            _unpack_missing(archive, name_of, files, unpack_into)
            if len(files) > before:
                used.append(archive.name)
    unreadable = sorted(name for name, file in files.items() if not is_picture(file))
    for name in unreadable:
        del files[name]
    return Found(files, (), unreadable, used)


def is_picture(file: Path) -> bool:
    """Begins and ends as a JPEG or PNG does; where the end is odd, whether it decodes decides."""
    try:
        with file.open("rb") as stream:
            start = stream.read(8)
            ends = [end for begin, end in _WHOLE if start.startswith(begin)]
            if not ends:
                return False
            stream.seek(max(0, stream.seek(0, io.SEEK_END) - 64))
            if ends[0] in stream.read():
                return True
        with Image.open(file) as image:
            image.load()
    except Exception:  # decoders raise OSError, SyntaxError, struct.error and a dozen more
        return False
    return True


def release(row: registry.Benchmark, archives: Sequence[str], count: int) -> str:
    """The sentence for the report about which release the photographs are of."""
    known = {registry.release_of(archive) for archive in archives} - {""}
    released_twice = row.builder in ("oxford5k", "paris6k")
    if len(known) == 1:
        origin = f"{' and '.join(archives)}: by the name, {known.pop()}"
    else:
        origin = " and ".join(archives) or "loose files"
        origin += ", of an unknown release" if released_twice or row.builder == "instre" else ""
    unknown = " No checksums of either release are known to compare with."
    return (
        f"The {count} photographs of {row.builder} came from {origin}."
        f"{unknown if released_twice else ''}"
    )


def _among(names: Sequence[str]) -> NameOf:
    """By the last parts of the path, as many as the names have."""
    names_by_key = {_key(name, name.count("/") + 1): name for name in names}
    depths = sorted({name.count("/") + 1 for name in names})

    def name_of(path: str) -> str | None:
        keys = (_key(path, depth) for depth in depths)
        return next((names_by_key[key] for key in keys if key in names_by_key), None)

    return name_of


def _key(path: str, depth: int) -> str:
    parts = PurePosixPath(path.replace("\\", "/")).parts[-depth:]
    key = "/".join(parts).casefold()
    for ending in _JPEG_ENDINGS:
        key = key.removesuffix(ending)
    return key


def _by_name(name_of: NameOf, paths: Iterable[Path]) -> dict[str, Path]:
    files: dict[str, Path] = {}
    for path in paths:
        name = name_of(path.as_posix()) if path.name.lower().endswith(_ENDINGS) else None
        if name is None:
            continue
        if name in files and not _same_size(files[name], path):
            raise UserError(
                f"Two different files for {name}: {files[name]} and {path}. Remove one of them, or "
                "name the folder of one release with --manual_dir."
            )
        files.setdefault(name, path)
    return files


def _same_size(one: Path, other: Path) -> bool:
    try:
        return one.stat().st_size == other.stat().st_size
    except OSError:
        return False


def _likeliest_first(manual_dir: Path, own: Sequence[str]) -> list[Path]:
    """All archives: the benchmark's own, those that any is published in, others."""
    found = archives.find_archives(manual_dir)
    official = {source.file for row in registry.BENCHMARKS.values() for source in row.archives}
    official |= registry.ORIGINAL_ARCHIVES.keys()
    return sorted(found, key=lambda path: (path.name not in own, path.name not in official))


def _unpack_missing(archive: Path, name_of: NameOf, files: dict[str, Path], into: Path) -> None:
    """Unpack those not yet in `files`, and enter them there."""

    def wanted(path: str) -> bool:
        name = name_of(path) if path.lower().endswith(_ENDINGS) else None
        return name is not None and name not in files

    for path, content in archives.members(archive, wanted):
        name = name_of(path)
        assert name is not None
        files[name] = into / f"{len(files):06d}{PurePosixPath(path).suffix}"
        files[name].write_bytes(content)
