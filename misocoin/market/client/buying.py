"""One purchase from one seller: from its bid to the result, in either version of a trade.

Each step looks at the trade first, so that a purchase goes on where it was after a restart of
either side.
"""

from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import urlencode

from misocoin.http.client import Bounds, HttpClient
from misocoin.http.errors import HttpError
from misocoin.market.checkers import Checker
from misocoin.market.client.boxes import LOOK_SECONDS, BuyerBox
from misocoin.market.client.calls import Refused, checked
from misocoin.market.client.follow import Failed, Follower
from misocoin.market.client.multipart import form_with_files
from misocoin.market.client.placing import Attempt
from misocoin.market.disputes import MAX_PROOF, bytes_from_proof
from misocoin.market.errors import Malformed, MarketError, NotAllowed
from misocoin.market.parcels import (
    Slot,
    WorkParcel,
    bytes_from_receipt,
    bytes_from_work_parcel,
    result_parcel_from_bytes,
)
from misocoin.market.receipts import (
    crypt_result,
    receipt_document_from_key_hash,
    sha256_hex,
    unseal,
    work_secret_hash,
)
from misocoin.market.trade import Phase, Trade

_BEFORE_WORK = frozenset({Phase.ESTABLISHING, Phase.BUYER_ESTABLISHED, Phase.SELLER_ESTABLISHED})
_KEY_KNOWN = frozenset(
    {Phase.UNVERIFIED, Phase.FINISHED, Phase.RESULT_DISPUTED, Phase.REFUTED, Phase.UPHELD}
)
_ANSWER_SECONDS, _OLD_ANSWER_SECONDS = 8.0, 60.0
_TRANSFER = Bounds(5, 600, 900, 1 << 25)


class Delivery(NamedTuple):
    """A result that is here, and not yet accepted."""

    trade: Trade
    result: bytes
    encrypted: bytes


class Buyer:
    """Has one work done by the seller of one trade."""

    def __init__(
        self, follower: Follower, http: HttpClient, attempt: Attempt, silence: float
    ) -> None:
        """`silence`: seconds without a sign of life after which a relayed seller is given up."""
        self._follower = follower
        self._silence = silence
        self._http = http
        self._attempt = attempt

    @property
    def attempt(self) -> Attempt:
        """The bid."""
        return self._attempt

    def fetch(self, key: str, work: bytes, checker: Checker | None) -> Delivery:
        """Hand over the work and get the result. Raises Failed.

        A result that the article's checker refuses is disputed at once.
        """
        attempt, follower = self._attempt, self._follower
        digest = sha256_hex(work)
        follower.say(
            key,
            lambda trade: trade.work_hash == digest,
            workhash=digest,
            worksecrethash=work_secret_hash(digest, attempt.buyer_secret),
        )
        trade = self._answered(key)
        if trade.phase is Phase.WORK_DISPUTED:
            raise Failed("the seller rejects the work", trade.seller)
        try:
            delivery = (
                self._fetch_sealed(trade, work, b"" if checker is None else work)
                if trade.version > 1
                else self._fetch_old(trade, work)
            )
        except NotAllowed as error:
            raise Failed(str(error), trade.seller, lied=True) from None
        except Malformed as error:
            raise Failed(str(error), trade.seller) from None
        if checker is not None and not _is_right(checker, work, delivery.result):
            self.dispute(delivery, work)
            raise Failed("the result is wrong", trade.seller, lied=True)
        return delivery

    def _answered(self, key: str) -> Trade:
        """The trade once its seller has said where it is. Sellers die, and their bids outlive them.

        Those of version 2 hear of the match at once; others look now and then.
        """
        trade = self._follower.now(key)
        patience = _ANSWER_SECONDS if trade.version > 1 else _OLD_ANSWER_SECONDS
        try:
            return self._follower.until(key, lambda t: t.phase not in _BEFORE_WORK, patience)
        except Failed as error:
            raise Failed(str(error), trade.seller) from None

    def accept(self, delivery: Delivery) -> None:
        """Pay for a result."""
        self._follower.say(
            delivery.trade.key, lambda trade: trade.phase is Phase.FINISHED, acceptresult="on"
        )
        self._follower.activity.phase = Phase.FINISHED.name

    def dispute(self, delivery: Delivery, work: bytes) -> None:
        """Say that a result is wrong; in version 2, show it."""
        trade, calls = delivery.trade, self._follower.calls
        try:
            if trade.version == 1:
                calls.say(trade.key, rejectresult="on")
            else:
                proof = bytes_from_proof(work, delivery.encrypted)
                self._follower.patiently(lambda: calls.prove(trade.key, proof))
        except MarketError as error:
            self._follower.activity.info = f"the market does not take the dispute: {error}"

    # -- version 2 ------------------------------------------------------------------------

    def _fetch_sealed(self, trade: Trade, work: bytes, proof: bytes) -> Delivery:
        """`proof` is what would be shown of the work to prove the result wrong."""
        secret = bytes.fromhex(self._attempt.transit_secret)
        box = BuyerBox(self._follower, self._http, trade, secret, self._silence)
        if trade.phase is Phase.TRANSMITTING:
            parcel = WorkParcel(self._attempt.buyer_secret, work)
            box.put(Slot.WORK, bytes_from_work_parcel(parcel))
        parcel_back = result_parcel_from_bytes(box.get(Slot.RESULT))
        if len(bytes_from_proof(proof, parcel_back.encrypted)) > MAX_PROOF:
            # Before the receipt: a lie of that size could not be shown to the market.
            raise Failed("the result is too large to be disputed", trade.seller)
        trade = self._follower.now(trade.key)
        if trade.phase not in _KEY_KNOWN:
            document = receipt_document_from_key_hash(
                parcel_back.hash, parcel_back.key_hash, trade.key
            )
            box.put(Slot.RECEIPT, bytes_from_receipt(self._follower.calls.identity.sign(document)))
        trade = self._follower.until(
            trade.key, _has_key, look_around=box.check_seller, wait=LOOK_SECONDS
        )
        key = bytes.fromhex(trade.result_key or "")
        encrypted = parcel_back.encrypted
        try:
            result = unseal(encrypted, key)
            is_same = trade.terms is not None and sha256_hex(result) == trade.terms.result_hash
        except NotAllowed:
            result, is_same = b"", False
        delivery = Delivery(trade, result, encrypted)
        if not is_same:
            self.dispute(delivery, b"")
            raise Failed("the key does not open what was delivered", trade.seller, lied=True)
        return delivery

    # -- version 1 ------------------------------------------------------------------------

    def _fetch_old(self, trade: Trade, work: bytes) -> Delivery:
        url = trade.worker_url or ""
        body, kind = form_with_files(
            [("work", work), ("buyersecret", self._attempt.buyer_secret.encode())], ["work"]
        )
        try:
            answer = checked(self._http.post(url, body, {"Content-Type": kind}, _TRANSFER))
            encrypted = answer.body
            digest = sha256_hex(encrypted)
            receipt = {
                "encresulthash": digest,
                "encresulthashsig": self._follower.calls.identity.sign(digest),
            }
            self._send_receipt(url, receipt)
        except HttpError as error:
            raise Failed(f"the seller is gone: {error}", trade.seller) from None
        except Refused as error:
            raise Failed(f"the seller refuses: {error}", trade.seller) from None
        trade = self._follower.until(trade.key, _has_key)
        if trade.receipt is None or trade.receipt.hash != digest:
            raise Failed("the seller shows a receipt for something else", trade.seller, lied=True)
        result = crypt_result(encrypted, bytes.fromhex(trade.result_key or ""))
        return Delivery(trade, result, encrypted)

    def _send_receipt(self, url: str, receipt: Mapping[str, str]) -> None:
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        checked(self._http.post(url, urlencode(receipt).encode(), headers, _TRANSFER))


def _has_key(trade: Trade) -> bool:
    return trade.result_key is not None


def _is_right(checker: Checker, work: bytes, result: bytes) -> bool:
    try:
        return checker(work, result)
    except Malformed as error:
        # Nobody could do such work, so nobody is to blame but the buyer.
        raise Failed(f"the work is none of this article's: {error}") from None
