"""One file, resumed where it broke off, checked, and only then given its name.

While it comes it is called `<name>.part`; `<name>.part.json` beside it says of which version of
the file these bytes are. Both are gone when the file is whole.
"""

import contextlib
import json
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from jaxret.errors import UserError
from jaxret.fetch import checks, ftp, web
from jaxret.fetch.stream import BrokenConnectionError, Stream

_LONGEST_WAIT = 60.0  # seconds between two tries


@dataclass(frozen=True)
class _Wanted:
    """What is fetched, and how patiently."""

    url: str
    destination: Path
    sha256: str
    md5: str
    size: int | None
    retries: int
    backoff: float
    timeout: float

    @property
    def part(self) -> Path:
        return self.destination.with_name(self.destination.name + ".part")

    @property
    def note(self) -> Path:
        return self.destination.with_name(self.destination.name + ".part.json")

    def problem(self, path: Path) -> str:
        if path.stat().st_size == 0:
            return "it is empty"
        return checks.problem(path, self.sha256, self.md5, self.size)


def download(
    url: str,
    destination: str | Path,
    *,
    sha256: str = "",
    md5: str = "",
    size: int | None = None,
    mirrors: Sequence[str] = (),
    retries: int = 6,
    backoff: float = 1.0,
    timeout: float = 30.0,
) -> Path:
    """Fetches a file unless it is there already; what was begun before goes on.

    Args:
        url: http(s)://, ftp:// or gdrive:ID.
        destination: the file to write; its folder is made.
        sha256: of the file, or its published prefix.
        md5: the same.
        size: in bytes, where known.
        mirrors: further addresses of the same file, tried in order when `url` fails for good.
        retries: tries in a row that bring no new byte, after which it gives up.
        backoff: seconds before the second try; doubles up to a minute.
        timeout: seconds without a byte, after which a connection counts as broken.

    Returns:
        `destination`, whole and checked.

    Raises:
        UserError: not there, not allowed, not enough disk, not the published bytes, or no
            connection; the bytes fetched so far are kept unless they are wrong.
    """
    destination = Path(destination).expanduser()
    addresses = [url, *mirrors]
    for place, address in enumerate(addresses):
        wanted = _Wanted(address, destination, sha256, md5, size, retries, backoff, timeout)
        try:
            return _fetch(wanted)
        except UserError:
            if place == len(addresses) - 1:
                raise
    return destination


def remote_size(url: str, timeout: float = 30.0) -> int | None:
    """Bytes of the file behind `url`, or None where nothing tells."""
    return (ftp if url.startswith("ftp://") else web).size(url, timeout)


def _fetch(wanted: _Wanted) -> Path:
    if wanted.destination.exists():
        if not wanted.destination.is_file():
            raise UserError(f"'{wanted.destination}' is not a file. Choose another place.")
        if not wanted.problem(wanted.destination):
            return wanted.destination
    wanted.destination.parent.mkdir(parents=True, exist_ok=True)
    resumed = wanted.part.exists() and wanted.part.stat().st_size > 0
    _fill(wanted)
    problem = wanted.problem(wanted.part)
    if problem and resumed:  # old bytes and new ones may be of different files: all anew, once
        _forget(wanted)
        _fill(wanted)
        problem = wanted.problem(wanted.part)
    if problem:
        _forget(wanted)
        raise UserError(
            f"{wanted.url} is not the file that was published: {problem}. It was not kept. Try"
            " again later, or get it from its publisher by hand."
        )
    _give_name(wanted)
    return wanted.destination


def _fill(wanted: _Wanted) -> None:
    """Brings `.part` to its full length, through as many connections as it takes."""
    with _locked(wanted) as part:
        failures = 0
        while True:
            before = part.seek(0, os.SEEK_END)
            try:
                _receive(wanted, part)
                break
            except BrokenConnectionError as error:
                gained = part.seek(0, os.SEEK_END) > before
                failures = 1 if gained else failures + 1
                if failures >= wanted.retries:
                    raise UserError(_gave_up(wanted, error, part.tell())) from error
                pause = wanted.backoff * 2 ** (failures - 1)
                time.sleep(min(max(pause, error.wait or 0.0), _LONGEST_WAIT))
        part.flush()
        os.fsync(part.fileno())


def _receive(wanted: _Wanted, part: BinaryIO) -> None:
    """One connection: appends what comes, and leaves nothing of another version before it."""
    offset = part.seek(0, os.SEEK_END)
    opener = ftp if wanted.url.startswith("ftp://") else web
    stream = opener.open_at(wanted.url, offset, _validator(wanted), wanted.timeout)
    try:
        _check_total(wanted, stream.total)
        if stream.start != offset:
            part.truncate(0)
        _remember(wanted, stream.validator)
        if stream.total is not None:
            folder = wanted.destination.parent
            checks.require_space(folder, stream.total - stream.start, wanted.destination.name)
        _append(wanted, part, stream)
    finally:
        stream.close()
    had, whole = part.tell(), stream.total if stream.total is not None else wanted.size
    if whole is not None and had != whole:
        if had > whole:
            part.truncate(0)
        raise BrokenConnectionError(f"{had:,} of {whole:,} bytes came")


def _append(wanted: _Wanted, part: BinaryIO, stream: Stream) -> None:
    from tqdm import tqdm  # late: nobody waits for it who does not download

    part.seek(0, os.SEEK_END)
    bar = tqdm(
        desc=wanted.destination.name,
        total=stream.total,
        initial=part.tell(),
        unit="B",
        unit_scale=True,
        disable=None,  # no bar where nobody watches
    )
    with bar:
        for chunk in stream.chunks:
            try:
                part.write(chunk)
            except OSError as error:
                raise UserError(f"'{wanted.part}' cannot be written: {error.strerror}.") from error
            bar.update(len(chunk))


def _check_total(wanted: _Wanted, total: int | None) -> None:
    if wanted.size is not None and total is not None and total != wanted.size:
        raise UserError(
            f"{wanted.url} is not the file that was published: the server's has {total:,} bytes"
            f" instead of {wanted.size:,}. Get it from its publisher by hand."
        )


def _gave_up(wanted: _Wanted, error: BrokenConnectionError, have: int) -> str:
    what = f"{wanted.url} did not come: {error}; tries without progress: {wanted.retries}."
    if not have:
        return f"{what} Try again later, from a machine with access to it."
    return f"{what} {checks.human_size(have)} are kept: the same command goes on from there."


def _validator(wanted: _Wanted) -> str:
    try:
        note = json.loads(wanted.note.read_text("utf-8"))
        return str(note["validator"]) if note["url"] == wanted.url else ""
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def _remember(wanted: _Wanted, validator: str) -> None:
    if validator:
        note = {"url": wanted.url, "validator": validator}
        wanted.note.write_text(json.dumps(note) + "\n", "utf-8")


def _forget(wanted: _Wanted) -> None:
    wanted.part.unlink(missing_ok=True)
    wanted.note.unlink(missing_ok=True)


def _give_name(wanted: _Wanted) -> None:
    os.replace(wanted.part, wanted.destination)
    wanted.note.unlink(missing_ok=True)
    folder = os.open(wanted.destination.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


@contextlib.contextmanager
def _locked(wanted: _Wanted) -> Iterator[BinaryIO]:
    """The `.part` file, held by this process alone; the system lets go of it if we are killed."""
    try:
        file = wanted.part.open("ab")
    except OSError as error:
        raise UserError(f"'{wanted.part}' cannot be written: {error.strerror}.") from error
    with file:
        _lock(file, wanted.destination)
        try:
            yield file
        except BaseException:
            if file.seek(0, os.SEEK_END) == 0:
                _forget(wanted)
            raise


def _lock(file: BinaryIO, destination: Path) -> None:
    try:
        import fcntl
    except ImportError:  # Windows: two processes at once are the user's to avoid
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        raise UserError(f"Another process is fetching '{destination}' now. Wait for it.") from error
