"""Downloads from a server on this machine that behaves as badly as real ones do."""

import hashlib
import http.server
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from jaxret import fetch
from jaxret.errors import UserError
from jaxret.fetch import checks, drive, web

CONTENT = np.random.default_rng(0).bytes(3_000_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()
MD5 = hashlib.md5(CONTENT).hexdigest()


class Handler(http.server.BaseHTTPRequestHandler):
    """Serves CONTENT; the path says how."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_HEAD(self):
        self.send_response(200)
        if "silent" not in self.path:
            self.send_header("Content-Length", str(len(CONTENT)))
        self.end_headers()

    def do_GET(self):
        self.server.asked.append((self.path, self.headers.get("Range"), dict(self.headers)))
        behaviour = self.path.strip("/").split("/")[0].split("?")[0]
        getattr(self, f"serve_{behaviour}")()

    def visits(self) -> int:
        return sum(path == self.path for path, _, _ in self.server.asked)

    def offset(self) -> int:
        value = self.headers.get("Range")
        return int(value.removeprefix("bytes=").rstrip("-")) if value else 0

    def send(self, body, *, total=None, claim=None, start=0, etag='"1"', kind="application/x"):
        """A 200, or a 206 where `start` is given; `claim` is the Content-Length to announce."""
        total = len(CONTENT) if total is None else total
        self.send_response(206 if start else 200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body) if claim is None else claim))
        if etag:
            self.send_header("ETag", etag)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{total - 1}/{total}")
        self.end_headers()
        self.wfile.write(body)
        self.close_connection = True

    def serve_good(self):
        start = self.offset()
        if start >= len(CONTENT):
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(CONTENT)}")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self.send(CONTENT[start:], start=start)

    def serve_cut(self):
        """Breaks every connection after 700,000 bytes."""
        start = self.offset()
        body = CONTENT[start : start + 700_000]
        self.send(body, claim=len(CONTENT) - start, start=start)

    def serve_cut_without_ranges(self):
        """Breaks the first two connections and always begins at the beginning."""
        if self.visits() < 3:
            self.send(CONTENT[:500_000], claim=len(CONTENT))
        else:
            self.send(CONTENT)

    def serve_changes(self):
        """The file becomes another one between two connections."""
        if self.visits() == 1:
            self.send(bytes(1_000_000), claim=len(CONTENT), etag='"old"')
        elif self.headers.get("If-Range") == '"old"':
            self.send(CONTENT, etag='"new"')
        else:
            self.send(CONTENT[self.offset() :], start=self.offset(), etag='"new"')

    def serve_too_long(self):
        """Announces more than there is, and closes."""
        start = self.offset()
        self.send(CONTENT[start:], claim=len(CONTENT) - start + 1000, start=start, total=3_001_000)

    def serve_too_short(self):
        self.send(CONTENT, claim=1_000_000)

    def serve_wrong_range(self):
        """Answers a range with other bytes than were asked for."""
        if self.offset():
            self.send(CONTENT[10:], start=10)
        else:
            self.send(CONTENT, claim=len(CONTENT))

    def serve_wrong(self):
        self.send(b"x" * len(CONTENT))

    def serve_chunked(self):
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for begin in range(0, len(CONTENT), 1_000_000):
            block = CONTENT[begin : begin + 1_000_000]
            self.wfile.write(f"{len(block):x}\r\n".encode() + block + b"\r\n")
        self.wfile.write(b"0\r\n\r\n")

    def serve_empty(self):
        self.send(b"")

    def serve_busy(self):
        """503 twice, then the file."""
        if self.visits() < 3:
            self.send_error(503)
        else:
            self.send(CONTENT)

    def serve_slow_down(self):
        if self.visits() == 1:
            self.send_response(429)
            self.send_header("Retry-After", "7")
            self.send_header("Content-Length", "0")
            self.end_headers()
        else:
            self.send(CONTENT)

    def serve_hangs(self):
        """Sends a little and then nothing, the first time."""
        if self.visits() == 1:
            self.send(CONTENT[:1000], claim=len(CONTENT))
            self.wfile.flush()
            self.server.release.wait(5)
        else:
            self.serve_good()

    def serve_404(self):
        self.send_error(404)

    def serve_403(self):
        self.send_error(403)

    def serve_500(self):
        self.send_error(500)

    def serve_page(self):
        page = b"<!DOCTYPE html><html><head><title>Sign in to the WiFi</title></head></html>"
        self.send(page, kind="text/html; charset=utf-8")

    def serve_moved(self):
        self.send_response(302)
        self.send_header("Location", "/good/file")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def serve_loop(self):
        self.send_response(302)
        self.send_header("Location", self.path)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def serve_drive(self):
        """Asks to confirm with a form, as Google does for what it cannot scan."""
        if "uuid=abc" in self.path:
            self.serve_good()
            return
        page = (
            b'<html><form id="download-form" action="/drive" method="get">'
            b'<input type="submit" value="Download anyway"/>'
            b'<input type="hidden" name="id" value="ID"><input type="hidden" name="uuid"'
            b' value="abc"></form></html>'
        )
        self.send(page, kind="text/html; charset=utf-8")

    def serve_drive_quota(self):
        page = b"<html><title>Google Drive - Quota exceeded</title></html>"
        self.send(page, kind="text/html")

    def serve_drive_cookie(self):
        """The older way: a token in a cookie."""
        if "confirm=XyZ" in self.path:
            self.serve_good()
            return
        page = b"<html>Google Drive can't scan this file for viruses.</html>"
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(page)))
        self.send_header("Set-Cookie", "download_warning_13058=XyZ; Path=/")
        self.end_headers()
        self.wfile.write(page)


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_):
        """A client that hangs up is part of the test."""


@pytest.fixture
def server(monkeypatch) -> Iterator[Server]:
    monkeypatch.setattr(web, "CHUNK", 100_000)
    monkeypatch.setenv("NO_PROXY", "*")
    running = Server(("127.0.0.1", 0), Handler)
    running.asked = []
    running.release = threading.Event()
    running.base = f"http://127.0.0.1:{running.server_port}"
    thread = threading.Thread(target=running.serve_forever, args=(0.01,))
    thread.start()
    yield running
    running.release.set()
    running.shutdown()
    running.server_close()
    thread.join()


@pytest.fixture
def get(server, tmp_path):
    """Downloads `behaviour` with little patience."""

    def download(behaviour: str, **keywords) -> Path:
        keywords = {"backoff": 0.001, "timeout": 5.0, **keywords}
        return fetch.download(f"{server.base}/{behaviour}/file", tmp_path / "file", **keywords)

    return download


def _left(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def _ranges(server) -> list[str | None]:
    return [asked for _, asked, _ in server.asked]


@pytest.mark.parametrize(
    "behaviour",
    [
        "good",
        "cut",
        "cut_without_ranges",
        "changes",
        "chunked",
        "busy",
        "moved",
    ],
)
def test_arrives_whole_in_the_end(get, tmp_path, behaviour):
    path = get(behaviour, sha256=SHA256, md5=MD5[:8], size=len(CONTENT))
    assert path.read_bytes() == CONTENT
    assert _left(tmp_path) == ["file"]


@pytest.mark.parametrize("behaviour", ["cut", "cut_without_ranges", "changes", "chunked"])
def test_bytes_are_right_even_where_nothing_is_known_to_check_them(get, behaviour):
    assert get(behaviour).read_bytes() == CONTENT


def test_broken_connections_are_resumed_not_repeated(server, get):
    get("cut", sha256=SHA256[:8])
    assert _ranges(server) == [None, *(f"bytes={700_000 * i}-" for i in range(1, 5))]
    assert all(headers.get("Accept-Encoding") == "identity" for _, _, headers in server.asked)
    assert all(headers.get("If-Range") == '"1"' for _, _, headers in server.asked[1:])


def test_what_a_killed_run_left_is_used(server, get, tmp_path):
    (tmp_path / "file.part").write_bytes(CONTENT[:1_234_567])
    assert get("good", sha256=SHA256).read_bytes() == CONTENT
    assert _ranges(server) == ["bytes=1234567-"]


@pytest.mark.parametrize("left", [b"y" * 1000, CONTENT + b"more", b"y" * len(CONTENT)])
def test_wrong_bytes_of_a_killed_run_are_thrown_away(get, tmp_path, left):
    (tmp_path / "file.part").write_bytes(left)
    assert get("good", sha256=SHA256).read_bytes() == CONTENT


def test_whole_part_needs_no_more_bytes(server, get, tmp_path):
    (tmp_path / "file.part").write_bytes(CONTENT)
    assert get("good", sha256=SHA256).read_bytes() == CONTENT
    assert _ranges(server) == [f"bytes={len(CONTENT)}-"]


def test_what_is_there_is_not_fetched_again(server, get, tmp_path):
    (tmp_path / "file").write_bytes(CONTENT)
    get("404", sha256=SHA256, size=len(CONTENT))
    assert server.asked == []
    (tmp_path / "file").write_bytes(CONTENT[:-1])
    assert get("good", sha256=SHA256).read_bytes() == CONTENT


def test_other_bytes_than_asked_for(get, tmp_path):
    (tmp_path / "file.part").write_bytes(CONTENT[:5000])
    assert get("wrong_range", sha256=SHA256).read_bytes() == CONTENT


@pytest.mark.parametrize(
    "behaviour, keywords, sentence, kept",
    [
        ("wrong", {"sha256": SHA256[:8]}, r"its sha256 begins with \w+ instead of", []),
        ("wrong", {"md5": MD5}, r"its md5 begins with", []),
        ("too_short", {"sha256": SHA256}, "not the file that was published", []),
        ("too_short", {"size": len(CONTENT)}, "has 1,000,000 bytes instead of 3,000,000", []),
        ("too_long", {}, r"3\.0 MB are kept: the same command", ["file.part", "file.part.json"]),
        ("good", {"size": 17}, "has 3,000,000 bytes instead of 17", []),
        ("empty", {}, "it is empty", []),
        ("404", {}, "no file at .*404", []),
        ("403", {}, "in a browser", []),
        ("500", {}, "answers 500 .*tries without progress: 3", []),
        ("page", {}, "web page titled 'Sign in to the WiFi'", []),
        ("loop", {}, "no address of a file", []),
    ],
)
def test_what_cannot_work_ends_in_a_sentence(get, tmp_path, behaviour, keywords, sentence, kept):
    with pytest.raises(UserError, match=sentence):
        get(behaviour, retries=3, **keywords)
    assert _left(tmp_path) == kept


def test_a_silent_server_is_not_waited_for(get):
    begun = time.monotonic()
    assert get("hangs", sha256=SHA256, timeout=0.3).read_bytes() == CONTENT
    assert time.monotonic() - begun < 4


def test_waits_as_long_as_the_server_asks(get, monkeypatch):
    pauses = []
    monkeypatch.setattr("jaxret.fetch.transfer.time.sleep", pauses.append)
    get("slow_down", sha256=SHA256)
    assert pauses == [7.0]


def test_pauses_grow(get, monkeypatch):
    pauses = []
    monkeypatch.setattr("jaxret.fetch.transfer.time.sleep", pauses.append)
    with pytest.raises(UserError):
        get("500", retries=9, backoff=1.0)
    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60]


def test_nobody_answers(tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(UserError, match=r"no connection to 127.*Try again later"):
        fetch.download(f"http://127.0.0.1:{port}/x", tmp_path / "x", retries=2, backoff=0.001)
    with pytest.raises(UserError, match="is no address"):
        fetch.download("htp:/x", tmp_path / "x")


def test_mirrors_are_tried_in_order(server, tmp_path):
    mirrors = [f"{server.base}/wrong/x", f"{server.base}/good/x"]
    url, keywords = f"{server.base}/404/x", {"sha256": SHA256, "backoff": 0.001}
    path = fetch.download(url, tmp_path / "x", mirrors=mirrors, **keywords)
    assert path.read_bytes() == CONTENT
    assert [asked.split("/")[1] for asked, _, _ in server.asked] == ["404", "wrong", "good"]


def test_full_disk_is_told_before(get, tmp_path, monkeypatch):
    monkeypatch.setattr(checks.shutil, "disk_usage", lambda _: type("Usage", (), {"free": 71e6}))
    get("good")
    monkeypatch.setattr(checks.shutil, "disk_usage", lambda _: type("Usage", (), {"free": 66e6}))
    (tmp_path / "file").unlink()
    with pytest.raises(UserError, match=r"needs 3\.0 MB .* where 66\.0 MB are free"):
        get("good")
    assert _left(tmp_path) == []


def test_two_processes_do_not_write_the_same_file(get, tmp_path):
    fcntl = pytest.importorskip("fcntl")
    with (tmp_path / "file.part").open("ab") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(UserError, match="Another process is fetching"):
            get("good")
    assert get("good").read_bytes() == CONTENT


def test_places_that_cannot_be_written(get, tmp_path):
    (tmp_path / "file").mkdir()
    with pytest.raises(UserError, match="is not a file"):
        get("good")


def test_sizes_beforehand(server):
    assert fetch.remote_size(f"{server.base}/good/x") == len(CONTENT)
    assert fetch.remote_size(f"{server.base}/silent/x") is None
    assert fetch.remote_size("http://127.0.0.1:1/x") is None
    assert fetch.remote_size("gdrive:ID") is None


@pytest.mark.parametrize("way", ["drive", "drive_cookie", "good"])
def test_google_drive(server, tmp_path, monkeypatch, way):
    monkeypatch.setattr(drive, "_DOWNLOAD", f"{server.base}/{way}")
    (tmp_path / "x.part").write_bytes(CONTENT[:1000])
    path = fetch.download("gdrive:ID", tmp_path / "x", sha256=SHA256)
    assert path.read_bytes() == CONTENT
    assert server.asked[-1][1] == "bytes=1000-"


@pytest.mark.parametrize(
    "way, sentence", [("drive_quota", "tomorrow"), ("page", "wants a login"), ("404", "no file at")]
)
def test_google_drive_refuses(server, tmp_path, monkeypatch, way, sentence):
    monkeypatch.setattr(drive, "_DOWNLOAD", f"{server.base}/{way}")
    with pytest.raises(UserError, match=sentence):
        fetch.download("gdrive:ID", tmp_path / "x")


def test_human_sizes():
    sizes = {0: "0 bytes", 999: "999 bytes", 1500: "1.5 kB", 1_938_238_004: "1.9 GB"}
    assert {count: fetch.human_size(count) for count in sizes} == sizes
    assert fetch.human_size(3 * 10**12) == "3.0 TB"
