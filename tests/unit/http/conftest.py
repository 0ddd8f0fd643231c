"""Servers on free ports of this machine."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from misocoin.http.server import Application, HttpServer
from misocoin.http.sockets import Limits

MakeServer = Callable[..., HttpServer]


@pytest.fixture
def serve() -> Iterator[MakeServer]:
    """Serve an application: `serve(app, workers=2)` takes fields of `Limits`."""
    servers: list[HttpServer] = []

    def make(application: Application, **limits: Any) -> HttpServer:
        server = HttpServer("localhost", 0, application, replace(Limits(), **limits))
        server.listen()
        server.start()
        servers.append(server)
        return server

    yield make
    for server in servers:
        server.stop()
