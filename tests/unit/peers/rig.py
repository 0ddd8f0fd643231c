"""A whole network manager over a chain in memory, and bad servers for it to dial."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from misocoin.chain.events import EventBus
from misocoin.chain.mempool import Mempool
from misocoin.chain.mempool_rules import MempoolRules
from misocoin.chain.pool import TransactionPool
from misocoin.chain.script_cache import ScriptCache
from misocoin.chain.script_checks import ScriptChecks
from misocoin.chain.state import ChainState
from misocoin.crypto.batch import SignatureCache
from misocoin.http.server import HttpServer
from misocoin.narrator import Narrator
from misocoin.params import regtest
from misocoin.peers.limits import PeerLimits
from misocoin.peers.manager import PeerManager, PeerSettings
from misocoin.peers.messages import Address
from misocoin.policy.settings import MempoolLimits, RelayPolicy
from misocoin.rpc.block_forms import BlockForms
from misocoin.rpc.finder import TransactionFinder
from misocoin.rpc.pages import make_flask
from misocoin.rpc.peer_routes import PeerRoutes
from misocoin.rpc.rest import RestRoutes
from misocoin.store.store import Store
from misocoin.testing.daemon import wait_until
from tests.builders import make_block

LIMITS = PeerLimits(
    headers_seconds=2, block_seconds=1, stall_seconds=0.5, poll_seconds=2, retry_seconds=0.2
)


class Silent:
    """A progress that shows nothing."""

    def update(self, count: int, done: float, total: float) -> None: ...

    def close(self) -> None: ...


class Rig:
    """A node's chain, pool, network and port, without a process of its own."""

    def __init__(self, nodes: tuple[Address, ...] = (), limits: PeerLimits = LIMITS) -> None:
        params = regtest()
        self.store = Store(None, params.genesis.hash)
        signatures, passed = SignatureCache(), ScriptCache()
        self.scripts = ScriptChecks(1, signatures, passed)
        self.chain = ChainState(
            params, self.store, self.scripts, EventBus(), lambda: int(time.time())
        )
        self.chain.load()
        rules = MempoolRules(params, RelayPolicy(), MempoolLimits(), signatures, passed)
        self.pool = TransactionPool(self.chain, Mempool(self.chain, rules))
        self.chain.events.subscribe(self.pool.handle)
        app = make_flask(self._extend)
        self.server = HttpServer("127.0.0.1", 0, app.wsgi_app)
        self.server.listen()
        self.address = Address("127.0.0.1", self.server.address[1])
        settings = PeerSettings(
            port=self.address.port, listens_locally=True, nodes=nodes, dials=False, limits=limits
        )
        narrator = Narrator(lambda _: False, params)
        self.manager = PeerManager(
            self.chain, self.pool, settings, lambda *_: Silent(), narrator.silence
        )
        PeerRoutes(self.manager).add_to(app)
        self.server.start()
        self.manager.start()

    def _extend(self, app: Any) -> None:
        mempool = self.pool.mempool
        finder = TransactionFinder(self.chain, mempool, lambda _txid: None)
        RestRoutes(self.chain, mempool, BlockForms(self.chain), finder).add_to(app)

    def mine(self, count: int = 1) -> None:
        """Put blocks on the chain."""
        for _ in range(count):
            self.chain.submit_block(make_block(self.chain.tip, self.chain.params))

    def close(self) -> None:
        """End all of it."""
        self.manager.stop()
        self.server.stop()
        self.scripts.close()
        self.store.close()


def wait_for(condition: Callable[[], Any]) -> Any:
    """Wait until a condition holds."""
    return wait_until(condition, "it never came true")


Serve = Callable[[bytes, socket.socket], None]


@contextmanager
def bad_server(serve: Serve) -> Iterator[Address]:
    """A server that answers requests (by their head) as it likes, on raw sockets."""
    listener = socket.create_server(("127.0.0.1", 0))
    stopping = threading.Event()

    def work(sock: socket.socket) -> None:
        with suppress(OSError), sock:
            while not stopping.is_set():
                head = b""
                while b"\r\n\r\n" not in head:
                    data = sock.recv(65536)
                    if not data:
                        return
                    head += data
                serve(head, sock)

    def accept() -> None:
        with suppress(OSError):
            while True:
                sock, _ = listener.accept()
                threading.Thread(target=work, args=(sock,), daemon=True).start()

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield Address("127.0.0.1", listener.getsockname()[1])
    finally:
        stopping.set()
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(60)


def answer(sock: socket.socket, body: bytes, status: str = "200 OK") -> None:
    """A whole HTTP answer."""
    head = f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    sock.sendall(head + body)
