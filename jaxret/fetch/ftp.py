"""Files over FTP, which INSTRE's publishers use: from an offset (REST), passively."""

import ftplib
from collections.abc import Iterator
from urllib.parse import unquote, urlsplit

from jaxret.errors import UserError
from jaxret.fetch.stream import BrokenConnectionError, Stream

_CHUNK = 1 << 20  # bytes


def open_at(url: str, offset: int, validator: str, timeout: float) -> Stream:
    """As `web.open_at`; FTP knows no versions, so `validator` is the file's date, where told."""
    connection = ftplib.FTP(timeout=timeout)
    path = unquote(urlsplit(url).path)
    try:
        total = _enter(connection, url, path)
        date = _date(connection, path)
        start = offset if date == validator or not validator else 0
        if total is not None and start == total:
            return Stream(start, total, date, iter(()), connection.close)
        socket = connection.transfercmd(f"RETR {path}", rest=start or None)
    except ftplib.error_perm as error:
        connection.close()
        raise UserError(f"The FTP server does not hand out {url}: {error}.") from error
    except (ftplib.Error, OSError, EOFError) as error:
        connection.close()
        raise BrokenConnectionError(f"the connection broke ({error})") from error

    def close() -> None:
        socket.close()
        connection.close()

    return Stream(start, total, date, _chunks(socket), close)


def size(url: str, timeout: float) -> int | None:
    """Length of the file, or None where the server does not say."""
    connection = ftplib.FTP(timeout=timeout)
    try:
        return _enter(connection, url, unquote(urlsplit(url).path))
    except (ftplib.Error, OSError, EOFError):
        return None
    finally:
        connection.close()


def _enter(connection: ftplib.FTP, url: str, path: str) -> int | None:
    parts = urlsplit(url)
    connection.connect(parts.hostname or "", parts.port or ftplib.FTP_PORT)
    connection.login()
    connection.voidcmd("TYPE I")  # SIZE counts bytes, not characters
    try:
        return connection.size(path)
    except ftplib.error_perm as error:
        if str(error).startswith("50"):  # the command is unknown to the server, not the file
            return None
        raise


def _date(connection: ftplib.FTP, path: str) -> str:
    try:
        return connection.sendcmd(f"MDTM {path}")
    except ftplib.Error:
        return ""


def _chunks(socket: object) -> Iterator[bytes]:
    receive = getattr(socket, "recv")  # noqa: B009 - a plain or a TLS socket
    try:
        while chunk := receive(_CHUNK):
            yield chunk
    except OSError as error:
        raise BrokenConnectionError(f"the connection broke ({error})") from error
