"""Preparing a builder's data once, whoever asks and however often.

TFDS writes into a folder of another name and renames it when all is written, so a folder of the
final name is whole. What is added here: one process at a time, what killed ones left is removed,
and errors of the disk are said in words.
"""

import contextlib
import errno
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from jaxret.data.benchmarks import tfds_records
from jaxret.errors import UserError


def prepared(builder: Any, manual_dir: Path) -> Any:
    """The builder with its data on disk; nothing is written, or locked, where it is already.

    Args:
      builder: a TFDS builder.
      manual_dir: where the official files lie.

    Raises:
      UserError: as the builder says, or the disk is full or may not be written.
    """
    if not tfds_records.is_prepared(builder):
        root = Path(builder.data_dir_root)
        with _errors_in_words(root), _locked(root):
            for left in (root / builder.name).glob("*/*incomplete*"):
                shutil.rmtree(left, ignore_errors=True)
            tfds_records.prepare(builder, manual_dir)
    # Anew: another process may have written what this builder did not know when it was made.
    return type(builder)(
        config=builder.builder_config,
        data_dir=builder.data_dir_root,
        file_format=tfds_records.FILE_FORMAT,
    )


@contextlib.contextmanager
def _locked(data_dir: Path) -> Iterator[None]:
    """One process at a time prepares below `data_dir`; the others wait and find it done.

    The lock goes with its process, however that ends. Where the system has no such locks
    (Windows), two processes may prepare the same at a time; the first to finish is kept.
    """
    data_dir.mkdir(parents=True, exist_ok=True)
    try:
        import fcntl
    except ImportError:
        yield
        return
    with (data_dir / ".preparing.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def _errors_in_words(data_dir: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise UserError(
                f"The disk of {data_dir} is full; prepared photographs take as much as the "
                "originals, and twice that while archives are unpacked. Free some space or name "
                "another folder with --data_dir."
            ) from error
        raise UserError(
            f"Photographs cannot be prepared in {data_dir} ({error}). Name a folder that can be "
            "written with --data_dir."
        ) from error
