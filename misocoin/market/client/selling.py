"""One sale: from its bid to the receipt, in either version of a trade."""

import json
from collections.abc import Callable
from contextlib import ExitStack

from misocoin.http.client import HttpClient
from misocoin.market.client.boxes import Box, Heartbeat, nonce_for
from misocoin.market.client.calls import MarketCalls
from misocoin.market.client.doors import Doors, Mailbox, OldDoor, ParcelDoor
from misocoin.market.client.follow import Failed, Follower
from misocoin.market.client.placing import Sale
from misocoin.market.documents import check_signed
from misocoin.market.errors import Malformed, MarketError, NotAllowed
from misocoin.market.moments import SECOND, Moment
from misocoin.market.parcels import (
    ResultParcel,
    Slot,
    WorkParcel,
    bytes_from_result_parcel,
    receipt_from_bytes,
    work_parcel_from_bytes,
)
from misocoin.market.receipts import (
    crypt_result,
    receipt_document,
    seal,
    sha256_hex,
    transit_key,
    unseal,
    work_secret_hash,
)
from misocoin.market.trade import RELAY_URL, Phase, Receipt, Trade

DoWork = Callable[[bytes, float], bytes]
"""From work and the seconds there are to the result; raises Failed where the worker cannot."""

_DELIVERED = frozenset(
    {Phase.UNVERIFIED, Phase.FINISHED, Phase.RESULT_DISPUTED, Phase.REFUTED, Phase.UPHELD}
)


class Seller:
    """Does what one trade asks for."""

    def __init__(
        self,
        follower: Follower,
        http: HttpClient,
        sale: Sale,
        doors: Doors,
        base_url: str,
        now: Callable[[], Moment],
    ) -> None:
        """`base_url` is where buyers reach our doors; empty where they cannot."""
        self._follower = follower
        self._http = http
        self._sale = sale
        self._doors = doors
        self._base_url = base_url
        self._now = now

    def serve(self, key: str, do_work: DoWork) -> Trade:
        """See the trade to its end; raises Failed where it brings nothing."""
        with ExitStack() as stack:
            trade = self._follower.now(key)
            if trade.phase in _DELIVERED:
                return trade
            side = self._open(trade, stack)
            url = RELAY_URL if isinstance(side, _Relayed) else f"{self._base_url}/{self._sale.path}"
            self._follower.say(key, lambda trade: trade.worker_url == url, workerurl=url)
            if url == RELAY_URL:
                stack.enter_context(Heartbeat(self.calls, self._http, key, self._now))
            trade = self._follower.until(
                key, lambda trade: trade.work_hash is not None and trade.phase in _GOING
            )
            try:
                return self._deliver(trade, side, do_work)
            except Failed:
                self._reject(key)
                raise
            except (Malformed, NotAllowed) as error:
                self._reject(key)
                raise Failed(f"the buyer's parcel is wrong: {error}", trade.buyer) from None

    def _open(self, trade: Trade, stack: ExitStack) -> "_Side":
        if trade.version == 1:
            old = OldDoor(self._doors.chunks, lambda: self._seconds_left(trade.key))
            stack.enter_context(self._doors.open(old, self._sale.path))
            stack.callback(old.mailbox.close)
            return _Old(self, old.mailbox)
        if not self._base_url:
            return _Relayed(self)
        door = ParcelDoor(trade.key, trade.buyer)
        stack.enter_context(self._doors.open(door, self._sale.path))
        stack.callback(door.mailbox.close)
        return _Straight(self, door.mailbox)

    def _deliver(self, trade: Trade, side: "_Side", do_work: DoWork) -> Trade:
        key, follower, result_key = trade.key, self._follower, self._sale.result_key
        parcel = side.work(trade)
        fits = sha256_hex(parcel.work) == trade.work_hash
        if not fits or work_secret_hash(trade.work_hash or "", parcel.buyer_secret) != (
            trade.work_secret_hash
        ):
            raise Failed("the work is not the one that the buyer named", trade.buyer)
        follower.activity.size = len(parcel.work)
        if trade.phase is not Phase.WORKING:
            secret = parcel.buyer_secret
            follower.say(key, lambda trade: trade.buyer_secret == secret, buyersecret=secret)
        result = do_work(parcel.work, self._seconds_left(key))
        receipt = side.deliver(self._follower.now(key), result)
        more = {} if trade.version == 1 else {"resulthash": sha256_hex(result)}
        follower.say(
            key,
            lambda trade: trade.phase in _DELIVERED,
            encresulthash=receipt.hash,
            encresulthashsig=receipt.signature,
            encresultkey=result_key,
            **more,
        )
        side.done()
        return follower.now(key)

    def _reject(self, key: str) -> None:
        """Give the buyer its money back at once."""
        try:
            self._follower.patiently(lambda: self._follower.calls.say(key, rejectwork="on"))
        except MarketError as error:
            self._follower.activity.info = str(error)

    def _seconds_left(self, key: str) -> float:
        return max(0.0, (self._follower.now(key).timeout - self._now()) / SECOND)

    # -- what the sides need --------------------------------------------------------------

    @property
    def calls(self) -> MarketCalls:
        """The market."""
        return self._follower.calls

    @property
    def sale(self) -> Sale:
        """What is sold."""
        return self._sale

    def box(self, trade: Trade) -> Box:
        """The way through the relay."""
        secret = bytes.fromhex(self._sale.transit_secret)
        return Box(self._follower, self._http, trade, secret, is_buyer=False)

    def take(self, mailbox: Mailbox, name: str, trade: Trade) -> bytes:
        """Wait for what a buyer brings. Raises Failed where it does not come."""
        while True:
            found = mailbox.get(name, 2.0)
            if found is not None:
                return found
            self._follower.until(trade.key, lambda trade: trade.state.value == 0)
            self._follower.rest(0)
            if self._seconds_left(trade.key) <= 0:
                raise Failed("the buyer did not do its part", trade.buyer)


_GOING = frozenset({Phase.TRANSMITTING, Phase.WORKING})


class _Side:
    """How work comes and the result goes; one kind for each way."""

    def __init__(self, seller: Seller) -> None:
        self._seller = seller

    def work(self, trade: Trade) -> WorkParcel:
        """Wait for the work."""
        raise NotImplementedError

    def deliver(self, trade: Trade, result: bytes) -> Receipt:
        """Send the encrypted result, and wait for its receipt."""
        raise NotImplementedError

    def done(self) -> None:
        """Tell the buyer that the market has the key."""


class _Sealed(_Side):
    """Version 2, whichever way."""

    def _put(self, trade: Trade, data: bytes) -> None:
        raise NotImplementedError

    def _get(self, trade: Trade, slot: Slot) -> bytes:
        raise NotImplementedError

    def work(self, trade: Trade) -> WorkParcel:
        return work_parcel_from_bytes(self._get(trade, Slot.WORK))

    def deliver(self, trade: Trade, result: bytes) -> Receipt:
        sale = self._seller.sale
        key = bytes.fromhex(sale.result_key)
        nonce = nonce_for(key, Slot.RESULT, result)
        parcel = ResultParcel(sha256_hex(key), seal(result, key, nonce))
        self._put(trade, bytes_from_result_parcel(parcel))
        signature = receipt_from_bytes(self._get(trade, Slot.RECEIPT))
        check_signed(
            trade.buyer, signature, receipt_document(parcel.hash, sale.result_key, trade.key)
        )
        return Receipt(parcel.hash, signature)


class _Relayed(_Sealed):
    """Through the market."""

    def _put(self, trade: Trade, data: bytes) -> None:
        self._seller.box(trade).put(Slot.RESULT, data)

    def _get(self, trade: Trade, slot: Slot) -> bytes:
        return self._seller.box(trade).get(slot)


class _Straight(_Sealed):
    """At our door."""

    def __init__(self, seller: Seller, mailbox: Mailbox) -> None:
        super().__init__(seller)
        self._mailbox = mailbox

    def _key(self, trade: Trade) -> bytes:
        other = trade.terms.buyer_key if trade.terms else ""
        return transit_key(bytes.fromhex(self._seller.sale.transit_secret), other, trade.key)

    def _put(self, trade: Trade, data: bytes) -> None:
        secret = bytes.fromhex(self._seller.sale.transit_secret)
        sealed = seal(data, self._key(trade), nonce_for(secret, Slot.RESULT, data))
        self._mailbox.put(Slot.RESULT.value, sealed)

    def _get(self, trade: Trade, slot: Slot) -> bytes:
        return unseal(self._seller.take(self._mailbox, slot.value, trade), self._key(trade))


class _Old(_Side):
    """Version 1."""

    def __init__(self, seller: Seller, mailbox: Mailbox) -> None:
        super().__init__(seller)
        self._mailbox = mailbox

    def work(self, trade: Trade) -> WorkParcel:
        return work_parcel_from_bytes(self._seller.take(self._mailbox, "work", trade))

    def deliver(self, trade: Trade, result: bytes) -> Receipt:
        encrypted = crypt_result(result, bytes.fromhex(self._seller.sale.result_key))
        self._mailbox.put("result", encrypted)
        digest = sha256_hex(encrypted)
        told, signature = json.loads(self._seller.take(self._mailbox, "receipt", trade))
        if told != digest:
            raise Failed("the buyer's receipt is for something else", trade.buyer)
        check_signed(trade.buyer, signature, digest)
        return Receipt(digest, signature)

    def done(self) -> None:
        self._mailbox.put("done", b"1")
