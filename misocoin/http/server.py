"""The one bounded HTTP server: cheroot, with its threads and sockets under limits.

cheroot parses HTTP and runs the WSGI application. What is ours is when a thread is given to a
connection (see `sockets` and `workers`), how many connections there may be, and that the server
starts and stops at once. The application finds in its environment, under `misocoin.permit`, the
context manager inside which it may wait (`workers`).
"""

import logging
import re
import socket
import sys
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import suppress
from io import BytesIO
from queue import Full
from threading import Lock, Thread
from time import monotonic
from typing import Any

from cheroot import wsgi
from cheroot.server import HeaderReader, HTTPConnection, HTTPRequest

from misocoin.http.errors import Overloaded, listen_error
from misocoin.http.sockets import Limits, RequestReader, ResponseWriter
from misocoin.http.workers import WorkerPool

log = logging.getLogger(__name__)

Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]
"""A WSGI application (PEP 3333)."""

PERMIT = "misocoin.permit"
"""Where the application's environment holds the server's `Permit`."""

HUNG_UP = "misocoin.hung_up"
"""Where it holds a function that tells whether the caller has closed its side meanwhile."""

_BUSY = (
    b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain\r\nConnection: close\r\n"
    b"Content-Length: 26\r\n\r\nWork queue depth exceeded\n"
)
_DRAIN_SECONDS = 2.0


_LENGTH = re.compile(rb"\d{1,18}")


class _Fields(dict[bytes, bytes]):
    """Header fields; those on which a proxy in front and we must agree come once (RFC 9112)."""

    def __setitem__(self, name: bytes, value: bytes) -> None:
        if name in (b"Content-Length", b"Host") and name in self:
            raise ValueError("a field that comes twice")
        if name == b"Content-Length" and not _LENGTH.fullmatch(value):
            raise ValueError("a length that is no number")
        super().__setitem__(name, value)


class _HeaderReader(HeaderReader):
    """Refuses blanks between a field's name and its colon, as RFC 9112 demands."""

    def _transform_key(self, key_name: bytes) -> bytes:
        if key_name != key_name.strip():
            raise ValueError("blanks around a field's name")
        key: bytes = super()._transform_key(key_name)  # type: ignore[misc]
        return key


class _Request(HTTPRequest):
    """A request whose answer's head goes out in one packet with the body."""

    header_reader = _HeaderReader()

    def read_request_headers(self) -> bool:
        self.inheaders = _Fields()
        if not super().read_request_headers():  # type: ignore[no-untyped-call]
            return False
        if self.chunked_read and not self.server.limits.chunked:
            # A body of unknown length could trickle without end.
            self.simple_response("411 Length Required", "Send a Content-Length.\n")
            return False
        if int(self.inheaders.get(b"Content-Length", 0)) < 0:
            self.simple_response("400 Bad Request", "Malformed Content-Length Header.\n")
            return False
        return True

    def respond(self) -> None:
        """Serve it; a body in chunks is taken whole before the application sees it."""
        if not self.chunked_read:
            super().respond()
            return
        body = self.conn.rfile.read_chunks()
        if body is None:
            self.simple_response("400 Bad Request", "Malformed or too many chunks.\n")
            return
        self.inheaders.pop(b"Transfer-Encoding", None)
        self.inheaders[b"Content-Length"] = str(len(body)).encode()
        self.rfile = BytesIO(body)
        self.server.gateway(self).respond()
        if self.ready:
            self.ensure_headers_sent()
        if self.chunked_write:
            self.conn.wfile.write(b"0\r\n\r\n")

    def simple_response(self, status: object, msg: str = "") -> None:
        super().simple_response(status, msg)
        self.conn.is_refused = True

    def send_headers(self) -> None:
        status: Any = self.status
        self.conn.is_refused = status.startswith(b"413")
        # cheroot would wait for the rest of a body of which the application had enough.
        self.close_connection = self.close_connection or self.conn.rfile.has_failed
        self.conn.wfile.hold()
        super().send_headers()


class _Connection(HTTPConnection):
    """A connection that keeps its thread only while there is something to do."""

    RequestHandlerClass = _Request

    def __init__(self, server: "_Server", sock: socket.socket, makefile: object = None) -> None:
        super().__init__(server, sock, server.make_file)
        sock.settimeout(server.limits.linger_seconds)
        self._pool: WorkerPool = server.requests
        self.is_counted = False
        self.is_refused = False

    def communicate(self) -> bool:
        """Serve the request that is here, and those that follow at once."""
        reader: RequestReader = self.rfile
        while not reader.has_ended:
            stays = super().communicate()  # type: ignore[no-untyped-call]
            self.wfile.flush()
            if not stays:
                if self.is_refused:
                    self._drain()
                return False
            if not reader.next_request() and not self._next_came():
                return True
        return False

    def _next_came(self) -> bool:
        """Stay a moment; True if there is something to do here."""
        if not self._pool.try_linger():
            return False
        try:
            return bool(self.rfile.gather())
        except TimeoutError:
            return False
        finally:
            self._pool.end_linger()

    def _drain(self) -> None:
        """Take what the client still sends: closing before would wipe out our answer to it."""
        with suppress(OSError, Overloaded), self._pool.permit():
            self.socket.shutdown(socket.SHUT_WR)
            deadline = monotonic() + _DRAIN_SECONDS
            while (left := deadline - monotonic()) > 0:
                self.socket.settimeout(left)
                if not self.socket.recv(1 << 16):
                    return

    def has_hung_up(self) -> bool:
        """Whether the caller sends nothing any more, and most likely does not listen either."""
        try:
            return not self.socket.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
        except (BlockingIOError, TimeoutError):  # the latter after the socket's short timeout
            return False
        except OSError:
            return True

    def interrupt(self) -> None:
        with suppress(OSError):
            self.socket.shutdown(socket.SHUT_RD)

    def close(self) -> None:
        self.server.forget(self)
        super().close()


class _Gateway(wsgi.Gateway_10):
    """cheroot's WSGI environment, with the permit to wait and what may end that."""

    def get_environ(self) -> dict[str, Any]:  # type: ignore[override]
        environ: dict[str, Any] = super().get_environ()  # type: ignore[no-untyped-call]
        environ[PERMIT] = self.req.server.requests.permit
        environ[HUNG_UP] = self.req.conn.has_hung_up
        return environ


class _Server(wsgi.Server):
    """cheroot's server with our connections and threads."""

    ConnectionClass = _Connection

    def __init__(self, address: tuple[str, int], application: Application, limits: Limits) -> None:
        super().__init__(
            address,
            application,
            server_name="misocoin",
            request_queue_size=128,
            timeout=int(limits.idle_seconds),
        )
        self.gateway = _Gateway
        self.limits = limits
        self.max_request_header_size = limits.head
        self.max_request_body_size = limits.body
        self.keep_alive_conn_limit = limits.connections
        self.requests = WorkerPool(self.put_conn, limits, f"http-{address[1]}")
        self._counted = 0
        self._counted_from: Counter[str] = Counter()
        self._open: set[_Connection] = set()
        self._past_traffic = (0, 0)
        self._count_lock = Lock()

    @staticmethod
    def bind_socket(socket_: socket.socket, bind_addr: Any) -> socket.socket:
        try:
            socket_.bind(bind_addr)
        except OSError as error:
            socket_.close()
            raise listen_error(str(bind_addr[0]), int(bind_addr[1]), error) from None
        return socket_

    def make_file(
        self, sock: socket.socket, mode: str, _size: int
    ) -> RequestReader | ResponseWriter:
        kind = RequestReader if "r" in mode else ResponseWriter
        return kind(sock, self.limits, self.requests.permit)

    def process_conn(self, conn: _Connection) -> None:
        """Take care of a connection that is new or has something to read.

        Only the thread that watches the sockets comes here, so nothing may block.
        """
        try:
            if conn.last_used is None:
                self._admit(conn)
            elif conn.rfile.has_data() or conn.rfile.gather():
                self.requests.put(conn)
            else:
                self.put_conn(conn)
        except Full:
            with suppress(OSError):
                conn.socket.send(_BUSY)
            conn.close()
        except TimeoutError:
            conn.close()

    def _admit(self, conn: _Connection) -> None:
        address = conn.remote_addr
        with self._count_lock:
            if self._counted >= self.limits.connections or (
                self._counted_from[address] >= self.limits.connections_per_address
                and not is_loopback(address)
            ):
                raise Full
            self._counted += 1
            self._counted_from[address] += 1
            conn.is_counted = True
            self._open.add(conn)
        self.put_conn(conn)

    def forget(self, conn: _Connection) -> None:
        """Count a connection no more."""
        with self._count_lock:
            if conn.is_counted:
                conn.is_counted = False
                self._counted -= 1
                self._counted_from[conn.remote_addr] -= 1
                self._counted_from += Counter()
                self._open.discard(conn)
                received, sent = self._past_traffic
                self._past_traffic = (
                    received + conn.rfile.bytes_read,
                    sent + conn.wfile.bytes_written,
                )

    def traffic(self) -> tuple[int, int]:
        """Bytes received and sent so far."""
        with self._count_lock:
            now = [(conn.rfile.bytes_read, conn.wfile.bytes_written) for conn in self._open]
            received, sent = self._past_traffic
        return received + sum(each[0] for each in now), sent + sum(each[1] for each in now)

    def put_conn(self, conn: _Connection) -> None:
        """Watch a connection until something comes on it."""
        try:
            super().put_conn(conn)
        except (ValueError, OSError, KeyError):
            # The watch ended in this moment, or the socket did.
            conn.close()

    def error_log(self, msg: str = "", level: int = logging.INFO, traceback: bool = False) -> None:
        log.log(level, "%s", msg, exc_info=traceback)


class HttpServer:
    """A WSGI application on a port."""

    def __init__(
        self, host: str, port: int, application: Application, limits: Limits | None = None
    ) -> None:
        limits = limits or Limits()
        self._server = _Server((numeric_host(host), port), _answering(application), limits)
        self._thread = Thread(target=self._serve, name=f"http-{port}", daemon=True)

    @property
    def address(self) -> tuple[str, int]:
        """Host and port that it listens on; the port is known for sure after `listen`."""
        host, port = self._server.bind_addr[:2]
        return host, port

    def traffic(self) -> tuple[int, int]:
        """Bytes received and sent since the start."""
        return self._server.traffic()

    def listen(self) -> None:
        """Take the port; who connects now waits. Raises ListenError where it cannot be had."""
        self._server.prepare()

    def start(self) -> None:
        """Serve, after `listen`."""
        self._thread.start()

    def _serve(self) -> None:
        self._server.serve()

    def stop(self, timeout: float = 5.0) -> None:
        """Take no more requests, let those being served end, close every connection."""
        if not self._server.ready:
            return
        self._server.shutdown_timeout = timeout
        self._wake()
        self._server.stop()
        if self._thread.is_alive():
            self._thread.join(timeout)
        statistics = getattr(logging, "statistics", {})
        statistics.pop(f"Cheroot HTTPServer {id(self._server)}", None)

    def _wake(self) -> None:
        """End the wait for connections now, not at the end of cheroot's half second."""
        with suppress(AttributeError):
            self._server._connections._stop_requested = True  # type: ignore[attr-defined]
        with suppress(OSError):
            socket.create_connection(self.address, timeout=1).close()


def _answering(application: Application) -> Application:
    """Have an application answer 500 where it fails before it began to answer."""

    def answering(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        try:
            return application(environ, start_response)
        except Exception:
            log.exception("a request failed")
            headers = [("Content-Type", "text/plain"), ("Content-Length", "15")]
            start_response("500 Internal Server Error", headers, sys.exc_info())
            return [b"internal error\n"]

    return answering


def numeric_host(host: str) -> str:
    """Settle what `localhost` means: it could be ::1 here and 127.0.0.1 to a client."""
    return "127.0.0.1" if host == "localhost" else host


def is_loopback(address: str | None) -> bool:
    """Whether an address (in digits) is this machine's own."""
    return address == "::1" or (address or "").startswith(("127.", "::ffff:127."))
