"""Bitcoin Core's validation engine as a peer: it serves its chain, or checks that of a node.

    kernel_peer.py serve FOLDER [PORT]           Core's REST paths on localhost, as with -rest
    kernel_peer.py check FOLDER HOST:PORT        pull a node's chain and have it validated

`--chain bitcoin` in front chooses the main network; else it is regtest. Needs py-bitcoinkernel.
"""

import argparse
import json
import re
import sys
import threading
from contextlib import suppress
from http import HTTPStatus
from http.client import HTTPException
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.parse import parse_qs, urlsplit
from urllib.request import urlopen

from bitcoin_kernel import Engine

HEADER_SIZE = 80
ASKED = r"([^/]+?)(?:\.(bin|hex|json))?"
"""What is asked for and a format; another ending belongs to what is asked for, as in Core."""

MAX_HEADERS = 2000
MAX_BLOCK_SIZE = 4_000_000
CORE_NAMES = {"regtest": "regtest", "bitcoin": "main"}


def display(block_hash: bytes) -> str:
    """A hash as people see it."""
    return block_hash[::-1].hex()


def say(line: str) -> None:
    """Print a line at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


class Refused(Exception):
    """A request that Core answers with a status and a line."""

    def __init__(self, status: HTTPStatus, message: str = "") -> None:
        super().__init__(message)
        self.status = status


# -- serving ----------------------------------------------------------------------------------


class Rest:
    """Core's REST paths for pulling a chain. Nothing else is known here, `/peer/` least of all."""

    def __init__(self, engine: Engine, chain: str) -> None:
        self._engine = engine
        self._chain = chain

    def answer(self, path: str, query: dict[str, list[str]]) -> bytes:
        """The answer's body; raises Refused."""
        views = {
            r"/rest/chaininfo\.json": lambda _: self._chain_info(),
            r"/rest/mempool/contents\.json": lambda _: b"{}\n",  # the engine has none
            rf"/rest/headers/([^/]+)/{ASKED}": lambda m: self._headers(m[1], m[2], m[3]),
            rf"/rest/headers/{ASKED}": lambda m: self._headers(
                query.get("count", ["5"])[0], m[1], m[2]
            ),
            rf"/rest/block/{ASKED}": lambda m: self._block(m[1], m[2]),
            rf"/rest/blockhashbyheight/{ASKED}": lambda m: self._block_hash(m[1], m[2]),
        }
        for pattern, view in views.items():
            if match := re.fullmatch(pattern, path):
                return view(match)
        raise Refused(HTTPStatus.NOT_FOUND)

    def _chain_info(self) -> bytes:
        """Of Core's fields those that the library tells."""
        engine = self._engine
        best = engine.hash_at(engine.height)
        first = max(0, engine.height - 10)
        headers = engine.active_headers(engine.hash_at(first), 11)
        times = [int.from_bytes(header[68:72], "little") for header in headers]
        info = {
            "chain": CORE_NAMES[self._chain],
            "blocks": engine.height,
            "headers": engine.best_header_height,
            "bestblockhash": display(best),
            "bits": f"{int.from_bytes(headers[-1][72:76], 'little'):08x}",
            "time": times[-1],
            "mediantime": sorted(times)[len(times) // 2],
            "pruned": False,
            "warnings": [],
        }
        return json.dumps(info).encode() + b"\n"

    def _headers(self, count: str, text: str, form: str | None) -> bytes:
        if not re.fullmatch(r"\d{1,9}", count) or not 1 <= int(count) <= MAX_HEADERS:
            raise Refused(
                HTTPStatus.BAD_REQUEST,
                f"Header count is invalid or out of acceptable range (1-{MAX_HEADERS}): {count}",
            )
        headers = self._engine.active_headers(self._hash(text), int(count))
        return self._form(b"".join(headers), form)

    def _block(self, text: str, form: str | None) -> bytes:
        block_hash = self._hash(text)
        if self._engine.entry(block_hash) is None:
            raise Refused(HTTPStatus.NOT_FOUND, f"{text} not found")
        raw = self._engine.read(block_hash)
        if raw is None:
            raise Refused(HTTPStatus.NOT_FOUND, f"{text} not available (not fully downloaded)")
        return self._form(raw, form)

    def _block_hash(self, text: str, form: str | None) -> bytes:
        if not re.fullmatch(r"\d{1,9}", text):
            raise Refused(HTTPStatus.BAD_REQUEST, f"Invalid height: {text}")
        if int(text) > self._engine.height:
            raise Refused(HTTPStatus.NOT_FOUND, "Block height out of range")
        block_hash = self._engine.hash_at(int(text))
        if form == "json":
            return json.dumps({"blockhash": display(block_hash)}).encode() + b"\n"
        return self._form(block_hash if form == "bin" else block_hash[::-1], form)

    @staticmethod
    def _hash(text: str) -> bytes:
        if not re.fullmatch(r"[0-9a-fA-F]{64}", text):
            raise Refused(HTTPStatus.BAD_REQUEST, f"Invalid hash: {text}")
        return bytes.fromhex(text)[::-1]

    @staticmethod
    def _form(data: bytes, form: str | None) -> bytes:
        if form == "bin":
            return data
        if form == "hex":
            return data.hex().encode() + b"\n"
        raise Refused(
            HTTPStatus.NOT_FOUND, "output format not found (available: .bin, .hex, .json)"
        )


def make_handler(engine: Engine, chain: str) -> type[BaseHTTPRequestHandler]:
    """Requests to `engine`, one at a time."""
    lock = threading.Lock()
    rest = Rest(engine, chain)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            try:
                with lock:
                    self._send(HTTPStatus.OK, rest.answer(parts.path, parse_qs(parts.query)))
            except Refused as refused:
                self._send(refused.status, f"{refused}\r\n".encode())

        def do_POST(self) -> None:
            """`/feed` takes a block and tells the engine's verdict: how the chain gets in here."""
            length = int(self.headers.get("Content-Length", 0))
            if self.path != "/feed" or length > MAX_BLOCK_SIZE:
                self.close_connection = True  # the body is left unread
                self._send(HTTPStatus.NOT_FOUND, b"")
                return
            with lock:
                verdict = engine.process(self.rfile.read(length))
            self._send(HTTPStatus.OK, json.dumps(verdict._asdict()).encode())

        def _send(self, status: HTTPStatus, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments: Any) -> None:
            """Print nothing."""

    return Handler


def serve(engine: Engine, chain: str, port: int) -> None:
    """Serve until the process is ended."""
    try:
        server = ThreadingHTTPServer(("127.0.0.1", port), make_handler(engine, chain))
    except OSError as error:
        sys.exit(f"port {port}: {error.strerror}")
    with server:
        say(f"listening on 127.0.0.1:{server.server_port}")
        server.serve_forever()


# -- checking ---------------------------------------------------------------------------------


def get(node: str, path: str) -> bytes:
    """A document of the node's."""
    try:
        with urlopen(f"http://{node}/rest/{path}", timeout=60) as answer:
            return answer.read(2 * MAX_BLOCK_SIZE)
    except (URLError, OSError, HTTPException) as error:
        reason = getattr(error, "reason", error)
        sys.exit(f"{node}: {getattr(reason, 'strerror', None) or reason}")


def new_hashes(engine: Engine, node: str) -> list[bytes]:
    """The node's blocks from the last that both have on, at most 2,000 of them."""
    back, height = 1, engine.height
    while True:
        text = display(engine.hash_at(height))
        headers = get(node, f"headers/{MAX_HEADERS}/{text}.bin")
        if headers or height == 0:
            break
        height, back = max(0, height - back), back * 2
    if not headers:
        sys.exit(f"{node} is on another chain")
    # Each header but the first names the one before it; the last one has to be asked for.
    previous = [headers[at + 4 : at + 36] for at in range(HEADER_SIZE, len(headers), HEADER_SIZE)]
    last = get(node, f"blockhashbyheight/{height + len(previous)}.bin")
    return [*previous[1:], last] if previous else []


def check(engine: Engine, node: str) -> None:
    """Pull what is new until nothing is; ends with an error where a block is refused."""
    done = 0
    while hashes := new_hashes(engine, node):
        for block_hash in hashes:
            text = display(block_hash)
            verdict = engine.process(get(node, f"block/{text}.bin"))
            if verdict.reason is not None:
                sys.exit(f"Bitcoin Core's engine refuses block {text}: {verdict.reason}")
            done += verdict.is_new
    best = json.loads(get(node, "chaininfo.json"))["bestblockhash"]
    ours = display(engine.hash_at(engine.height))
    if best != ours:
        sys.exit(f"the node's best block is {best}, the engine's {ours} at height {engine.height}")
    say(f"{done} new blocks are valid; both have best block {ours} at height {engine.height}")


def main() -> None:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--chain", choices=CORE_NAMES, default="regtest")
    commands = parser.add_subparsers(dest="command", required=True)
    serving = commands.add_parser("serve")
    serving.add_argument("folder", type=Path)
    serving.add_argument("port", type=int, nargs="?", default=0)
    checking = commands.add_parser("check")
    checking.add_argument("folder", type=Path)
    checking.add_argument("node")
    options = parser.parse_args()
    try:
        engine = Engine(options.folder.absolute(), options.chain)
    except RuntimeError:
        sys.exit(f"{options.folder} is in use, or holds another chain")
    with suppress(KeyboardInterrupt):
        if options.command == "serve":
            serve(engine, options.chain, options.port)
        else:
            check(engine, options.node)


if __name__ == "__main__":
    main()
