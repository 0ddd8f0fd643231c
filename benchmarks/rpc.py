"""JSON-RPC calls a second, by one client and by four, over kept-open connections.

    [BITCOIND=/path/to/bitcoind] python benchmarks/rpc.py [ROUNDS] [SECONDS]

The clients are processes of their own that speak HTTP on bare sockets, so that what is measured is
the daemon. Trivial calls (`uptime`), batches of them, `get_info`, a block with its transactions.
Beside it the same trivial view through Flask's own routing on the same server, and a real
bitcoind's `uptime`. In each round all calls of the table are measured once, for SECONDS; figures
are medians.
"""

import base64
import json
import multiprocessing
import socket
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack, closing
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from misocoin.http.server import HttpServer
from tests.functional.framework.bitcoind import CREDENTIALS, Bitcoind, named_bitcoind
from tests.functional.framework.daemon import Daemon

PAYMENTS = 24
"""In the block that is asked for; more would be a longer chain than the mempool takes."""

CLIENTS = 4


def request_for(port: int, call: Any, credentials: str, path: str = "/") -> bytes:
    body = json.dumps(call).encode()
    token = base64.b64encode(credentials.encode()).decode()
    return (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUser-Agent: benchmark\r\n"
        f"Accept: */*\r\nContent-Type: application/json\r\nAuthorization: Basic {token}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    ).encode() + body


class Clients:
    """Processes that send requests, each over a connection that stays open while it is measured."""

    def __init__(self, count: int) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipes: list[Connection] = []
        for _ in range(count):
            ours, theirs = context.Pipe()
            context.Process(target=_work, args=(theirs,), daemon=True).start()
            self._pipes.append(ours)

    def repeat(self, port: int, request: bytes, clients: int, seconds: float) -> tuple[int, float]:
        """One request over and over: how many were answered, and the seconds that took."""
        return self._measure([(port, [request], seconds)] * clients)

    def deliver(self, port: int, requests: Sequence[bytes], clients: int) -> tuple[int, float]:
        """Each request once, shared out among the clients: how many, and the seconds that took."""
        return self._measure([(port, requests[n::clients], 0.0) for n in range(clients)])

    def _measure(self, jobs: Sequence[tuple[int, Sequence[bytes], float]]) -> tuple[int, float]:
        pipes = self._pipes[: len(jobs)]
        for pipe, job in zip(pipes, jobs, strict=True):
            pipe.send(job)
        for pipe in pipes:
            pipe.recv()  # it is connected
        began = time.perf_counter()
        for pipe in pipes:
            pipe.send("go")
        count = sum(pipe.recv() for pipe in pipes)
        return count, time.perf_counter() - began

    def close(self) -> None:
        for pipe in self._pipes:
            pipe.send(None)


def _work(pipe: Connection) -> None:
    """A client's life: jobs until there is none."""
    while (job := pipe.recv()) is not None:
        port, requests, seconds = job
        with socket.create_connection(("127.0.0.1", port)) as sock:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if seconds:
                exchange(sock, requests[0])
            pipe.send("connected")
            pipe.recv()
            count, end = 0, time.perf_counter() + seconds
            if seconds:
                while time.perf_counter() < end:
                    exchange(sock, requests[0])
                    count += 1
            else:
                for request in requests:
                    exchange(sock, request)
                count = len(requests)
        pipe.send(count)


def exchange(sock: socket.socket, request: bytes) -> None:
    """Send a request and read the whole answer."""
    sock.sendall(request)
    data = sock.recv(1 << 20)
    while b"\r\n\r\n" not in data:
        data += sock.recv(1 << 20)
    head, _, body = data.partition(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 200"):
        sys.exit(head.decode() + body.decode())
    length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
    left = length - len(body)
    while left > 0:
        left -= len(sock.recv(1 << 20))


def flask_server() -> HttpServer:
    """The same server with the trivial call as a view of Flask."""
    from flask import Flask, Response, request

    app = Flask("rival")

    @app.post("/")
    def view() -> Response:
        call = request.get_json(force=True)
        reply = json.dumps({"result": 1, "error": None, "id": call["id"]})
        return Response(reply, mimetype="application/json")

    server = HttpServer("localhost", 0, app.wsgi_app)
    server.listen()
    server.start()
    return server


def serve_flask(pipe: Connection) -> None:
    """Tell the port, serve until told to end: a process of its own, as the daemons are."""
    server = flask_server()
    pipe.send(server.address[1])
    pipe.recv()
    server.stop()


class Row:
    """A line of the table: a request, how many calls it holds, and what was measured."""

    def __init__(self, name: str, port: int, credentials: str, call: Any) -> None:
        self.name = name
        self.calls = len(call) if isinstance(call, list) else 1
        self.port = port
        self.request = request_for(port, call, credentials)
        self.rates: dict[int, list[float]] = {1: [], CLIENTS: []}

    def measure(self, clients: Clients, seconds: float) -> None:
        for many, rates in self.rates.items():
            count, took = clients.repeat(self.port, self.request, many, seconds)
            rates.append(self.calls * count / took)

    def __str__(self) -> str:
        cells = "".join(f"{statistics.median(rates):11,.0f}" for rates in self.rates.values())
        return f"{self.name:46}{cells}"


def call_of(method: str, *params: Any) -> dict[str, Any]:
    return {"id": 1, "method": method, "params": params}


def rows_of(daemon: Daemon) -> list[Row]:
    """Calls of ours."""
    address = daemon.rpc.get_new_address()
    daemon.rpc.generate(101)
    for _ in range(PAYMENTS):
        daemon.rpc.send_misocoin(address, "0.1")
    daemon.rpc.generate(1)
    calls = {
        "uptime": call_of("uptime"),
        "uptime, in batches of 100": [call_of("uptime")] * 100,
        "get_info": call_of("get_info"),
        **{
            f"get_block, {PAYMENTS + 1} transactions, {what}": call_of("get_block", 102, detail)
            for detail, what in enumerate(("hex", "ids", "whole transactions"))
        },
    }
    key = ":".join(daemon.credentials)
    return [Row(name, daemon.port, key, call) for name, call in calls.items()]


def main() -> None:
    """Print the table."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    seconds = float(sys.argv[2]) if len(sys.argv) > 2 else 1
    program = named_bitcoind()
    with ExitStack() as held:
        base = Path(held.enter_context(tempfile.TemporaryDirectory()))
        daemon = held.enter_context(closing(Daemon(base / "node")))
        rows = rows_of(daemon.start())
        mining = Row(
            "uptime, while mining", daemon.port, ":".join(daemon.credentials), call_of("uptime")
        )
        pipe, end = multiprocessing.Pipe()
        context = multiprocessing.get_context("spawn")
        context.Process(target=serve_flask, args=(end,), daemon=True).start()
        held.callback(pipe.send, None)
        rows.append(Row("a view of Flask on this server", pipe.recv(), "u:p", call_of("uptime")))
        if program is not None:
            rival = held.enter_context(closing(Bitcoind(program, base / "bitcoind")))
            rival.start()
            trivial = call_of("uptime")
            for name, call in (("", trivial), (", in batches of 100", [trivial] * 100)):
                rows.append(Row(f"bitcoind: uptime{name}", rival.port, ":".join(CREDENTIALS), call))
        clients = held.enter_context(closing(Clients(CLIENTS)))
        for _ in range(rounds):
            for row in rows:
                row.measure(clients, seconds)
            daemon.rpc.set_mining(True)
            mining.measure(clients, seconds)
            daemon.rpc.set_mining(False)
    print(f"{f'calls a second, medians of {rounds}':46}{'1 client':>11}{f'{CLIENTS} clients':>11}")
    for row in (*rows[:3], mining, *rows[3:]):
        print(row)
    if program is None:
        print("bitcoind: not measured (name one in BITCOIND)")


if __name__ == "__main__":
    main()
