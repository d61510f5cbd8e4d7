"""The server: one process, on 127.0.0.1."""

import socket

import uvicorn

from jaxret.errors import UserError
from jaxret.explore import catalogue
from jaxret.explore.app import Explorer
from jaxret.explore.settings import ExploreSettings
from jaxret.runtime.artifacts import Store
from jaxret.settings import Settings
from jaxret.stages.context import workdir_of

ADDRESS = "127.0.0.1"


def serve(settings: ExploreSettings) -> None:
    """Serves the page until the process is told to end.

    Raises:
      UserError: there is nothing to show, or the port is taken.
    """
    entries = catalogue.read(settings)
    workdir = workdir_of(Settings(workdir=settings.workdir))
    app = Explorer(entries, Store(workdir)).app()
    with listening(settings.port) as listener:
        port = listener.getsockname()[1]
        print(f"Look into {workdir}: http://{ADDRESS}:{port}/ (Ctrl+C ends it)", flush=True)
        config = uvicorn.Config(app, lifespan="off", log_level="warning", access_log=False)
        uvicorn.Server(config).run(sockets=[listener])


def listening(port: int) -> socket.socket:
    """A socket of this machine alone."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((ADDRESS, port))
        listener.listen()  # before the address is told: whoever is quick waits, and is not refused
    except OSError as error:
        listener.close()
        raise UserError(
            f"Port {port} of {ADDRESS} cannot be used ({error.strerror}): name another by "
            "--port=NUMBER, or --port=0 for any that is free."
        ) from error
    return listener
