"""Gates as processes, and what stands at their ends."""

import asyncio
import json
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from tests.functional.framework.daemon import DEADLINE
from tests.functional.framework.work import Program


class GateProcess(Program):
    """`misocoin hashcash client` or `server` on a free port."""

    def __init__(self, home: Path, role: str, target: int, *options: str) -> None:
        super().__init__(
            home, role, "--listen_port=0", "--target_host=127.0.0.1", f"--target_port={target}",
            *options, group="hashcash",
        )  # fmt: skip
        self.port = int(self.log.wait_for(r"listening on port (\d+)")[1])


class Line:
    """A connection that speaks lines."""

    def __init__(self, port: int, host: str = "127.0.0.1", timeout: float = DEADLINE) -> None:
        self.socket = socket.create_connection((host, port), timeout)
        self._file = self.socket.makefile("rb")

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def read(self) -> bytes:
        """The next line; empty at the end."""
        return self._file.readline()

    def reply(self) -> Any:
        """The next line, as JSON."""
        return json.loads(self.read())

    def ask(self, method: str, *params: Any, id: Any = 1) -> Any:  # noqa: A002
        """Send a request and read a line."""
        request = {"id": id, "method": method, "params": params}
        self.send(json.dumps(request).encode() + b"\n")
        return self.reply()

    def end(self) -> None:
        """Say that nothing more will come."""
        self.socket.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        self._file.close()
        self.socket.close()

    def __enter__(self) -> "Line":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


Handle = Callable[[bytes], bytes]
"""From a line (its end included) to what is sent back."""


def echo(line: bytes) -> bytes:
    """Answer a request with the length of its line."""
    value = json.loads(line.decode("utf-8", "replace"))
    if isinstance(value, list):
        return json.dumps([{"id": one.get("id"), "result": 0} for one in value]).encode() + b"\n"
    if "id" not in value:
        return b""
    return json.dumps({"id": value["id"], "result": len(line)}).encode() + b"\n"


class Upstream:
    """A server in a thread, which writes down all it gets."""

    def __init__(
        self, handle: Handle = echo, host: str = "127.0.0.1", port: int = 0, tls: Any = None
    ) -> None:
        self.handle = handle
        self.received: list[bytes] = []
        self.connections = 0
        self._loop = asyncio.new_event_loop()
        self._server = self._loop.run_until_complete(
            asyncio.start_server(self._serve, host, port, limit=1 << 26, ssl=tls)
        )
        self.port: int = self._server.sockets[0].getsockname()[1]
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()

    @property
    def data(self) -> bytes:
        """Everything that came, over all connections."""
        return b"".join(self.received)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            with suppress(ConnectionError, asyncio.CancelledError):
                while line := await reader.readline():
                    self.received.append(line)
                    writer.write(self.handle(line))
                    await writer.drain()
                writer.close()
        finally:
            if not writer.is_closing():
                writer.transport.abort()

    def close(self) -> None:
        async def stop() -> None:
            self._server.close()
            tasks = asyncio.all_tasks() - {asyncio.current_task()}
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

        asyncio.run_coroutine_threadsafe(stop(), self._loop).result(DEADLINE)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(DEADLINE)
        self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        self._loop.close()


class PacketRelay:
    """The original's way with sockets: what one `recv` of 4,096 bytes gives is a message.

    `convert` makes of each packet from the near side what goes on, or raises: then all is over,
    as it is for the original's process.
    """

    def __init__(self, target: int, convert: Callable[[bytes], bytes]) -> None:
        self._target = target
        self._convert = convert
        self.died: Exception | None = None
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        self._open: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._socket.accept()
                far = socket.create_connection(("127.0.0.1", self._target), DEADLINE)
                self._open += [near, far]
                for source, sink, convert in ((near, far, self._convert), (far, near, bytes)):
                    thread = threading.Thread(target=self._relay, args=(source, sink, convert))
                    self._threads.append(thread)
                    thread.start()

    def _relay(
        self, source: socket.socket, sink: socket.socket, convert: Callable[[bytes], bytes]
    ) -> None:
        try:
            while packet := source.recv(4096):
                sink.sendall(convert(packet))
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            pass
        except Exception as error:  # noqa: BLE001 - as a process, it would be gone
            self.died = error
            self.close()

    def close(self) -> None:
        for one in (self._socket, *self._open):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.join(DEADLINE)
