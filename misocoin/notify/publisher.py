"""Publishes the ZeroMQ messages on the sockets that the owner named. Needs pyzmq."""

import logging
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from misocoin.chain.events import Event
from misocoin.consensus.tree import HeaderNode
from misocoin.errors import ConfigError
from misocoin.notify.zmq_messages import MessageCounter, MessageMaker, Topic
from misocoin.packages import package_missing

if TYPE_CHECKING:
    import zmq

log = logging.getLogger(__name__)

DEFAULT_HIGH_WATER_MARK = 1000
"""Messages that a socket keeps for a slow subscriber; newer ones are lost to it."""


class Publication(NamedTuple):
    """A topic on an address, as the owner asked for it."""

    topic: Topic
    address: str
    """Such as `tcp://127.0.0.1:28332` or `ipc:///tmp/blocks`."""
    high_water_mark: int = DEFAULT_HIGH_WATER_MARK


class _Channel(NamedTuple):
    socket: "zmq.Socket[bytes]"
    counter: MessageCounter


class ZmqPublisher:
    """Sends; its `handle` is to be subscribed to the chain's events.

    Topics on one address share a socket. Sending never waits: a subscriber that is behind by more
    than the high-water mark loses messages, and sees it by their count.
    """

    def __init__(
        self, publications: Sequence[Publication], block_bytes: Callable[[HeaderNode], bytes]
    ) -> None:
        """Raises ConfigError where pyzmq is missing or an address cannot be had."""
        try:
            import zmq
        except ImportError:
            raise package_missing("-zmqpub…", "pyzmq") from None
        self._context = zmq.Context()
        self._sockets: dict[str, zmq.Socket[bytes]] = {}
        self._channels: dict[Topic, list[_Channel]] = {}
        self._maker = MessageMaker(self._channels, block_bytes)
        self._no_wait = zmq.DONTWAIT
        self._error = zmq.ZMQError
        self.publications = tuple(publications)
        """What is published, and where."""
        for each in publications:
            try:
                socket = self._socket(each)
            except zmq.ZMQError as error:
                self.close()
                raise ConfigError(
                    f"-zmqpub{each.topic.value}={each.address}: {error.strerror}"
                ) from None
            channel = _Channel(socket, MessageCounter(each.topic))
            self._channels.setdefault(each.topic, []).append(channel)

    def _socket(self, wanted: Publication) -> "zmq.Socket[bytes]":
        import zmq

        socket = self._sockets.get(wanted.address)
        if socket is None:
            socket = self._sockets[wanted.address] = self._context.socket(zmq.PUB)
            socket.setsockopt(zmq.LINGER, 0)
            socket.setsockopt(zmq.SNDHWM, wanted.high_water_mark)
            socket.setsockopt(zmq.TCP_KEEPALIVE, 1)
            socket.setsockopt(zmq.IPV6, int("[" in wanted.address))
            socket.bind(_endpoint(wanted.address))
        return socket

    def handle(self, event: Event) -> None:
        """Send an event's messages; called under the chain's lock, which keeps them in order."""
        for topic, data in self._maker.of(event):
            for channel in self._channels[topic]:
                try:
                    channel.socket.send_multipart(channel.counter.message(data), self._no_wait)
                except self._error as error:
                    log.warning("a ZeroMQ message was not sent: %s", error)

    def close(self) -> None:
        """Close all sockets; what was not sent yet is lost."""
        self._context.destroy(linger=0)


def _endpoint(address: str) -> str:
    """ZeroMQ's name of an address: Core writes `unix:/path` for what it calls `ipc:///path`."""
    return f"ipc://{address[5:]}" if address.startswith("unix:") else address
