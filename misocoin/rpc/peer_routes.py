"""The paths under `/peer/`, by which our own nodes speak to each other (see `docs/peers.md`).

    POST /peer/hello               the handshake, JSON both ways
    POST /peer/<session>/messages  messages for this node
    GET  /peer/<session>/poll      waits for messages for the node that dialled
    POST /peer/<session>/pull      a request, answered at once
    POST /peer/<session>/bye       ends the link

The binary bodies are rows of frames (`misocoin.peers.messages`).
"""

from collections.abc import Callable, Iterator
from typing import Any, Protocol

from flask import Flask, Response, request
from werkzeug.exceptions import ClientDisconnected

from misocoin.errors import ParseError
from misocoin.http.errors import HttpError, Overloaded
from misocoin.http.server import PERMIT
from misocoin.peers.addresses import is_local
from misocoin.peers.dialling import RefusedError
from misocoin.peers.events import Disconnected, Event, Garbage
from misocoin.peers.hello import MAX_HELLO, Hello, bytes_from_hello, hello_from_bytes
from misocoin.peers.limits import MAX_BODY
from misocoin.peers.links import Mailbox
from misocoin.peers.messages import Message, Request, messages_from_bytes, serialize_message
from misocoin.peers.traffic import HELLO

MAX_REQUEST = 1 << 18
"""Bytes of a request to be answered at once."""


class PeerPort(Protocol):
    """What the routes need of the network."""

    def greeted(self, hello: Hello, host: str) -> Hello:
        """Answer a handshake; raises RefusedError or Overloaded."""

    def mailbox(self, token: str) -> Mailbox | None:
        """The link of that name."""

    def received(self, mailbox: Mailbox, messages: tuple[Message, ...]) -> None:
        """Take messages; raises Overloaded."""

    def answer(self, request: Request, is_near: bool) -> Iterator[Message]:
        """The messages that answer a request."""

    def report(self, event: Event) -> None:
        """Tell the machine something."""


class PeerRoutes:
    """Adds the paths to Flask's application."""

    def __init__(self, peers: PeerPort) -> None:
        self._peers = peers

    def add_to(self, app: Flask) -> None:
        """Add them."""
        for path, method, view in (
            ("/peer/hello", "POST", self._hello),
            ("/peer/<session>/messages", "POST", self._messages),
            ("/peer/<session>/poll", "GET", self._poll),
            ("/peer/<session>/pull", "POST", self._pull),
            ("/peer/<session>/bye", "POST", self._bye),
        ):
            app.add_url_rule(path, path, view, methods=[method])

    def _hello(self) -> Response:
        host = request.remote_addr or ""
        try:
            body = _body(MAX_HELLO)
            hello = hello_from_bytes(body)
            with _permit():
                answer = self._peers.greeted(hello, host)
        except ParseError as error:
            return _text(400, str(error))
        except RefusedError as error:
            return _text(409, str(error))
        except HttpError as error:
            return _text(400, str(error))
        except Overloaded as error:
            return _text(503, str(error))
        said = bytes_from_hello(answer)
        mailbox = self._peers.mailbox(answer.session)
        if mailbox is not None:
            mailbox.traffic.received_as(HELLO, len(body))
            mailbox.traffic.sent_as(HELLO, len(said))
        return Response(said, mimetype="application/json")

    def _messages(self, session: str) -> Response:
        def take(mailbox: Mailbox) -> Response:
            body = _body(MAX_BODY)
            mailbox.traffic.received(body)
            self._peers.received(mailbox, messages_from_bytes(body))
            return _text(200, "")

        return self._heard(session, take)

    def _poll(self, session: str) -> Response:
        mailbox = self._peers.mailbox(session)
        if mailbox is None:
            return _no_session()
        try:
            with _permit():
                body = mailbox.poll()
        except Overloaded as error:
            return _text(503, str(error))
        return _no_session() if body is None else _binary(body)

    def _pull(self, session: str) -> Response:
        def take(mailbox: Mailbox) -> Response:
            mailbox.touch()
            asked = _body(MAX_REQUEST)
            mailbox.traffic.received(asked)
            body = b"".join(self._frames(_one_request(asked), mailbox))
            mailbox.traffic.sent(body)
            return _binary(body)

        return self._heard(session, take)

    def _heard(self, session: str, take: Callable[[Mailbox], Response]) -> Response:
        """Take what the other end of a link says; garbage and silence are told to the machine."""
        mailbox = self._peers.mailbox(session)
        if mailbox is None:
            return _no_session()
        try:
            return take(mailbox)
        except ParseError as error:
            self._peers.report(Garbage(mailbox.link.peer, str(error)))
            return _text(400, str(error))
        except HttpError as error:
            self._peers.report(Disconnected(mailbox.link.peer, str(error)))
            return _text(400, str(error))
        except Overloaded as error:
            return _text(503, str(error))

    def _frames(self, asked: Request, mailbox: Mailbox) -> Iterator[bytes]:
        """The answer, cut where it would be too long; the asker asks for the rest again."""
        size = 0
        for message in self._peers.answer(asked, is_local(mailbox.link.host)):
            frame = serialize_message(message)
            size += len(frame)
            if size > MAX_BODY:
                return
            yield frame

    def _bye(self, session: str) -> Response:
        mailbox = self._peers.mailbox(session)
        if mailbox is not None:
            self._peers.report(Disconnected(mailbox.link.peer, "it said goodbye"))
        return _text(200, "")


def _one_request(body: bytes) -> Request:
    """The request that a body holds; raises ParseError for anything else."""
    messages = messages_from_bytes(body)
    if len(messages) == 1 and isinstance(messages[0], Request):
        return messages[0]
    raise ParseError("not one request")


def _permit() -> Any:
    permit: Callable[[], Any] = request.environ[PERMIT]
    return permit()


def _body(most: int) -> bytes:
    """The request's body.

    Raises ParseError where it is longer than allowed, HttpError where the line broke before its
    end: that is nobody's fault.
    """
    length = request.content_length or 0
    if length > most:
        raise ParseError(f"a body of more than {most} bytes")
    try:
        body = request.get_data(cache=False)
    except (TimeoutError, ClientDisconnected) as error:
        raise HttpError("it fell silent in the middle of a message") from error
    if len(body) < length:
        raise HttpError("it was cut off in the middle of a message")
    return body


def _text(status: int, text: str) -> Response:
    return Response(text, status, mimetype="text/plain")


def _binary(body: bytes) -> Response:
    return Response(body, mimetype="application/octet-stream")


def _no_session() -> Response:
    return _text(404, "no such link")
