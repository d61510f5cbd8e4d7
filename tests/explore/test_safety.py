"""Who may ask, and for what: other hosts, other pages, other files and large bodies may not."""

import io
import socket
import struct
import zlib

import pytest
from PIL import Image
from things import view

pytest.importorskip("uvicorn", reason="the extra explore is not installed")
from jaxret.errors import UserError
from jaxret.explore import app, serving


def test_it_listens_on_this_machine_alone(server):
    assert server._socket.getsockname()[0] == "127.0.0.1"
    assert server._socket.family == socket.AF_INET


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example", ""])
def test_another_host_is_refused(server, host):
    status, _, text = server.request("GET", "/api/catalogue", Host=host)
    assert status == 403 and b"workdir" not in text


def test_another_name_of_this_machine_may_ask(server):
    assert server.request("GET", "/", Host=f"localhost:{server.port}")[0] == 200


@pytest.mark.parametrize("origin", [None, "null", "http://evil.example", "http://127.0.0.1:1"])
@pytest.mark.parametrize("path", ["/api/uploads", "/api/search", "/api/index?entry=x"])
def test_what_costs_something_needs_the_own_origin(server, origin, path):
    headers = {} if origin is None else {"Origin": origin}
    assert server.request("POST", path, b"{}", origin=False, **headers)[0] == 403


def test_another_site_may_lead_to_the_page_and_ask_for_nothing_else(server):
    for site in ("cross-site", "same-site"):
        assert server.request("GET", "/", Sec_Fetch_Site=site)[0] == 200
        for path in ("/api/catalogue", "/static/explore.js", "/photograph/x/database/0"):
            assert server.request("GET", path, Sec_Fetch_Site=site)[0] == 403


def test_nothing_may_be_loaded_from_elsewhere(server):
    for path in ("/", "/static/explore.css", "/nothing"):
        _, headers, text = server.request("GET", path)
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy and "unsafe" not in policy and "http" not in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert b"http://" not in text and b"https://" not in text


@pytest.mark.parametrize(
    "number",
    ["99", "9999999999", "-1", "0.5", "..%2f..%2fgnd.json", "../../../etc/passwd", "0/../1", "%00"],
)
def test_a_photograph_is_a_number_of_a_dataset_and_nothing_else(server, number):
    [dataset] = [
        one for one in server.json("/api/catalogue")["datasets"] if one["label"] == "things"
    ]
    base = f"/photograph/{dataset['name']}/database/"
    assert server.request("GET", base + "15")[0] == 200
    assert server.request("GET", base + number)[0] == 404


@pytest.mark.parametrize(
    "path",
    [
        "/static/../app.py", "/static/..%2fapp.py", "/static/%2e%2e/app.py", "/static//etc/passwd",
        "/static/index.html", "/photograph/things/database/0", "/photograph/../../etc/passwd",
        "//etc/passwd", "/api/folder/etc", "/gnd.json",
    ],
)  # fmt: skip
def test_a_path_that_tries_to_leave_finds_nothing(server, path):
    status, _, text = server.request("GET", path)
    assert status == 404
    assert b"import" not in text and b"root:" not in text


def test_methods_that_nothing_takes_are_refused(server):
    assert server.request("DELETE", "/api/catalogue")[0] == 405
    assert server.request("POST", "/api/catalogue")[0] == 405


def header_of_png(width, height):
    def chunk(kind, content):
        return (
            struct.pack(">I", len(content))
            + kind
            + content
            + struct.pack(">I", zlib.crc32(kind + content))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    pixels = zlib.compress(bytes(1000))
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize(
    ("encoded", "word"),
    [
        (b"", "empty"),
        (b"<script>alert(1)</script>", "no picture"),
        (b"\xff\xd8\xff\xe0 cut short", "decode"),
        (header_of_png(30_000, 30_000), "more pixels"),
        (b"\0\0\0\x18ftypqt  \0\0\0\0qt  ", "video"),
    ],
)
def test_a_bad_upload_is_refused_with_a_reason(server, encoded, word):
    status, sentence = server.error("/api/uploads?name=holiday.jpg", "POST", encoded)
    assert status == 400
    assert sentence.startswith("holiday.jpg cannot be used") and word in sentence


def test_a_name_of_an_upload_is_a_name_only(server):
    found = server.json("/api/uploads?name=..%2F..%2Fetc%2Fpass%0Awd", "POST", view("coffee", 1))
    assert "\n" not in found["name"] and found["size"] == [160, 120]


def test_a_large_upload_is_refused_before_it_is_in_memory(server, monkeypatch):
    monkeypatch.setattr(app, "MOST_BYTES", 1000)
    assert server.error("/api/uploads", "POST", bytes(1001))[0] == 413
    in_parts = iter([bytes(600), bytes(600), bytes(600)])  # no length is said
    assert server.error("/api/uploads", "POST", in_parts)[0] == 413
    monkeypatch.setattr(app, "MOST_BYTES", 100_000)
    assert server.upload(view("coffee", 0))


def test_an_upload_is_shown_upright_and_only_to_who_has_its_token(server):
    exif = Image.Exif()
    exif[0x0112] = 6  # a quarter turn
    stream = io.BytesIO()
    Image.new("RGB", (80, 40), (200, 0, 0)).save(stream, "JPEG", exif=exif)
    found = server.json("/api/uploads?name=turned.jpg", "POST", stream.getvalue())
    assert found["size"] == [40, 80]
    status, headers, text = server.request("GET", f"/api/uploads/{found['token']}")
    assert status == 200 and headers["content-type"] == "image/jpeg"
    assert Image.open(io.BytesIO(text)).size == (40, 80)
    assert server.error("/api/uploads/guessed")[0] == 400
    assert server.request("GET", "/api/uploads/..%2f..%2fetc%2fpasswd")[0] >= 400


def test_a_port_that_is_taken_is_said(server):
    with pytest.raises(UserError, match=f"Port {server.port} of 127.0.0.1 cannot be used"):
        serving.listening(server.port)
