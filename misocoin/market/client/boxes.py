"""How the parcels of a version 2 trade travel: through the market's relay, or straight.

Both are spoken to alike, at `<relay or seller>/<slot>`: POST puts a parcel there, signed in
X-Signature, and GET asks for one, with `?wait=` seconds.
"""

import logging
from collections.abc import Callable
from hashlib import sha256
from threading import Event, Thread
from time import monotonic
from typing import TypeVar
from urllib.parse import quote

from misocoin.http.client import Bounds, HttpClient, HttpResponse
from misocoin.http.errors import HttpError
from misocoin.market.client.calls import WAIT_SECONDS, MarketCalls, Pace, Refused, checked
from misocoin.market.client.follow import Failed, Follower
from misocoin.market.documents import upload_document
from misocoin.market.errors import NotAllowed
from misocoin.market.parcels import ALIVE_SLOT, Slot
from misocoin.market.receipts import seal, sha256_hex, transit_key, unseal
from misocoin.market.trade import RELAY_URL, Trade, TradeState

log = logging.getLogger(__name__)

T = TypeVar("T")

GONE_SECONDS = 4.0
"""How long a seller's own address may give no answer before its buyer goes elsewhere."""

BEAT_SECONDS = 4.0
"""How often a seller who goes through the relay says that it is there."""

LOOK_SECONDS = 5
"""How often its buyer looks."""

_PARCEL = 1 << 25
_BRIEF = Bounds(2, 3, 4, 1_000)
_CHECK = Bounds(3, WAIT_SECONDS + 10, 120, _PARCEL)


class Box:
    """One side's way to the other, sealed."""

    _wait = WAIT_SECONDS

    def __init__(
        self, follower: Follower, http: HttpClient, trade: Trade, secret: bytes, is_buyer: bool
    ) -> None:
        """`secret` is of this side's bid. Raises Failed where the other side's key is unusable."""
        terms = trade.terms
        if terms is None or trade.worker_url is None:
            raise Failed("the trade is not ready")
        self._follower = follower
        self._http = http
        self._trade = trade.key
        self._secret = secret
        self._other = trade.seller if is_buyer else trade.buyer
        self._is_relayed = trade.worker_url == RELAY_URL
        calls = follower.calls
        self._base = (
            f"{calls.url}/relay/{quote(trade.key, safe='')}"
            if self._is_relayed
            else trade.worker_url
        )
        other_key = terms.seller_key if is_buyer else terms.buyer_key
        self._key = transit_key(secret, other_key, trade.key)

    def put(self, slot: Slot, data: bytes) -> None:
        """Send a parcel; the same one again changes nothing."""
        sealed = seal(data, self._key, nonce_for(self._secret, slot, data))
        self._call(lambda: self._post(slot, sealed))

    def _post(self, slot: Slot, sealed: bytes) -> None:
        headers = {"X-Signature": sign_upload(self._follower.calls, self._trade, slot, sealed)}
        checked(self._http.post(f"{self._base}/{slot.value}", sealed, headers, _CHECK))

    def get(self, slot: Slot) -> bytes:
        """Wait for a parcel. Raises Failed where the trade ends before, or it does not open."""
        pace = Pace()
        while True:
            url = f"{self._base}/{slot.value}?wait={self._wait}"
            response = self._call(lambda url=url: checked(self._http.get(url, bounds=_CHECK)))  # type: ignore[misc]
            if response.status == 200:
                try:
                    return unseal(response.body, self._key)
                except NotAllowed as error:
                    raise Failed(f"the parcel {slot.value}: {error}", self._other) from None
            if self._follower.now(self._trade).state is TradeState.RETIRED:
                raise Failed("the trade ended before the other side did its part", self._other)
            self._look_around()
            pace.rest()

    def _look_around(self) -> None:
        """Called now and then while a parcel does not come."""

    def _call(self, call: Callable[[], T]) -> T:
        try:
            if self._is_relayed:
                return self._follower.patiently(call)
            return self._straight(call)
        except Refused as error:
            raise Failed(f"the other side refuses: {error}", self._other) from None

    def _straight(self, call: Callable[[], T]) -> T:
        deadline = monotonic() + GONE_SECONDS
        while True:
            try:
                return call()
            except HttpError as error:
                if monotonic() > deadline:
                    raise Failed(f"the seller is gone: {error}", self._other) from None
                self._follower.rest(0.25)


class BuyerBox(Box):
    """A buyer's way to its seller, whose death it notices."""

    _wait = LOOK_SECONDS

    def __init__(
        self, follower: Follower, http: HttpClient, trade: Trade, secret: bytes, silence: float
    ) -> None:
        """`silence`: seconds without a sign of life after which a relayed seller is given up."""
        super().__init__(follower, http, trade, secret, is_buyer=True)
        self._silence = silence
        self._pulse = Pulse(monotonic())

    def _look_around(self) -> None:
        self.check_seller()

    def check_seller(self) -> None:
        """Look whether the seller lives; to be called every `LOOK_SECONDS`. Raises Failed."""

        def ask() -> HttpResponse:
            return self._http.get(f"{self._base}/{ALIVE_SLOT}", bounds=_BRIEF)

        if not self._is_relayed:
            self._straight(ask)
            return
        told = self._follower.patiently(ask).body.strip()
        silent = int(told) if told.isdigit() and len(told) < 9 else None
        if self._pulse.silence(monotonic(), silent) > self._silence:
            raise Failed(
                f"the seller has given no sign of life for {self._silence:g} s", self._other
            )


class Pulse:
    """How long a seller has been silent, as far as a buyer can know who asks a market.

    While the market is away nothing is heard, and nothing can be said: that time does not count.
    """

    def __init__(self, now: float) -> None:
        self._heard = self._looked = now

    def silence(self, now: float, told: float | None) -> float:
        """Seconds of silence; `told` are those that the market tells of, None where it does not."""
        if now - self._looked > 2 * LOOK_SECONDS:
            self._heard = now
        if told is not None:
            self._heard = max(self._heard, now - told)
        self._looked = now
        return now - self._heard


class Heartbeat:
    """Tells the market while it is entered that a relayed sale's seller lives."""

    def __init__(
        self, calls: MarketCalls, http: HttpClient, trade: str, count: Callable[[], int]
    ) -> None:
        """`count` gives a larger number each time, over restarts too."""
        self._calls = calls
        self._http = http
        self._trade = trade
        self._count = count
        self._over = Event()
        self._thread = Thread(target=self._run, name=f"alive-{trade}", daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_error: object) -> None:
        self._over.set()

    def _run(self) -> None:
        url = f"{self._calls.url}/relay/{quote(self._trade, safe='')}/{ALIVE_SLOT}"
        while True:
            count = str(self._count()).encode()
            signature = self._calls.identity.sign(
                upload_document(sha256_hex(count), ALIVE_SLOT, self._trade)
            )
            try:
                self._http.post(url, count, {"X-Signature": signature}, _BRIEF)
            except HttpError as error:
                log.debug("a sign of life was lost: %s", error)
            if self._over.wait(BEAT_SECONDS):
                return


def nonce_for(secret: bytes, slot: Slot, data: bytes) -> bytes:
    """The nonce that seals a parcel: the same for the same parcel, another for another."""
    return sha256(secret + slot.value.encode() + sha256(data).digest()).digest()[:12]


def sign_upload(calls: MarketCalls, trade: str, slot: Slot, sealed: bytes) -> str:
    """The signature that goes with a parcel."""
    return calls.identity.sign(upload_document(sha256_hex(sealed), slot.value, trade))
