"""A service without sockets: connections as byte strings, and a clock that a test turns."""

from itertools import count
from typing import Any

from misocoin.errors import ParseError
from misocoin.work.admission import Limits
from misocoin.work.connection import WorkConnection
from misocoin.work.effects import Close, Effect, Send
from misocoin.work.framing import Splitter, bytes_from_object, object_from_bytes
from misocoin.work.service import Access, Service


class Link:
    """One connection: what it sends, and what it was sent."""

    def __init__(self, rig: "Rig", number: int) -> None:
        self.rig = rig
        self.number = number
        self.line = WorkConnection()
        self.received = b""
        self.is_closed = False

    def send_bytes(self, data: bytes) -> None:
        """Send bytes as they are."""
        self.line.feed(data)
        while not self.is_closed and (event := self.line.next_event()) is not None:
            self.rig.service.receive(self.number, event, self.rig.now)
            self.rig.pump()

    def send(self, **message: Any) -> None:
        """Send a message, with a line's end in the framed dialect."""
        self.send_bytes(bytes_from_object(message) + b"\n")

    def hello(self, **more: Any) -> "Link":
        """Begin the framed dialect."""
        self.send(hello="misocoin-work", version=1, **more)
        return self

    def answers(self) -> list[dict[str, Any]]:
        """Everything that came since the last call."""
        splitter = Splitter(1 << 20)
        splitter.feed(self.received)
        self.received = b""
        found = []
        while (message := splitter.next_message()) is not None:
            found.append(object_from_bytes(message))
        if splitter.has_part:
            raise ParseError("half a message")
        return found

    def answer(self) -> dict[str, Any]:
        """The one message that came since the last call."""
        (answer,) = self.answers()
        return answer

    def leave(self) -> None:
        """Hang up."""
        self.rig.links.pop(self.number, None)
        self.rig.service.disconnect(self.number, self.rig.now)
        self.rig.pump()


class Rig:
    """A service and its connections."""

    def __init__(
        self, limits: Limits | None = None, access: Access | None = None, *, has_store: bool = False
    ) -> None:
        self.now = 1000.0
        self.service = Service(limits or Limits(), self.now, access, has_store=has_store)
        self.links: dict[int, Link] = {}
        self.wishes: list[Effect] = []
        """What the service wants of its store."""
        self._last = 0
        self._numbers = count()

    def fresh(self) -> int:
        """A number that was not given out before."""
        return next(self._numbers)

    def connect(self, address: str = "192.0.2.1") -> Link:
        """A new connection that is let in."""
        self._last += 1
        assert self.service.connect(self._last, address, self.now) is None
        link = self.links[self._last] = Link(self, self._last)
        return link

    def framed(self, address: str = "192.0.2.1", **hello: Any) -> Link:
        """A new connection in the framed dialect, welcomed."""
        link = self.connect(address).hello(**hello)
        assert link.answer() == {"hello": "misocoin-work", "version": 1}
        return link

    def pump(self) -> None:
        """Carry out what the service wants."""
        for effect in self.service.effects():
            if isinstance(effect, Send):
                if link := self.links.get(effect.connection):
                    link.received += link.line.answer_bytes(effect.request, effect.answer)
            elif isinstance(effect, Close):
                if link := self.links.pop(effect.connection, None):
                    link.is_closed = True
                    self.service.disconnect(effect.connection, self.now)
            else:
                self.wishes.append(effect)

    def pass_time(self, seconds: float, step: float = 0.25) -> None:
        """Let time pass, in steps as the shell takes them."""
        end = self.now + seconds
        while self.now < end:
            self.now = min(self.now + step, end)
            self.service.tick(self.now)
            self.pump()
