"""Downloads from a small FTP server on this machine that breaks off."""

import hashlib
import socketserver
import threading
from collections.abc import Iterator

import numpy as np
import pytest

from jaxret import fetch
from jaxret.errors import UserError

CONTENT = np.random.default_rng(0).bytes(2_500_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Session(socketserver.StreamRequestHandler):
    """One control connection: what ftplib asks for to fetch one file, RFC 959 and 3659."""

    def say(self, line: str) -> None:
        self.wfile.write(f"{line}\r\n".encode())

    def handle(self) -> None:
        self.say("220 ready")
        self.rest, self.data = 0, None
        for line in self.rfile:
            command, _, argument = line.decode().strip().partition(" ")
            answer = getattr(self, f"on_{command.lower()}", None)
            if answer is None:
                self.say("502 not implemented")
            elif answer(argument) == "end":
                break

    def on_user(self, _):
        self.say("331 password?")

    def on_pass(self, _):
        self.say("230 welcome")

    def on_type(self, _):
        self.say("200 binary")

    def on_size(self, path):
        self.say(f"213 {len(CONTENT)}" if "missing" not in path else "550 no such file")

    def on_mdtm(self, path):
        self.say("213 20160923000000")

    def on_pasv(self, _):
        self.data = socketserver.socket.create_server(("127.0.0.1", 0))
        high, low = divmod(self.data.getsockname()[1], 256)
        self.say(f"227 Entering Passive Mode (127,0,0,1,{high},{low})")

    def on_rest(self, offset):
        self.rest = int(offset)
        self.say("350 from there")

    def on_retr(self, path):
        self.server.asked.append(self.rest)
        self.say("150 here it comes")
        connection, _ = self.data.accept()
        length = 900_000 if "cut" in path else len(CONTENT)
        connection.sendall(CONTENT[self.rest : self.rest + length])
        connection.close()
        self.data.close()
        self.say("226 done")
        return "end"


@pytest.fixture
def server() -> Iterator[socketserver.ThreadingTCPServer]:
    running = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Session)
    running.daemon_threads = True
    running.asked = []
    running.base = f"ftp://127.0.0.1:{running.server_address[1]}"
    thread = threading.Thread(target=running.serve_forever, args=(0.01,))
    thread.start()
    yield running
    running.shutdown()
    running.server_close()
    thread.join()


def test_resumes_until_it_is_whole(server, tmp_path):
    url = f"{server.base}/corpus/cut.tar.gz"
    path = fetch.download(url, tmp_path / "x", sha256=SHA256, backoff=0.001)
    assert path.read_bytes() == CONTENT
    assert server.asked == [0, 900_000, 1_800_000]
    assert [file.name for file in tmp_path.iterdir()] == ["x"]


def test_whole_at_once_and_its_size(server, tmp_path):
    url = f"{server.base}/whole"
    assert fetch.remote_size(url) == len(CONTENT)
    assert fetch.download(url, tmp_path / "x").read_bytes() == CONTENT
    (tmp_path / "y.part").write_bytes(CONTENT)
    assert fetch.download(url, tmp_path / "y", sha256=SHA256).read_bytes() == CONTENT
    assert server.asked == [0]


def test_missing_file_and_missing_server(server, tmp_path):
    with pytest.raises(UserError, match=r"does not hand out .*550 no such file"):
        fetch.download(f"{server.base}/missing", tmp_path / "x")
    assert list(tmp_path.iterdir()) == []
    assert fetch.remote_size(f"{server.base}/missing") is None
    with pytest.raises(UserError, match="did not come"):
        fetch.download("ftp://127.0.0.1:1/x", tmp_path / "x", retries=2, backoff=0.001)
