"""Bitcoin Core's REST interface, strict: paths, statuses, texts, types.

Nothing else is served: Core's HTTP server answers any other path with 404 and no body. What it
says here is what a real one of version 29 answers (`test_tools_bitcoind_fake.py` holds it to that);
what older releases do otherwise are options.
"""

import json
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple

from misocoin.chain.state import ChainState
from misocoin.consensus.tree import HeaderNode
from misocoin.peers.messages import Address
from misocoin.primitives.transaction import Transaction

MOST_HEADERS = 2000

JSON, BINARY = "application/json", "application/octet-stream"
TEXT, NO_PATH = "text/plain", "text/html; charset=ISO-8859-1"


class Answer(NamedTuple):
    """What is said to a request."""

    status: int
    body: bytes
    kind: str = TEXT
    """The Content-Type."""


NOBODY = Answer(404, b"", NO_PATH)
"""To a path that is not known."""


@dataclass
class CoreRest:
    """What the server has, and how it behaves; a test may change it while it serves."""

    chain: ChainState
    pool: dict[str, Transaction] = field(default_factory=dict)
    """By txid, as displayed."""
    is_warming_up: bool = False
    has_rest: bool = True
    chain_name: object = "regtest"
    has_genesis: bool = True
    """Whether it knows the chain's first block by its hash."""
    pruned_below: int = 0
    """Blocks under this height have been pruned."""
    has_old_headers: bool = True
    """Whether `/rest/headers/<count>/<hash>` is known."""
    has_queries: bool = True
    """Whether a query may stand behind a path: since 24.0."""
    lists_ids: bool = True
    """Whether the mempool is listed by ids with `?verbose=false`: since 25.0."""
    closes: bool = False
    """Whether each connection serves one request (`Connection: close`)."""
    is_rude: bool = False
    """Whether connections end after an answer without a word."""
    asked: list[str] = field(default_factory=list)

    def answer(self, method: str, target: str) -> Answer:
        """The answer to a request."""
        self.asked.append(target)
        path, _, query = target.partition("?")
        routes = (
            (r"/rest/chaininfo\.json", lambda: self._json(self._chain_info())),
            (r"/rest/headers/(.+)\.bin", lambda rest: self._headers(rest, query)),
            (r"/rest/block/([^/]+)\.bin", self._block),
            (r"/rest/tx/([^/]+)\.bin", self._transaction),
            (r"/rest/mempool/contents\.json", lambda: self._contents(query)),
        )
        if not self.has_rest or not re.match(
            "/rest/(chaininfo|headers/|block/|tx/|mempool/)", path
        ):
            return NOBODY
        if self.is_warming_up:
            text = "Service temporarily unavailable: Loading block index\N{HORIZONTAL ELLIPSIS}\r\n"
            return Answer(503, text.encode())
        if query and not self.has_queries:
            return Answer(404, b"output format not found (available: json)\r\n")
        for pattern, call in routes:
            if found := re.fullmatch(pattern, path):
                assert method == "GET"
                return call(*found.groups())  # type: ignore[operator]
        return NOBODY

    @staticmethod
    def _json(value: object) -> Answer:
        return Answer(200, json.dumps(value, separators=(",", ":")).encode() + b"\n", JSON)

    def _chain_info(self) -> dict[str, object]:
        tip = self.chain.tip
        return {
            "chain": self.chain_name,
            "blocks": tip.height,
            "headers": self.chain.best_header.height,
            "bestblockhash": tip.header.hash_hex,
            "pruned": self.pruned_below > 0,
            "warnings": [],
        }

    def _find(self, name: str) -> HeaderNode | None:
        return self.chain.tree.get(bytes.fromhex(name)[::-1])

    @staticmethod
    def _is_hash(name: str) -> bool:
        return re.fullmatch("[0-9a-fA-F]{64}", name) is not None

    @staticmethod
    def _no_hash(name: str) -> Answer:
        return Answer(400, f"Invalid hash: {name}\r\n".encode())

    def _headers(self, rest: str, query: str) -> Answer:
        parts = rest.split("/")
        if len(parts) == 2 and self.has_old_headers:
            count, name = parts
        elif len(parts) == 1 and self.has_queries:
            name, count = parts[0], query.removeprefix("count=") or "5"
        elif self.has_queries:
            text = "Invalid URI format. Expected /rest/headers/<hash>.<ext>?count=<count>"
            return Answer(400, text.encode() + b"\r\n")
        else:
            text = "No header count specified. Use /rest/headers/<count>/<hash>.<ext>."
            return Answer(400, text.encode() + b"\r\n")
        if not count.isdecimal() or not 1 <= int(count) <= MOST_HEADERS:
            text = "Header count is invalid or out of acceptable range (1-2000): " + count
            return Answer(400, text.encode() + b"\r\n")
        if not self._is_hash(name):
            return self._no_hash(name)
        node, tip = self._find(name), self.chain.tip
        if node is None or not (self.has_genesis and node.is_ancestor_of(tip)):
            return Answer(200, b"", BINARY)
        last = tip.ancestor(min(tip.height, node.height + int(count) - 1))
        row = [node, *list(last.back_to(node))[::-1]]
        return Answer(200, b"".join([each.header.serialize() for each in row]), BINARY)

    def _block(self, name: str) -> Answer:
        if not self._is_hash(name):
            return self._no_hash(name)
        node = self._find(name)
        if node is None:
            return Answer(404, f"{name} not found\r\n".encode())
        if node.height < self.pruned_below:
            return Answer(404, f"{name} not available (pruned data)\r\n".encode())
        return Answer(200, self.chain.get_block_bytes(node), BINARY)

    def _transaction(self, name: str) -> Answer:
        if not self._is_hash(name):
            return self._no_hash(name)
        tx = self.pool.get(name)
        if tx is None:
            return Answer(404, f"{name} not found\r\n".encode())
        return Answer(200, tx.serialize(), BINARY)

    def _contents(self, query: str) -> Answer:
        if self.lists_ids and query not in ("", "verbose=true", "verbose=false"):
            text = 'The "verbose" query parameter must be either "true" or "false".\r\n'
            return Answer(400, text.encode())
        return self._json(self._listing(query))

    def _listing(self, query: str) -> object:
        if self.lists_ids and query == "verbose=false":
            return list(self.pool)
        return {txid: {"wtxid": tx.wtxid[::-1].hex()} for txid, tx in self.pool.items()}

    @contextmanager
    def serve(self, host: str = "127.0.0.1") -> Iterator[Address]:
        """Serve on a free port."""
        core = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_any(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length", 0)))
                answer = core.answer(self.command, self.path)
                self.send_response_only(answer.status)
                self.send_header("Content-Type", answer.kind)
                self.send_header("Content-Length", str(len(answer.body)))
                if core.closes:
                    self.send_header("Connection", "close")
                self.end_headers()
                self.wfile.write(answer.body)
                self.close_connection = core.closes or core.is_rude

            do_GET = do_POST = handle_any  # noqa: N815 - the base class calls them so

            def log_message(self, format: str, *args: object) -> None: ...

        class Server(ThreadingHTTPServer):
            address_family = socket.AF_INET6 if ":" in host else socket.AF_INET

        with Server((host, 0), Handler) as server:
            thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
            thread.start()
            try:
                yield Address(host, server.server_address[1])
            finally:
                server.shutdown()
                thread.join(10)
