"""Files over HTTP, asked for by range; pages in place of files are recognised."""

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import requests

from jaxret.errors import UserError
from jaxret.fetch import drive
from jaxret.fetch.stream import BrokenConnectionError, Stream

CHUNK = 1 << 20  # bytes
_PASSING = {408, 425, 429, 500, 502, 503, 504}
_PAGE = 1 << 20  # bytes of a page that are read to learn what it says
# Of the file as it is: a transparently compressed answer has another length and no ranges.
_HEADERS = {"Accept-Encoding": "identity", "User-Agent": "jaxret (requests)"}


def open_at(url: str, offset: int, validator: str, timeout: float) -> Stream:
    """The file from byte `offset` on, or from its beginning where the server will not resume.

    Args:
        url: http(s) address, or `gdrive:ID`.
        offset: bytes that are here already.
        validator: what the server called the version that they came from; a file that has changed
            since then comes whole.
        timeout: seconds without a byte.

    Raises:
        BrokenConnectionError: worth another try.
        UserError: it is not: no such file, no permission, a web page instead.
    """
    headers = dict(_HEADERS)
    if offset:
        headers["Range"] = f"bytes={offset}-"
        if validator:
            headers["If-Range"] = validator
    session = requests.Session()
    response = None
    try:
        response = _ask(session, url, headers, timeout)
        if offset and not _continues(response, offset):
            ends_here = response.status_code == 416 and _range_total(response) == offset
            response.close()
            if ends_here:  # nothing beyond what is here
                return Stream(offset, offset, validator, iter(()), session.close)
            # Ours is longer, or other bytes came: the file from its beginning.
            response = _ask(session, url, dict(_HEADERS), timeout)
        return _stream(url, response, session)
    except BaseException as error:
        if response is not None:
            response.close()
        session.close()
        if isinstance(error, requests.exceptions.RequestException):
            raise _of(error, url) from error
        raise


def size(url: str, timeout: float) -> int | None:
    """Length of the file that a server tells without sending it, or None."""
    if drive.is_drive(url):
        return None
    try:
        response = requests.head(url, headers=_HEADERS, timeout=timeout, allow_redirects=True)
    except requests.exceptions.RequestException:
        return None
    return _length(response) if response.ok else None


def _ask(session: requests.Session, url: str, headers: dict, timeout: float) -> requests.Response:
    """Follows Google Drive's question whether a large file is really wanted."""
    address = drive.address(url) if drive.is_drive(url) else url
    for _ in range(3):
        response = session.get(address, headers=headers, stream=True, timeout=timeout)
        if not (drive.is_drive(url) and response.ok and _is_page(response)):
            return response
        page = response.raw.read(_PAGE).decode("utf-8", "replace")
        response.close()
        cookies = {cookie.name: cookie.value or "" for cookie in session.cookies}
        address = drive.confirmed(page, response.url, cookies)
    raise UserError(f"Google Drive keeps asking to confirm the download of {url}. {drive.BY_HAND}")


def _continues(response: requests.Response, offset: int) -> bool:
    """Whether the answer to a range is of use: those very bytes, the whole file, or an error."""
    if response.status_code == 206:
        return _range_start(response) == offset
    return response.status_code != 416


def _stream(url: str, response: requests.Response, session: Any) -> Stream:
    _check_status(url, response)
    start, total = 0, _length(response)
    if response.status_code == 206:
        start, total = _range_start(response), _range_total(response)
    chunks = response.iter_content(CHUNK)
    first = next(chunks, b"")
    if start == 0 and _is_page(response) and first.lstrip()[:1] == b"<":
        raise UserError(_page_sentence(url, first))
    validator = response.headers.get("ETag", "")
    if validator.startswith("W/"):  # a weak one does not promise the same bytes
        validator = ""
    validator = validator or response.headers.get("Last-Modified", "")

    def close() -> None:
        response.close()
        session.close()

    return Stream(start, total, validator, _safe(first, chunks, url), close)


def _safe(first: bytes, chunks: Iterator[bytes], url: str) -> Iterator[bytes]:
    try:
        if first:
            yield first
        yield from chunks
    except requests.exceptions.RequestException as error:
        raise _of(error, url) from error


def _check_status(url: str, response: requests.Response) -> None:
    code, reason = response.status_code, response.reason
    if code in (200, 206):
        return
    if code in _PASSING:
        raise BrokenConnectionError(f"the server answers {code} {reason}", _retry_after(response))
    if code in (404, 410):
        raise UserError(
            f"There is no file at {url} any more (the server answers {code}). Get it from its"
            " publisher by hand and put it where the command wanted it."
        )
    if code in (401, 403):
        raise UserError(
            f"The server does not hand out {url} ({code} {reason}). Open the address in a browser:"
            " it may want a login or an agreement first."
        )
    raise UserError(f"The server answers {code} {reason} for {url}; the address may have changed.")


def _of(error: requests.exceptions.RequestException, url: str) -> Exception:
    wrong = (
        requests.exceptions.MissingSchema,
        requests.exceptions.InvalidSchema,
        requests.exceptions.InvalidURL,
        requests.exceptions.TooManyRedirects,
    )
    if isinstance(error, wrong):
        return UserError(f"'{url}' is no address of a file: {error}.")
    if isinstance(error, requests.exceptions.SSLError):
        return UserError(f"The certificate of {url} cannot be trusted: {error}.")
    if isinstance(error, requests.exceptions.Timeout):
        return BrokenConnectionError("the server went silent")
    if isinstance(error, requests.exceptions.ChunkedEncodingError):
        return BrokenConnectionError("the server broke the connection")
    return BrokenConnectionError(f"there is no connection to {urlsplit(url).hostname or url}")


def _length(response: requests.Response) -> int | None:
    value = response.headers.get("Content-Length", "")
    return int(value) if value.isdigit() else None


def _range_start(response: requests.Response) -> int:
    match = re.match(r"bytes (\d+)-", response.headers.get("Content-Range", ""))
    return int(match[1]) if match else -1


def _range_total(response: requests.Response) -> int | None:
    match = re.search(r"/(\d+)$", response.headers.get("Content-Range", ""))
    return int(match[1]) if match else None


def _retry_after(response: requests.Response) -> float | None:
    value = response.headers.get("Retry-After", "")
    return float(value) if value.isdigit() else None


def _is_page(response: requests.Response) -> bool:
    return "text/html" in response.headers.get("Content-Type", "").lower()


def _page_sentence(url: str, page: bytes) -> str:
    found = re.search(rb"<title[^>]*>([^<]{1,200})", page, re.IGNORECASE)
    title = f" titled '{found[1].decode('utf-8', 'replace').strip()}'" if found else ""
    return (
        f"The server sent a web page{title} instead of the file {url}. Open the address in a"
        " browser: it may want a login or a click, or the network here answers in its place."
    )
