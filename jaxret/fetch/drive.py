"""Google Drive: from a file's id to its bytes, past the page that warns of large files."""

import re
from html.parser import HTMLParser
from urllib.parse import urlencode, urljoin

from jaxret.errors import UserError

_SCHEME = "gdrive:"
_DOWNLOAD = "https://drive.usercontent.google.com/download"

BY_HAND = "Open https://drive.google.com/uc?id=<the id> in a browser and put the file in place."


def is_drive(url: str) -> bool:
    """Whether `url` is `gdrive:ID`."""
    return url.startswith(_SCHEME)


def address(url: str) -> str:
    """The address under which Drive hands out a file, large files confirmed beforehand."""
    query = {"id": url.removeprefix(_SCHEME), "export": "download", "confirm": "t"}
    return f"{_DOWNLOAD}?{urlencode(query)}"


def confirmed(page: str, page_url: str, cookies: dict[str, str]) -> str:
    """Where the page's "download anyway" leads.

    Args:
        page: HTML that came instead of the file.
        page_url: its address.
        cookies: of the session; an older form of the page keeps its token there.

    Raises:
        UserError: the page does not offer the file: quota exceeded, no access, not there.
    """
    form = _Form()
    form.feed(page)
    if form.action:
        return f"{urljoin(page_url, form.action)}?{urlencode(form.fields)}"
    token = next((value for key, value in cookies.items() if "download_warning" in key), None)
    if token is not None and "confirm=" + token not in page_url:
        return f"{page_url}{'&' if '?' in page_url else '?'}{urlencode({'confirm': token})}"
    if re.search(r"quota|too many users", page, re.IGNORECASE):
        raise UserError(
            "Google Drive hands this file out to nobody for now: too many people fetched it in the"
            f" last 24 hours. Try again tomorrow. Or: {BY_HAND}"
        )
    raise UserError(
        "Google Drive sent a page instead of the file: it was removed, or it wants a login."
        f" {BY_HAND}"
    )


class _Form(HTMLParser):
    """The form called download-form and its hidden fields."""

    def __init__(self) -> None:
        super().__init__()
        self.action = ""
        self.fields: dict[str, str] = {}
        self._inside = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {key: value or "" for key, value in attrs}
        if tag == "form" and values.get("id") == "download-form":
            self.action, self._inside = values.get("action", ""), True
        elif tag == "input" and self._inside and values.get("name"):
            self.fields[values["name"]] = values.get("value", "")

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._inside = False
