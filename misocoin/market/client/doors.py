"""Where a seller with an open port is reached by its buyers: one path, open for one trade.

A door hands what comes to the thread that sells, and its answers back. That of version 2 takes and
gives parcels as the market's relay does; that of version 1 speaks BitWrk's transfer, linear or in
chunks.
"""

import json
import secrets
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from threading import Condition, Lock
from time import monotonic
from typing import NamedTuple, Protocol

from misocoin.market.answers import form_fields
from misocoin.market.chunks import (
    SyncInfo,
    bits_from_wishes,
    chunk_list_from_bytes,
    shuffled,
    split_wanted,
    sync_info_from_json,
)
from misocoin.market.client.multipart import parts_from_form, plain_body
from misocoin.market.documents import check_signed, upload_document
from misocoin.market.errors import Malformed, MarketError, TooLarge, TooLate, Unknown
from misocoin.market.parcels import Slot
from misocoin.market.receipts import sha256_hex

MAX_BODY = 1 << 25
"""Bytes of a work that comes straight."""

CHUNK_MEMORY = 1 << 26
"""Bytes of chunks that are kept for works to come."""

_PATH_BYTES = 4
_FORM_FIELDS = frozenset({"encresulthash", "encresulthashsig"})
_OPTIONS = {"Adler32Chunking": True, "GZIPCompression": True, "SyncInfo": True}


class Call(NamedTuple):
    """A request to a door."""

    method: str
    slot: str
    """What follows the door's path; empty in version 1."""
    headers: Mapping[str, str]
    """By name, each word's first letter large."""
    body: bytes
    wait: float = 0
    """Seconds that the answer may take, of version 2."""


class Reply(NamedTuple):
    """The door's answer."""

    body: bytes = b""
    status: int = 200
    content_type: str = "application/octet-stream"


class Door(Protocol):
    """What answers the requests of one trade."""

    def answer(self, call: Call) -> Reply:
        """Answer; raises a MarketError."""


class Closed(MarketError):
    """The other side of a mailbox has gone."""

    status = 500


class Mailbox:
    """Things that two threads hand each other, once each."""

    def __init__(self) -> None:
        self._changed = Condition()
        self._things: dict[str, bytes] = {}
        self._closed = False

    def put(self, name: str, data: bytes) -> None:
        """Lay down a thing; the same one again changes nothing. Raises TooLate, Closed."""
        with self._changed:
            if self._closed:
                raise Closed("this sale is over")
            if self._things.setdefault(name, data) != data:
                raise TooLate("there is another parcel already")
            self._changed.notify_all()

    def get(self, name: str, seconds: float) -> bytes | None:
        """Wait for a thing; None if it does not come in time. Raises Closed."""
        with self._changed:
            self._changed.wait_for(lambda: name in self._things or self._closed, seconds)
            if name in self._things:
                return self._things[name]
            if self._closed:
                raise Closed("this sale is over")
            return None

    def close(self) -> None:
        """Tell the other side that nothing more comes."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()


class Doors:
    """The doors that are open, by their paths. Threads may share it."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._doors: dict[str, Door] = {}
        self.chunks = ChunkMemory(CHUNK_MEMORY)
        """What buyers need not send again."""

    @contextmanager
    def open(self, door: Door, path: str = "") -> Iterator[str]:
        """Keep a door open; its path."""
        path = path or secrets.token_hex(_PATH_BYTES)
        with self._lock:
            self._doors[path] = door
        try:
            yield path
        finally:
            with self._lock:
                self._doors.pop(path, None)

    def find(self, path: str) -> Door:
        """The door of a path. Raises Unknown."""
        with self._lock:
            door = self._doors.get(path)
        if door is None:
            raise Unknown("no sale is open here")
        return door


# -- version 2 ---------------------------------------------------------------------------------


class ParcelDoor:
    """Takes the buyer's parcels and gives it the seller's."""

    def __init__(self, trade: str, buyer: str) -> None:
        self.mailbox = Mailbox()
        self._trade = trade
        self._buyer = buyer

    def answer(self, call: Call) -> Reply:
        """Answer; see `Door`."""
        try:
            slot = Slot(call.slot)
        except ValueError:
            raise Unknown("a parcel is work, result or receipt") from None
        if call.method == "GET":
            found = self.mailbox.get(slot.value, call.wait) if slot is Slot.RESULT else None
            return Reply(status=204) if found is None else Reply(found)
        if slot is Slot.RESULT:
            raise Malformed("the result is the seller's")
        if len(call.body) > MAX_BODY:
            raise TooLarge(f"a parcel has {MAX_BODY} bytes at most")
        document = upload_document(sha256_hex(call.body), slot.value, self._trade)
        check_signed(self._buyer, call.headers.get("X-Signature", ""), document)
        self.mailbox.put(slot.value, call.body)
        return Reply(status=204)


# -- version 1 ---------------------------------------------------------------------------------


class ChunkMemory:
    """Chunks by their SHA-256, those used last."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._lock = Lock()
        self._size = 0
        self._chunks: OrderedDict[bytes, bytes] = OrderedDict()

    def get(self, key: bytes) -> bytes | None:
        """A chunk, if it is here."""
        with self._lock:
            if key in self._chunks:
                self._chunks.move_to_end(key)
            return self._chunks.get(key)

    def put(self, key: bytes, chunk: bytes) -> None:
        """Keep a chunk."""
        with self._lock:
            if key not in self._chunks:
                self._chunks[key] = chunk
                self._size += len(chunk)
            while self._size > self._limit:
                self._size -= len(self._chunks.popitem(last=False)[1])


class OldDoor:
    """BitWrk's transfer: the work comes in one form or as chunks, then the receipt as another.

    `mailbox` gives the seller `work` (a work parcel's bytes: secret, work) and `receipt`, and
    takes from it `result` (the encrypted result) and `done`.
    """

    def __init__(self, chunks: ChunkMemory, seconds_left: Callable[[], float]) -> None:
        """`seconds_left` tells how long the trade may still take."""
        self.mailbox = Mailbox()
        self._chunks = chunks
        self._seconds_left = seconds_left
        self._lock = Lock()
        self._pending: tuple[SyncInfo, list[bytes | None], str] | None = None

    def answer(self, call: Call) -> Reply:
        """Answer; see `Door`."""
        if call.method == "OPTIONS":
            return Reply(json.dumps(_OPTIONS).encode(), content_type="application/json")
        if call.method != "POST" or call.slot:
            raise Unknown("no such thing here")
        headers = call.headers
        body = plain_body(call.body, headers.get("Content-Encoding", ""), MAX_BODY)
        kind = headers.get("Content-Type", "")
        if kind.startswith("application/x-www-form-urlencoded"):
            return self._receipt(body)
        parts = parts_from_form(kind, body)
        names = frozenset(parts)
        if names >= {"work", "buyersecret"}:
            return self._work(parts["work"], _text(parts["buyersecret"]))
        if "chunkdata" in names:
            return self._chunk_data(parts["chunkdata"])
        if "buyersecret" in names and names & {"syncinfojson", "a32chunks"}:
            return self._sync_info(parts)
        raise Malformed("this form brings neither work nor receipt")

    def _work(self, work: bytes, secret: str) -> Reply:
        if len(secret) != 64:
            raise Malformed("buyersecret must be 64 hex digits")
        try:
            brought = bytes.fromhex(secret) + work
        except ValueError:
            raise Malformed("buyersecret must be 64 hex digits") from None
        self.mailbox.put("work", brought)
        return Reply(self._await("result"))

    def _await(self, name: str) -> bytes:
        deadline = monotonic() + max(self._seconds_left(), 0)
        found = self.mailbox.get(name, deadline - monotonic())
        if found is None:
            raise Closed("the sale took too long")
        return found

    def _sync_info(self, parts: Mapping[str, bytes]) -> Reply:
        if "syncinfojson" in parts:
            info = sync_info_from_json(parts["syncinfojson"])
        else:
            # The older list has no shuffle: chunks go in their order.
            info = SyncInfo(chunk_list_from_bytes(parts["a32chunks"]), (0,))
        if sum(chunk.size for chunk in info.chunks) > MAX_BODY:
            raise TooLarge(f"a work has {MAX_BODY} bytes at most")
        known = [self._chunks.get(chunk.key) for chunk in info.chunks]
        with self._lock:
            self._pending = (info, known, _text(parts["buyersecret"]))
        order = shuffled(range(len(known)), info.permutation)
        wishes = [place is not None and known[place] is None for place in order]
        return Reply(bits_from_wishes(wishes), content_type="application/x-wishlist")

    def _chunk_data(self, data: bytes) -> Reply:
        with self._lock:
            if self._pending is None:
                raise TooLate("the list of chunks must come first")
            info, known, secret = self._pending
        order = [
            place
            for place in shuffled(range(len(known)), info.permutation)
            if place is not None and known[place] is None
        ]
        found = split_wanted(data, (info.chunks[place] for place in order))
        for place, chunk in zip(order, found, strict=True):
            known[place] = chunk
            self._chunks.put(info.chunks[place].key, chunk)
        return self._work(b"".join(chunk or b"" for chunk in known), secret)

    def _receipt(self, body: bytes) -> Reply:
        fields = form_fields(body)
        if frozenset(fields) != _FORM_FIELDS:
            raise Malformed("a receipt is encresulthash and encresulthashsig")
        receipt = json.dumps([fields["encresulthash"], fields["encresulthashsig"]])
        self.mailbox.put("receipt", receipt.encode())
        self._await("done")
        return Reply(b"", content_type="text/plain")


def _text(data: bytes) -> str:
    try:
        return data.decode("ascii").strip()
    except UnicodeDecodeError:
        raise Malformed("buyersecret must be 64 hex digits") from None
