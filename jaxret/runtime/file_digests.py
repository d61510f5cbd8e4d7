"""SHA-256 of the files below a folder, computed once a file and then kept in the user's cache.

A file is read again when its size or its time of change differs. What was changed within the
last seconds before it was hashed is not kept: another change in the same tick of the clock would
go unseen.
"""

import contextlib
import hashlib
import json
import os
import time
from dataclasses import dataclass, field
from pathlib import Path

from jaxret.runtime.user_cache import find_cache_dir

SETTLED_SECONDS = 3.0  # FAT keeps times to two seconds, the coarsest clock in use
UNREADABLE = hashlib.sha256(b"").hexdigest()


@dataclass
class FileDigests:
    """The kept digests of one folder: file -> (size, time of change in ns, sha256)."""

    root: Path
    store: Path | None
    known: dict[str, tuple[int, int, str]] = field(default_factory=dict)
    changed: bool = False

    @classmethod
    def of_folder(cls, root: Path) -> "FileDigests":
        root = root.resolve()
        key = hashlib.sha256(os.fsencode(root)).hexdigest()[:24]
        cache = find_cache_dir()
        if cache is None:
            return cls(root, None)
        store = cache / "digests" / f"{key}.json"
        try:
            kept = json.loads(store.read_text("utf-8"))
            known = {file: (size, changed, sha) for file, (size, changed, sha) in kept.items()}
        except (OSError, ValueError, AttributeError, TypeError):
            known = {}  # none yet, or not whole: the files themselves are the truth
        return cls(root, store, known)

    def digest(self, file: str) -> str:
        """The digest of `root / file`; that of no bytes at all if it cannot be read."""
        path = self.root / file
        try:
            status = path.stat()
            stamp = (status.st_size, status.st_mtime_ns)
            kept = self.known.get(file)
            if kept is not None and kept[:2] == stamp:
                return kept[2]
            with path.open("rb") as stream:
                found = hashlib.file_digest(stream, "sha256").hexdigest()
        except OSError:
            return UNREADABLE
        if time.time() - status.st_mtime > SETTLED_SECONDS:
            self.known[file] = (*stamp, found)
            self.changed = True
        return found

    def save(self) -> None:
        """Keep what was computed. A cache folder that cannot be written costs time, no more."""
        if not self.changed or self.store is None:
            return
        beside = self.store.with_suffix(f".{os.getpid()}.tmp")
        try:
            self.store.parent.mkdir(parents=True, exist_ok=True)
            beside.write_text(json.dumps(self.known), "utf-8")
            beside.replace(self.store)
        except OSError:
            with contextlib.suppress(OSError):
                beside.unlink()
        self.changed = False
