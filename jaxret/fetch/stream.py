"""What a server sends, whichever protocol it speaks."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass


class BrokenConnectionError(Exception):
    """A connection that failed in a way that may pass; the download goes on where it stopped.

    Attributes:
        wait: seconds that the server asked to wait, or None.
    """

    def __init__(self, reason: str, wait: float | None = None):
        self.wait = wait
        super().__init__(reason)


@dataclass(frozen=True)
class Stream:
    """The bytes of a file from `start` on.

    Attributes:
        start: offset of the first byte; 0 where the server would not resume.
        total: length of the whole file, or None where the server does not say.
        validator: what the server calls this version of the file (ETag or date), or "".
        chunks: the bytes.
        close: ends the connection.
    """

    start: int
    total: int | None
    validator: str
    chunks: Iterator[bytes]
    close: Callable[[], None]
