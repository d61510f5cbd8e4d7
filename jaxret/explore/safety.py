"""What keeps other pages in the user's browser, and other machines, out.

The server listens on 127.0.0.1 alone. A page of a stranger could still send requests there:
- under a name of its own that leads to 127.0.0.1 (DNS rebinding): the Host header must be ours;
- across origins: requests that a browser marks as another site's are refused but for the page
  itself, and what changes or costs something must carry our Origin.
The page loads nothing from anywhere else, which its Content-Security-Policy enforces.
"""

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

HOSTS = ("127.0.0.1", "localhost")
HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}
_READING = ("GET", "HEAD")


class OnlyThisPage:
    """ASGI middleware: refuses what does not come from the page that this server serves."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return  # there are no sockets here
        if reason := why_refused(scope["method"], scope["path"], Headers(scope=scope)):
            await PlainTextResponse(reason, 403, HEADERS)(scope, receive, send)
            return

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        await self._app(scope, receive, guarded)


def why_refused(method: str, path: str, headers: Headers) -> str:
    """Half a sentence; empty for a request that may pass."""
    host = headers.get("host", "")
    if host.rpartition(":")[0] not in HOSTS and host not in HOSTS:
        return "This server answers to 127.0.0.1 alone."
    if path != "/" and headers.get("sec-fetch-site", "none") not in ("same-origin", "none"):
        return "This request comes from another page."
    if method not in _READING and headers.get("origin") != f"http://{host}":
        return "This request does not come from the page of this server."
    return ""
