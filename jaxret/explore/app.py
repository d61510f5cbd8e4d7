"""The page and what it asks for, as an ASGI app.

/                                    the page, its scripts and styles below /static
/api/catalogue                       entries, by dataset
/api/dataset, queries, query, missed one thing of a workdir, by the names of the catalogue
/photograph/DATASET/SPLIT/NUMBER     a picture, `size=small|large`
/api/uploads, index, search          a photograph of one's own

A photograph is asked for by the number that it has in a dataset of the workdir: no address holds a
path, and no file is found by a name that a browser sent.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from importlib import resources
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from jaxret.data.images.decode import BadImage
from jaxret.errors import UserError
from jaxret.explore import bodies, findings, searching
from jaxret.explore.catalogue import Entry
from jaxret.explore.indexing import Indexing
from jaxret.explore.safety import OnlyThisPage
from jaxret.explore.searching import Searching, folder_of
from jaxret.explore.stored import Stored
from jaxret.explore.thumbnails import SIDES, Thumbnails
from jaxret.explore.uploads import MOST_BYTES, Uploads
from jaxret.runtime.artifacts import Store

MOST_JSON = 10_000  # bytes of a request
QUERIES, DATABASE = "queries", "database"
_PICTURE = {"cache-control": "private, max-age=300"}
_FRESH = {"cache-control": "no-cache"}
_STATIC = {  # name -> package, file, type
    "style.css": ("jaxret.report", "templates/style.css", "text/css"),
    "page.css": ("jaxret.report", "templates/page.css", "text/css"),
    "explore.css": ("jaxret.explore", "static/explore.css", "text/css"),
    **{
        name: ("jaxret.explore", f"static/{name}", "text/javascript")
        for name in ("explore.js", "shared.js", "pictures.js", "results.js", "search.js", "box.js")
    },
}


class Explorer:
    """The answers to what the page asks for."""

    def __init__(self, entries: Mapping[str, Entry], store: Store) -> None:
        self._entries = entries
        self._stored = Stored(store.root)
        self._thumbnails = Thumbnails(store.root)
        self._uploads = Uploads()
        self._indexing = Indexing(self._stored)
        self._searching = Searching(self._stored, self._indexing)

    def app(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/", _index_page),
                Route("/favicon.ico", _nothing),
                Route("/static/{name}", _static),
                Route("/api/catalogue", self.catalogue),
                Route("/api/dataset", self.dataset),
                Route("/api/queries", self.queries),
                Route("/api/query", self.query),
                Route("/api/missed", self.missed),
                Route("/api/folder", self.folder),
                Route("/photograph/{dataset}/{split}/{number:int}", self.photograph),
                Route("/api/uploads", self.upload, methods=["POST"]),
                Route("/api/uploads/{token}", self.preview),
                Route("/api/index", self.index),
                Route("/api/index", self.make_index, methods=["POST"]),
                Route("/api/search", self.search, methods=["POST"]),
            ],
            middleware=[Middleware(OnlyThisPage)],
            exception_handlers={UserError: _user_error, HTTPException: _http_error},
        )

    # What there is

    def catalogue(self, request: Request) -> Response:
        entries = [
            {
                "name": one.name,
                "label": one.label,
                "dataset": one.dataset,
                "rankings": list(one.rankings),
            }
            for one in self._entries.values()
        ]
        labels = {one.dataset: one.dataset_label for one in self._entries.values()}
        content = {
            "workdir": str(self._stored.context.store.root),
            "datasets": [{"name": name, "label": label} for name, label in labels.items()],
            "entries": entries,
            "searches": list(searching.RANKINGS),
            "shown": findings.SHOWN,
            "most_bytes": MOST_BYTES,
        }
        return JSONResponse(content, headers=_FRESH)

    def dataset(self, request: Request) -> Response:
        entry = self._entry(request)
        dataset = self._stored.dataset(entry)
        content = {
            "label": dataset.name,
            "database": len(dataset.database),
            "queries": len(dataset.queries),
            "protocols": findings.protocols_of(entry, self._stored),
            "notes": list(dataset.notes),
        }
        return JSONResponse(content, headers=_FRESH)

    # Results

    def queries(self, request: Request) -> Response:
        return self._finding(request, findings.queries)

    def query(self, request: Request) -> Response:
        return self._finding(request, findings.one_query, bodies.number(request, "query"))

    def missed(self, request: Request) -> Response:
        return self._finding(request, findings.missed, bodies.number(request, "query"))

    def _finding(self, request: Request, of: Callable[..., Any], *more: Any) -> Response:
        asked = request.query_params
        which = asked.get("ranking", ""), asked.get("protocol") or None
        found = of(self._entry(request), *which, *more, self._stored)
        return JSONResponse(found, headers=_FRESH)

    # Photographs

    def photograph(self, request: Request) -> Response:
        asked, size = request.path_params, request.query_params.get("size", "small")
        known = {QUERIES: True, DATABASE: False}
        if asked["split"] not in known or size not in SIDES:
            raise HTTPException(404, "There is no such picture.")
        dataset = self._stored.dataset(self._of_dataset(asked["dataset"]))
        which = known[asked["split"]], int(asked["number"])
        try:
            jpeg = self._thumbnails.jpeg(dataset, *which, size)
        except IndexError:
            raise HTTPException(404, "There is no photograph of that number.") from None
        except BadImage as error:
            raise HTTPException(404, error.reason) from error
        return Response(jpeg, media_type="image/jpeg", headers=_PICTURE)

    def folder(self, request: Request) -> Response:
        entry, number = self._entry(request), bodies.number(request, "number")
        dataset = self._stored.dataset(entry)
        if not 0 <= number < len(dataset.database):
            raise HTTPException(404, "There is no photograph of that number.")
        return JSONResponse({"folder": folder_of(dataset, number)}, headers=_FRESH)

    # Search

    async def upload(self, request: Request) -> Response:
        encoded = await bodies.body(request, MOST_BYTES)
        name = request.query_params.get("name", "")
        try:
            token, upload = await run_in_threadpool(self._uploads.add, encoded, name)
        except BadImage as error:
            raise UserError(f"{error.name} cannot be used: {error.reason}.") from error
        content = {"token": token, "name": upload.name, "size": list(upload.size)}
        return JSONResponse(content, 201)

    def preview(self, request: Request) -> Response:
        upload = self._uploads.get(request.path_params["token"])
        return Response(upload.preview, media_type="image/jpeg", headers=_PICTURE)

    def index(self, request: Request) -> Response:
        return JSONResponse(self._indexing.state(self._entry(request)), headers=_FRESH)

    def make_index(self, request: Request) -> Response:
        entry = self._entry(request)
        stop = request.query_params.get("stop") == "1"
        (self._indexing.stop if stop else self._indexing.start)(entry)
        return JSONResponse(self._indexing.state(entry))

    async def search(self, request: Request) -> Response:
        asked = bodies.json_of(await bodies.body(request, MOST_JSON))
        entry = self._by_name(str(asked.get("entry")))
        upload = self._uploads.get(str(asked.get("photograph")))
        steps = self._searching.search(
            entry, upload, bodies.box(asked.get("box")), str(asked.get("ranking"))
        )
        return StreamingResponse(_lines(steps), media_type="application/x-ndjson", headers=_FRESH)

    def _entry(self, request: Request) -> Entry:
        return self._by_name(request.query_params.get("entry", ""))

    def _by_name(self, name: str) -> Entry:
        if name not in self._entries:
            raise HTTPException(404, "There is no such evaluation in this workdir.")
        return self._entries[name]

    def _of_dataset(self, name: str) -> Entry:
        for entry in self._entries.values():
            if entry.dataset == name:
                return entry
        raise HTTPException(404, "There is no such dataset in this workdir.")


def _index_page(request: Request) -> Response:
    return Response(_file("jaxret.explore", "static/index.html"), media_type="text/html")


def _nothing(request: Request) -> Response:
    return Response(status_code=204)


def _static(request: Request) -> Response:
    row = _STATIC.get(request.path_params["name"])
    if row is None:
        raise HTTPException(404, "There is no such file.")
    package, file, kind = row
    return Response(_file(package, file), media_type=kind, headers=_FRESH)


def _file(package: str, file: str) -> bytes:
    return resources.files(package).joinpath(file).read_bytes()


def _lines(steps: Iterator[dict[str, Any]]) -> Iterator[bytes]:
    """A line of JSON a step; what goes wrong is the last."""
    try:
        for step in steps:
            yield json.dumps(step).encode() + b"\n"
    except BadImage as error:
        yield json.dumps({"error": f"{error.name} cannot be used: {error.reason}."}).encode()
    except UserError as error:
        yield json.dumps({"error": str(error)}).encode()


async def _user_error(request: Request, error: Exception) -> Response:
    return JSONResponse({"error": str(error)}, 400)


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return JSONResponse({"error": error.detail}, error.status_code)
