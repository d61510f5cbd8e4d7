"""Where the official files of the benchmarks are kept, how much they are, and fetching them.

They are kept as they come, in one folder for all benchmarks, and read from there when a benchmark
is prepared; nothing needs unpacking:

    <data_dir>/manual/oxbuild_images-v1.tgz        Oxford5k and rOxford5k
    <data_dir>/manual/paris_1-v1.tgz, paris_2-v1.tgz  Paris6k and rParis6k
    <data_dir>/manual/instre.tar.gz                INSTRE
    <data_dir>/manual/revisitop1m.1.tar.gz ...     the distractors, 100 archives
    <data_dir>/manual/gnd_<benchmark>.pkl, gnd_instre.mat

and those of the other benchmarks under the names in their rows. Files are checked against the
checksums that their makers publish, where they do.
"""

from dataclasses import dataclass
from pathlib import Path

from jaxret import fetch
from jaxret.data.benchmarks import registry
from jaxret.errors import UserError
from jaxret.fetch import checks
from jaxret.runtime.user_cache import cache_dir

_REVISITOP1M = "http://ptak.felk.cvut.cz/revisitop/revisitop1m/jpg"
_REVISITOP1M_PARTS = 100

# file -> bytes, as servers and public loaders have stated them: for the announcement, not a check.
_ABOUT = {
    "oxbuild_images-v1.tgz": 1_938_238_004,
    "paris_1-v1.tgz": 1_269_538_001,
    "instre.tar.gz": 2_300_000_000,
    "gnd_oxford5k.pkl": 141_140,
    "gnd_paris6k.pkl": 254_083,
    "gnd_roxford5k.pkl": 149_871,
    "gnd_rparis6k.pkl": 276_508,
    "gnd_instre.mat": 223_899,
}
_SHA256_LENGTH, _MD5_LENGTH = 64, 32  # in hexadecimal
_THOR = "https://thor.robots.ox.ac.uk"
_MIRRORS = {
    "oxbuild_images-v1.tgz": (f"{_THOR}/oxbuildings/oxbuild_images-v1.tgz",),
    "paris_1-v1.tgz": (f"{_THOR}/datasets/paris-buildings/paris_1-v1.tgz",),
    "paris_2-v1.tgz": (f"{_THOR}/datasets/paris-buildings/paris_2-v1.tgz",),
}


@dataclass(frozen=True)
class Archive:
    """One official file.

    Attributes:
        file: its name, by which the builders recognise it.
        url: where its makers keep it.
        about: its size in bytes where it has been stated, for the announcement.
        mirrors: further official addresses.
        md5: as published, or empty.
        digests: address of the makers' list that holds its checksum, or empty.
        by_hand: whether `url` is a page from which it must be taken by hand.
    """

    file: str
    url: str
    about: int | None = None
    mirrors: tuple[str, ...] = ()
    md5: str = ""
    digests: str = ""
    by_hand: bool = False


@dataclass(frozen=True)
class Announcement:
    """What fetching a dataset will take.

    Attributes:
        wanted: the files that are not here yet.
        bytes: of them together; the files of unknown size are left out.
        unknown: how many of them are of unknown size.
        folder: where they go.
        terms: of use.
    """

    wanted: tuple[Archive, ...]
    bytes: int
    unknown: int
    folder: Path
    terms: str


def names() -> tuple[str, ...]:
    """Everything that can be fetched: the benchmarks and the distractors."""
    return (*registry.BENCHMARKS, "revisitop1m")


def files_of(name: str, subset: str | None = None) -> tuple[Archive, ...]:
    """The official files of a benchmark, ground truth first.

    Args:
        name: a benchmark, or "revisitop1m".
        subset: of the archives of its database, such as "0-9"; see `parts.Subset`.

    Raises:
        UserError: unknown name, or a subset of what is not published in many archives.
    """
    if subset is not None:
        return _of_archives(name, subset)
    if name == "revisitop1m":
        parts = [f"revisitop1m.{number + 1}.tar.gz" for number in range(_REVISITOP1M_PARTS)]
        return tuple(Archive(part, f"{_REVISITOP1M}/{part}") for part in parts)
    return tuple(
        Archive(
            file.file,
            file.url,
            file.about or _ABOUT.get(file.file),
            file.mirrors or _MIRRORS.get(file.file, ()),
            file.md5,
            file.digests,
            file.by_hand,
        )
        for file in registry.get(name).files
    )


def _of_archives(name: str, subset: str) -> tuple[Archive, ...]:
    from jaxret.data.benchmarks.parts import Subset  # late: it imports TFDS

    files = files_of(name)
    database = [file for file in files if file.file.startswith("index/")]
    if not database:
        raise UserError(f"--subset={subset} is for gldv2, whose database is in many archives.")
    numbers = Subset.of(subset, len(database)).archives
    if numbers is None:
        return files
    kept = {database[number].file for number in numbers}
    return tuple(file for file in files if file not in database or file.file in kept)


def licence(name: str) -> str:
    """Terms of a benchmark's photographs and annotations, or of the distractors'."""
    return registry.get("roxford5k" if name == "revisitop1m" else name).licence


def manual_dir(data_dir: str | Path | None = None) -> Path:
    """The folder in which the builders look for official files."""
    root = Path(data_dir) if data_dir else cache_dir() / "datasets"
    return root.expanduser() / "manual"


def announce(
    name: str, folder: str | Path | None = None, subset: str | None = None
) -> Announcement:
    """What `fetch_dataset` will do; asks the servers for the sizes that are not known.

    Raises:
        UserError: unknown name, or the disk has no room for what is to come.
    """
    target = _folder(folder)
    wanted = tuple(file for file in files_of(name, subset) if not (target / file.file).is_file())
    sizes = _sizes(wanted)
    total = sum(size for size in sizes if size is not None)
    begun = sum(_size_of(target / f"{file.file}.part") for file in wanted)
    checks.require_space(target, max(total - begun, 0), f"Fetching {name}")
    return Announcement(wanted, total, sizes.count(None), target, licence(name))


def fetch_dataset(
    name: str, folder: str | Path | None = None, retries: int = 6, subset: str | None = None
) -> list[Path]:
    """Fetches the official files of a benchmark that are not here yet.

    Args:
        name: a benchmark, or "revisitop1m".
        folder: where to put them; None is where the builders look.
        retries: tries in a row without progress, per address.
        subset: as `files_of`.

    Returns:
        All its files, those that were here included.

    Raises:
        UserError: one of them did not come; those before it are kept.
    """
    target = _folder(folder)
    return [_fetched(file, target, retries) for file in files_of(name, subset)]


def _fetched(file: Archive, target: Path, retries: int) -> Path:
    """One file, checked against its makers' checksum; what is there already is believed."""
    path = target / file.file
    if path.is_file():
        return path
    if file.by_hand:
        raise UserError(
            f"{file.file} is given out by hand: open {file.url}, take it from there, and put it "
            f"into {target}."
        )
    digest = _published_digest(file, target, retries)
    sha256, md5 = (digest, "") if len(digest) == _SHA256_LENGTH else ("", digest)
    return fetch.download(
        file.url, path, sha256=sha256, md5=md5, mirrors=file.mirrors, retries=retries
    )


def _published_digest(file: Archive, target: Path, retries: int) -> str:
    """The checksum in the makers' list: the first word of the line that names the file, or of all.

    A list of one file has one line, with or without the name.
    """
    if not file.digests:
        return file.md5
    listed = target / "checksums" / f"{file.file.replace('/', '_')}.txt"
    listed.unlink(missing_ok=True)  # it may have been published anew
    lines = fetch.download(file.digests, listed, retries=retries).read_text().splitlines()
    rows = [line.split() for line in lines if line.strip()]
    name = file.file.rsplit("/", 1)[-1]
    own = rows if len(rows) == 1 else [r for r in rows if r[-1].rsplit("/", 1)[-1] == name]
    digest = own[0][0].lower() if own else ""
    if len(digest) not in (_SHA256_LENGTH, _MD5_LENGTH) or set(digest) - set("0123456789abcdef"):
        raise UserError(f"{file.digests} holds no checksum of {name}; try again later.")
    return digest


def _sizes(files: tuple[Archive, ...]) -> list[int | None]:
    """Bytes of each file; a server that once says nothing is not asked again."""
    sizes: list[int | None] = []
    silent = False
    for file in files:
        size = file.about
        if size is None and not silent and not file.by_hand:
            size = fetch.remote_size(file.url, timeout=10.0)
            silent = size is None
        sizes.append(size)
    return sizes


def _folder(folder: str | Path | None) -> Path:
    target = Path(folder).expanduser() if folder is not None else manual_dir()
    try:
        target.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"'{target}' cannot be made: {error.strerror}.") from error
    return target


def _size_of(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0
