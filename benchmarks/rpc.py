"""JSON-RPC calls a second, by one client and by several, over kept-open connections.

    python benchmarks/rpc.py [SECONDS]

The clients are processes of their own that speak HTTP on bare sockets, so that what is measured is
the daemon. Trivial calls (`uptime`), `get_info`, a block with its transactions, batches. Beside it
the same trivial view through Flask's own routing on the same server, and with
BITCOIND=/path/to/bitcoind its `uptime`.
"""

import base64
import json
import multiprocessing
import os
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from misocoin.http.client import HttpClient
from misocoin.http.errors import HttpError, RpcError
from misocoin.http.jsonrpc import JsonRpcClient
from misocoin.http.server import HttpServer
from tests.functional.framework.daemon import Daemon, clean_environment, reserved_port, wait_until

PAYMENTS = 24
"""In the block that is asked for; more would be a longer chain than the mempool takes."""


def request_for(port: int, call: Any, credentials: str, path: str = "/") -> bytes:
    body = json.dumps(call).encode()
    token = base64.b64encode(credentials.encode()).decode()
    return (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUser-Agent: benchmark\r\n"
        f"Accept: */*\r\nContent-Type: application/json\r\nAuthorization: Basic {token}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    ).encode() + body


def hammer(port: int, request: bytes, seconds: float, start: Any, counts: Any) -> None:
    """Send one request after the other for some seconds; tell how many were answered."""
    with socket.create_connection(("127.0.0.1", port)) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        exchange(sock, request)
        start.wait()
        count, end = 0, time.perf_counter() + seconds
        while time.perf_counter() < end:
            exchange(sock, request)
            count += 1
    counts.put(count)


def exchange(sock: socket.socket, request: bytes) -> bytes:
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
    return body


def calls_a_second(port: int, request: bytes, clients: int, seconds: float) -> float:
    context = multiprocessing.get_context("spawn")
    start, counts = context.Barrier(clients), context.Queue()
    workers = [
        context.Process(target=hammer, args=(port, request, seconds, start, counts))
        for _ in range(clients)
    ]
    for worker in workers:
        worker.start()
    total = sum(counts.get() for _ in workers)
    for worker in workers:
        worker.join()
    return total / seconds


def row(name: str, port: int, request: bytes, seconds: float, calls: int = 1) -> None:
    one, four = (calls * calls_a_second(port, request, n, seconds) for n in (1, 4))
    print(f"{name:44} {one:9.0f} {four:9.0f}", flush=True)


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


def bitcoind(seconds: float) -> None:
    with reserved_port() as port, tempfile.TemporaryDirectory() as folder:
        process = subprocess.Popen(
            [
                os.environ["BITCOIND"], "-regtest", f"-datadir={folder}", f"-rpcport={port}",
                "-listen=0", "-rpcuser=u", "-rpcpassword=p", "-printtoconsole=0",
            ],
            env=clean_environment(Path(folder)),
        )  # fmt: skip
        http = HttpClient()
        client = JsonRpcClient(f"http://127.0.0.1:{port}", ("u", "p"), http)
        wait_until(lambda: answers(client), "bitcoind answers")
        call = {"id": 1, "method": "uptime", "params": []}
        row("bitcoind: uptime", port, request_for(port, call, "u:p"), seconds)
        process.terminate()
        process.wait()
        http.close()


def answers(client: JsonRpcClient) -> bool:
    try:
        client.call("uptime")
    except (HttpError, RpcError):
        return False
    return True


def main() -> None:
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 3
    print(f"{'calls a second':44} {'1 client':>9} {'4 clients':>9}")
    with tempfile.TemporaryDirectory() as folder:
        daemon = Daemon(Path(folder) / "node").start()
        try:
            cookie = (daemon.folder / ".cookie").read_text()
            address = daemon.rpc.get_new_address()
            daemon.rpc.generate(101)
            for _ in range(PAYMENTS):
                daemon.rpc.send_misocoin(address, "0.1")
            daemon.rpc.generate(1)

            def measure(name: str, call: Any, calls: int = 1) -> None:
                request = request_for(daemon.port, call, cookie)
                row(name, daemon.port, request, seconds, calls)

            trivial = {"id": 1, "method": "uptime", "params": []}
            measure("uptime", trivial)
            measure("uptime, in batches of 100", [trivial] * 100, 100)
            measure("get_info", {**trivial, "method": "get_info"})
            for detail, what in enumerate(("hex", "ids", "whole transactions")):
                params = [102, detail]
                measure(
                    f"get_block, {PAYMENTS + 1} transactions, {what}",
                    {**trivial, "method": "get_block", "params": params},
                )
            daemon.rpc.set_mining(True)
            measure("uptime, while mining", trivial)
        finally:
            daemon.close()
    server = flask_server()
    port = server.address[1]
    row("a view of Flask on this server", port, request_for(port, {"id": 1}, "u:p"), seconds)
    server.stop()
    if "BITCOIND" in os.environ:
        bitcoind(seconds)


if __name__ == "__main__":
    main()
