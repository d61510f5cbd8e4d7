"""Atomic, content-keyed files in the workdir.

A file is written beside its final name, flushed to the disk and renamed, so that whatever can be
read is whole. A stage's folder is named by the digest of everything that made its content, so that
a changed setting never meets an old file. Two runs on one workdir are both safe: they write the
same bytes under the same name.
"""

import contextlib
import csv
import errno
import hashlib
import io
import json
import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np

from jaxret.errors import UserError


class WorkdirError(UserError):
    """Nothing can be kept in the workdir any more: no other work of the run would be either."""


def digest(key: Mapping[str, Any]) -> str:
    """sha256 of the key in canonical JSON; equal keys, equal digest, whatever the order."""
    return hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()


@contextlib.contextmanager
def atomic_write(path: Path) -> Iterator[IO[bytes]]:
    """Opens a file that appears under `path` whole, or not at all.

    Raises:
      WorkdirError: the disk is full or the folder cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, beside = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            os.chmod(beside, 0o644)
            os.replace(beside, path)
        except BaseException:
            Path(beside).unlink(missing_ok=True)
            raise
        flush(path.parent)
    except OSError as error:
        raise _as_user_error(error, path) from error


def flush(path: Path) -> None:
    """Makes a file's content, or a rename in a folder, survive a power cut."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


_UNWRITABLE = (
    errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST, errno.ENOENT,
)  # fmt: skip


def _as_user_error(error: OSError, path: Path) -> Exception:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return WorkdirError(
            f"The disk of {path.parent} is full: free some space and start again; "
            "what was finished is kept."
        )
    if error.errno in _UNWRITABLE:
        return WorkdirError(
            f"{path.parent} cannot be written ({error.strerror}): choose another --workdir."
        )
    return error


def csv_text(columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> str:
    """The text of a CSV file: a line of the columns' names, then one a row."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(columns), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def write_json(path: Path, content: Any) -> None:
    with atomic_write(path) as file:
        file.write((json.dumps(content, indent=1, sort_keys=True, allow_nan=False) + "\n").encode())


def write_text(path: Path, text: str) -> None:
    with atomic_write(path) as file:
        file.write(text.encode())


def write_arrays(path: Path, **arrays: np.ndarray) -> None:
    """An .npz with a fixed byte image: equal arrays, equal bytes."""
    buffer = io.BytesIO()
    # allow_pickle=False, which mypy asks for, is one more array to NumPy before 2.2.
    np.savez(buffer, **arrays)  # type: ignore[arg-type]
    with atomic_write(path) as file:
        file.write(buffer.getbuffer())


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    with np.load(path, allow_pickle=False) as stored:
        return dict(stored)


class Store:
    """The folder of a workdir in which stages keep what they made."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def place(self, stage: str, key: Mapping[str, Any]) -> Path:
        """Where the stage's folder for this key is or would be; nothing is written."""
        return self.root / stage / digest(key)[:20]

    def folder(self, stage: str, key: Mapping[str, Any]) -> Path:
        """The stage's folder for this key; its key.json says in words what made the content."""
        folder = self.place(stage, key)
        if not (folder / "key.json").exists():
            write_json(folder / "key.json", key)
        return folder
