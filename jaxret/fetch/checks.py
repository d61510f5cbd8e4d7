"""Is it the file that was published, and is there room for it?"""

import hashlib
import shutil
from pathlib import Path

from jaxret.errors import UserError

_BLOCK = 1 << 20  # bytes
_SPARE = 64 << 20  # bytes that are left free on the disk


def problem(path: Path, sha256: str = "", md5: str = "", size: int | None = None) -> str:
    """What is wrong with a file, or "" if nothing is.

    Args:
        path: the file.
        sha256: in hexadecimal, or the prefix of it that is published.
        md5: the same.
        size: in bytes.
    """
    if size is not None and path.stat().st_size != size:
        return f"it has {path.stat().st_size:,} bytes instead of {size:,}"
    for kind, expected in (("sha256", sha256), ("md5", md5)):
        if not expected:
            continue
        found = digest(path, kind)
        if not found.startswith(expected.lower()):
            return f"its {kind} begins with {found[: max(len(expected), 8)]} instead of {expected}"
    return ""


def digest(path: Path, kind: str) -> str:
    """The file's digest in hexadecimal, block by block."""
    hasher = hashlib.new(kind, usedforsecurity=False)
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            hasher.update(block)
    return hasher.hexdigest()


def require_space(folder: Path, needed: int, what: str) -> None:
    """UserError unless `needed` more bytes fit on the disk of `folder`."""
    free = shutil.disk_usage(folder).free
    if free < needed + _SPARE:
        raise UserError(
            f"{what} needs {human_size(needed)} in '{folder}', where {human_size(free)} are free."
            " Free some, or choose a folder on another disk (--output)."
        )


def human_size(count: int) -> str:
    """1234567 -> "1.2 MB" (decimal, as downloads are stated)."""
    value = float(count)
    for unit in ("bytes", "kB", "MB", "GB"):
        if value < 1000:
            return f"{value:.0f} bytes" if unit == "bytes" else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} TB"
