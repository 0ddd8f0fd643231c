"""What happens on the node, as server-sent events (WHATWG HTML, "Server-sent events").

    GET /events                  everything
    GET /events?kinds=tip,block  some kinds

A stream begins with an event `start` that tells the tip. Whoever comes back with `Last-Event-ID`
(browsers do so by themselves) gets what it has missed; where that is no longer kept, an event `gap`
tells how much is missing.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from threading import Lock
from typing import Any

import orjson
from flask import Flask, Response, request

from misocoin.consensus.tree import HeaderNode
from misocoin.http.errors import Overloaded
from misocoin.http.server import PERMIT, is_loopback
from misocoin.notify.feed import KINDS, EventFeed, Notice

MAX_STREAMS = 64
"""Streams at once."""

MAX_STREAMS_PER_ADDRESS = 8
"""Streams at once from one address that is not this machine."""

HEARTBEAT_SECONDS = 15.0
"""After so long without an event a comment is sent, so that a client that is gone is noticed."""


class EventRoutes:
    """Adds the path to Flask's application."""

    def __init__(
        self,
        feed: EventFeed,
        tip: Callable[[], HeaderNode],
        max_streams: int = MAX_STREAMS,
        heartbeat_seconds: float = HEARTBEAT_SECONDS,
    ) -> None:
        self._feed = feed
        self._tip = tip
        self._max_streams = max_streams
        self._lock = Lock()
        self._streams: Counter[str] = Counter()  # by address
        self._heartbeat_seconds = heartbeat_seconds

    def add_to(self, app: Flask) -> None:
        """Add it."""
        app.add_url_rule("/events", "events", self._events, methods=["GET"])

    def _events(self) -> Response:
        kinds = frozenset(filter(None, request.args.get("kinds", "").split(",")))
        unknown = kinds - KINDS
        if unknown:
            known = ", ".join(sorted(KINDS))
            text = f"no events of the kind {min(unknown)[:40]!r}; there are {known}\n"
            return Response(text, 400, mimetype="text/plain")
        held = ExitStack()
        caller = request.remote_addr or ""
        if not self._admit(caller):
            return _busy()
        held.callback(self._dismiss, caller)
        try:
            held.enter_context(request.environ[PERMIT]())
        except Overloaded:
            held.close()
            return _busy()
        number = self._place(request.headers.get("Last-Event-ID", ""))
        response = Response(self._stream(number, kinds or KINDS), mimetype="text/event-stream")
        response.headers["Cache-Control"] = "no-store"
        response.call_on_close(held.close)
        return response

    def _admit(self, caller: str) -> bool:
        most = self._max_streams if is_loopback(caller) else MAX_STREAMS_PER_ADDRESS
        with self._lock:
            if self._streams.total() >= self._max_streams or self._streams[caller] >= most:
                return False
            self._streams[caller] += 1
            return True

    def _dismiss(self, caller: str) -> None:
        with self._lock:
            self._streams[caller] -= 1
            self._streams += Counter()  # forgets who has none

    def _place(self, last_id: str) -> int:
        """Behind which notice to go on, by the id of the last one that was seen."""
        run, _, number = last_id.partition("-")
        last = self._feed.last
        if run != self._feed.run or not (number.isascii() and number.isdecimal()):
            return last
        return min(int(number[:18]), last)

    def _stream(self, number: int, kinds: frozenset[str]) -> Iterator[bytes]:
        feed, tip = self._feed, self._tip()
        start: dict[str, Any] = {"hash": tip.header.hash_hex, "height": tip.height}
        yield b"retry: 2000\n" + _event("start", orjson.dumps(start))
        while not feed.is_closed:
            notices = feed.after(number, self._heartbeat_seconds)
            if not notices:
                yield b":\n\n"
                continue
            if (missing := notices[0].number - number - 1) > 0:
                yield _event("gap", b'{"missed":%d}' % missing)
            number = notices[-1].number
            text = b"".join([self._text(each) for each in notices if each.kind in kinds])
            if text:
                yield text

    def _text(self, notice: Notice) -> bytes:
        return f"id: {self._feed.run}-{notice.number}\n".encode() + _event(notice.kind, notice.data)


def _event(kind: str, data: bytes) -> bytes:
    return b"event: %s\ndata: %s\n\n" % (kind.encode(), data)


def _busy() -> Response:
    return Response("too many streams\n", 503, mimetype="text/plain")
