"""A benchmark's photographs in whatever nesting people have them: found by name.

Oxford's and Paris's are known by their file names, wherever they lie; INSTRE's by the last three
parts of their paths (INSTRE-S1/01a_canada_book/001.jpg), because its file names repeat. Letter
case and the ending .jpg or .jpeg make no difference. Loose files go before archives.
"""

import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from PIL import Image

from jaxret.data.benchmarks import archives, registry
from jaxret.data.photographs import find_photographs
from jaxret.errors import UserError

_ENDINGS = (".jpg", ".jpeg")
_JPEG_START = b"\xff\xd8\xff"
_JPEG_END = b"\xff\xd9"


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


def find(names: Sequence[str], manual_dir: Path, unpack_into: Path | None) -> Found:
    """Look for the named photographs below a folder.

    Args:
      names: as in the ground truth, with or without .jpg.
      manual_dir: loose photographs, archives of them, or both.
      unpack_into: a folder for what comes out of archives; None looks at loose files only.

    Raises:
      UserError: two different files for one photograph, or a damaged archive.
    """
    name_of = {_key(name, _depth(names)): name for name in names}
    loose = ((manual_dir / file) for file in find_photographs(manual_dir))
    files = _by_name(name_of, _depth(names), loose)
    archives = []
    if unpack_into is not None:
        for archive in _likeliest_first(manual_dir):
            if len(files) == len(names):
                break
            before = len(files)
            _unpack_missing(archive, name_of, _depth(names), files, unpack_into)
            if len(files) > before:
                archives.append(archive.name)
    unreadable = sorted(name for name, file in files.items() if not is_jpeg(file))
    for name in unreadable:
        del files[name]
    present = files.keys() | set(unreadable)
    missing = [name for name in names if name not in present]
    return Found(files, missing, unreadable, archives)


def is_jpeg(file: Path) -> bool:
    """Begins and ends as a JPEG does; where the end is odd, whether it decodes decides."""
    try:
        with file.open("rb") as stream:
            if stream.read(3) != _JPEG_START:
                return False
            stream.seek(max(0, stream.seek(0, io.SEEK_END) - 64))
            if _JPEG_END in stream.read():
                return True
        with Image.open(file) as image:
            image.load()
    except Exception:  # decoders raise OSError, SyntaxError, struct.error and a dozen more
        return False
    return True


def release(row: registry.Benchmark, archives: Sequence[str], count: int) -> str:
    """The sentence for the report about which release the photographs are of."""
    known = {registry.release_of(archive) for archive in archives} - {""}
    if not archives:
        origin = "loose files, of an unknown release"
    elif len(known) == 1:
        origin = f"{' and '.join(archives)}: by the name, {known.pop()}"
    else:
        origin = f"{' and '.join(archives)}, of an unknown release"
    unknown = " No checksums of either release are known to compare with." if row.builder in (
        "oxford5k",
        "paris6k",
    ) else ""  # fmt: skip
    return f"The {count} photographs of {row.builder} came from {origin}.{unknown}"


def _depth(names: Sequence[str]) -> int:
    return names[0].count("/") + 1


def _key(path: str, depth: int) -> str:
    parts = PurePosixPath(path.replace("\\", "/")).parts[-depth:]
    key = "/".join(parts).casefold()
    for ending in _ENDINGS:
        key = key.removesuffix(ending)
    return key


def _by_name(name_of: Mapping[str, str], depth: int, paths: Iterable[Path]) -> dict[str, Path]:
    files: dict[str, Path] = {}
    for path in paths:
        name = name_of.get(_key(path.as_posix(), depth))
        if name is None or not path.name.lower().endswith(_ENDINGS):
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


def _likeliest_first(manual_dir: Path) -> list[Path]:
    """All archives, those that benchmarks are published in before others."""
    found = archives.find_archives(manual_dir)
    official = {source.file for row in registry.BENCHMARKS.values() for source in row.archives}
    official |= registry.ORIGINAL_ARCHIVES.keys()
    return sorted(found, key=lambda archive: archive.name not in official)


def _unpack_missing(
    archive: Path, name_of: Mapping[str, str], depth: int, files: dict[str, Path], into: Path
) -> None:
    """Unpack those not yet in `files`, and enter them there."""

    def name_in(path: str) -> str | None:
        return name_of.get(_key(path, depth)) if path.lower().endswith(_ENDINGS) else None

    def wanted(path: str) -> bool:
        name = name_in(path)
        return name is not None and name not in files

    for path, content in archives.members(archive, wanted):
        name = name_in(path)
        assert name is not None
        files[name] = into / f"{len(files):06d}.jpg"
        files[name].write_bytes(content)
