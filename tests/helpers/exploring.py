"""The page's server in a thread, and plain requests to it."""

import contextlib
import http.client
import json
import threading
import time

import uvicorn

from jaxret.explore import catalogue, serving
from jaxret.explore.app import Explorer
from jaxret.runtime.artifacts import Store


class Server:
    """Of one workdir, on a port of its own; `explorer` answers."""

    def __init__(self, settings, workdir):
        self.entries = catalogue.read(settings)
        self.explorer = Explorer(self.entries, Store(workdir))
        self._socket = serving.listening(0)
        self.port = self._socket.getsockname()[1]
        self.address = f"http://127.0.0.1:{self.port}"
        config = uvicorn.Config(self.explorer.app(), lifespan="off", log_level="warning")
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, args=([self._socket],))

    def __enter__(self):
        self._thread.start()
        while not self._server.started:
            time.sleep(0.01)
        return self

    def __exit__(self, *error):
        self._server.should_exit = True
        self._thread.join()
        self._socket.close()

    def entry(self, evaluated=True, **wanted):
        """The one entry whose settings have these values; or of those for searches alone."""
        [found] = [
            one
            for one in self.entries.values()
            if bool(one.rankings) == evaluated
            and all(getattr(one.settings, name) == value for name, value in wanted.items())
        ]
        return found.name

    def request(self, method, path, body=None, origin=True, **headers):
        """Status, headers and body of the answer; `headers` replace a browser's own."""
        sent = {"Host": f"127.0.0.1:{self.port}"}
        if origin:
            sent["Origin"] = self.address
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", self.port)) as connection:
            connection.request(method, path, body, sent)
            answer = connection.getresponse()
            return answer.status, dict(answer.getheaders()), answer.read()

    def json(self, path, method="GET", body=None):
        """What a request found; it must succeed."""
        status, _, text = self.request(method, path, body)
        assert status in (200, 201), text
        return json.loads(text)

    def error(self, path, method="GET", body=None, **more):
        """Status and sentence of a request that must not succeed."""
        status, _, text = self.request(method, path, body, **more)
        assert status >= 400
        return status, json.loads(text)["error"]

    def upload(self, encoded, name="mine.jpg"):
        return self.json(f"/api/uploads?name={name}", "POST", encoded)["token"]

    def search(self, token, entry, ranking="G", box=None):
        """All steps of a search."""
        asked = {"photograph": token, "entry": entry, "ranking": ranking, "box": box}
        status, _, text = self.request("POST", "/api/search", json.dumps(asked))
        assert status == 200, text
        return [json.loads(line) for line in text.splitlines()]
