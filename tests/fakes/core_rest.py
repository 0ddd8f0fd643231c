"""Bitcoin Core's REST interface as its sources have it, strict: paths, statuses, texts, HTTP.

Nothing else is served: Core's HTTP server answers any other path with 404 and no body. Its sources
are src/rest.cpp and src/httpserver.cpp (29.0); what older releases do otherwise are options.
"""

import json
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from misocoin.chain.state import ChainState
from misocoin.consensus.tree import HeaderNode
from misocoin.peers.messages import Address
from misocoin.primitives.transaction import Transaction

MOST_HEADERS = 2000

Answer = tuple[int, bytes]
"""Status and body."""


@dataclass
class CoreRest:
    """What the server has, and how it behaves; a test may change it while it serves."""

    chain: ChainState
    pool: dict[str, Transaction] = field(default_factory=dict)
    """By txid, as displayed."""
    is_warming_up: bool = False
    has_rest: bool = True
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
        if not self.has_rest or not path.startswith("/rest/"):
            return 404, b""
        if self.is_warming_up:
            return 503, b"Service temporarily unavailable: Loading block index\xe2\x80\xa6\r\n"
        if query and not self.has_queries:
            return 404, b"output format not found (available: json)\r\n"
        routes = (
            (r"/rest/chaininfo\.json", lambda: self._json(self._chain_info())),
            (r"/rest/headers/(.+)\.bin", lambda rest: self._headers(rest, query)),
            (r"/rest/block/([0-9a-fA-F]{64})\.bin", self._block),
            (r"/rest/tx/([0-9a-fA-F]{64})\.bin", self._transaction),
            (r"/rest/mempool/contents\.json", lambda: self._json(self._listing(query))),
        )
        for pattern, call in routes:
            if found := re.fullmatch(pattern, path):
                assert method == "GET"
                return call(*found.groups())  # type: ignore[operator]
        return 404, b""

    @staticmethod
    def _json(value: object) -> Answer:
        return 200, json.dumps(value).encode() + b"\n"

    def _chain_info(self) -> dict[str, object]:
        tip = self.chain.tip
        return {
            "chain": "regtest",
            "blocks": tip.height,
            "headers": self.chain.best_header.height,
            "bestblockhash": tip.header.hash_hex,
            "pruned": self.pruned_below > 0,
            "warnings": [],
        }

    def _find(self, name: str) -> HeaderNode | None:
        return self.chain.tree.get(bytes.fromhex(name)[::-1])

    def _headers(self, rest: str, query: str) -> Answer:
        parts = rest.split("/")
        if len(parts) == 2 and self.has_old_headers:
            count, name = parts
        elif len(parts) == 1 and self.has_queries:
            name, count = parts[0], query.removeprefix("count=") or "5"
        elif self.has_queries:
            text = "Invalid URI format. Expected /rest/headers/<hash>.<ext>?count=<count>"
            return 400, text.encode() + b"\r\n"
        else:
            text = "No header count specified. Use /rest/headers/<count>/<hash>.<ext>."
            return 400, text.encode() + b"\r\n"
        if not count.isdecimal() or not 1 <= int(count) <= MOST_HEADERS:
            text = "Header count is invalid or out of acceptable range (1-2000): " + count
            return 400, text.encode() + b"\r\n"
        if not re.fullmatch("[0-9a-f]{64}", name):
            return 400, f"Invalid hash: {name}\r\n".encode()
        node, tip = self._find(name), self.chain.tip
        if node is None or not node.is_ancestor_of(tip):
            return 200, b""
        last = tip.ancestor(min(tip.height, node.height + int(count) - 1))
        row = [node, *list(last.back_to(node))[::-1]]
        return 200, b"".join([each.header.serialize() for each in row])

    def _block(self, name: str) -> Answer:
        node = self._find(name)
        if node is None:
            return 404, f"{name} not found\r\n".encode()
        if node.height < self.pruned_below:
            return 404, f"{name} not available (pruned data)\r\n".encode()
        return 200, self.chain.get_block_bytes(node)

    def _transaction(self, name: str) -> Answer:
        tx = self.pool.get(name)
        return (404, f"{name} not found\r\n".encode()) if tx is None else (200, tx.serialize())

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
                status, body = core.answer(self.command, self.path)
                self.send_response_only(status)
                self.send_header("Content-Type", "application/octet-stream")
                self.send_header("Content-Length", str(len(body)))
                if core.closes:
                    self.send_header("Connection", "close")
                self.end_headers()
                self.wfile.write(body)
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
