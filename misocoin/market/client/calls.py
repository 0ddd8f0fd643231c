"""The calls that a client makes to a market's server, signed where they must be."""

from collections.abc import Mapping
from time import monotonic, sleep
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode

from misocoin.http.client import Bounds, HttpClient, HttpResponse
from misocoin.market.bids import Bid, BidType, Terms, Versions
from misocoin.market.client.identity import Identity
from misocoin.market.documents import (
    address_request_document,
    bid_document,
    cancel_document,
    message_document,
    upload_document,
    withdrawal_document,
)
from misocoin.market.errors import Malformed, MarketError
from misocoin.market.money import Money, text_from_money
from misocoin.market.parcels import PROOF_SLOT
from misocoin.market.receipts import sha256_hex
from misocoin.market.trade import Trade
from misocoin.market.wire import (
    Account,
    account_from_json,
    bid_from_json,
    object_from_json,
    trade_from_json,
)

WAIT_SECONDS = 20
"""How long the server is asked to hold an answer until something changes."""

_QUICKEST = 0.25
_LONGEST_COMPLAINT = 300
_ANSWER = 1 << 20
_FORM = "application/x-www-form-urlencoded"


class Refused(MarketError):
    """The market refuses a call; the text is its own, and `status` its HTTP status."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


class MarketInfo(NamedTuple):
    """What a market says of itself."""

    versions: tuple[int, ...] = (1,)
    """Of trades that it knows."""
    fee_percent: int = 3
    trusted_account: str = ""


class MarketCalls:
    """A market at `url`, as one participant. Threads may share it.

    Every call raises Refused for what the market refuses, Malformed for an answer that cannot be
    read, and HttpError where there is none.
    """

    def __init__(self, url: str, identity: Identity, http: HttpClient) -> None:
        self.url = url.rstrip("/")
        self.identity = identity
        self._http = http
        self._versions: Versions | None = None
        self._bounds = Bounds(5, WAIT_SECONDS + 15, WAIT_SECONDS + 30, _ANSWER)

    # -- HTTP -----------------------------------------------------------------------------

    def _get(self, path: str, tag: str = "") -> HttpResponse:
        headers = {"Accept": "application/json"} | ({"If-None-Match": tag} if tag else {})
        return checked(self._http.get(f"{self.url}{path}", headers, self._bounds))

    def _post(self, path: str, form: Mapping[str, str]) -> HttpResponse:
        headers = {"Accept": "application/json", "Content-Type": _FORM}
        body = urlencode(form).encode()
        return checked(self._http.post(f"{self.url}{path}", body, headers, self._bounds))

    def _nonce(self) -> str:
        return self._get("/nonce").body[:64].decode("ascii", "replace").strip()

    # -- the market -----------------------------------------------------------------------

    def info(self) -> MarketInfo:
        """What the market can do; an original server knows no such call."""
        try:
            form = object_from_json(self._get("/info").body)
            return MarketInfo(
                tuple(int(each) for each in form["TradeVersions"]),
                int(form["FeePercent"]),
                str(form.get("TrustedAccount") or ""),
            )
        except Refused as error:
            if error.status == 404:
                return MarketInfo()
            raise
        except (KeyError, TypeError, ValueError):
            raise Malformed("the market's answer is not about itself") from None

    def versions(self) -> Versions:
        """Of trades that the market knows; asked once."""
        if self._versions is None:
            known = [each for each in Versions if int(each) in self.info().versions]
            self._versions = Versions(sum(known))
        return self._versions

    def checker_name(self, article: str) -> str | None:
        """What decides a dispute about an article's results; None for nothing. Raises Refused."""
        name = object_from_json(self._get(f"/article/{quote(article)}").body).get("Checker")
        if name is not None and not isinstance(name, str):
            raise Malformed("the market's answer is not about an article")
        return name

    # -- bids and trades ------------------------------------------------------------------

    def place_bid(self, kind: BidType, article: str, price: Money, terms: Terms | None) -> str:
        """Place a bid, of version 2 where it has terms; returns its key."""
        form = {
            "article": article,
            "type": kind.name,
            "price": text_from_money(price),
            "address": self.identity.address,
            "nonce": self._nonce(),
        }
        if terms is not None:
            bond = text_from_money(Money(terms.bond, price.currency))
            version = "both" if terms.or_old else "2"
            form |= {"version": version, "bond": bond, "transitkey": terms.transit_key}
            form |= {"group": terms.group} if terms.group else {}
            form |= {"agree": str(terms.agree)} if terms.agree else {}
        answer = self._post("/bid", form | {"signature": self.identity.sign(bid_document(form))})
        key = answer.headers.get("X-Bid-Key", "")
        if answer.status != 303 or not key:
            raise Malformed("the market's answer names no bid")
        return key

    def bid(self, key: str, tag: str = "", wait: int = 0) -> tuple[Bid | None, str]:
        """A bid and its tag; None while it is as the tag says."""
        answer = self._get(f"/bid/{quote(key, safe='')}{_wait(wait)}", tag)
        if answer.status == 304:
            return None, tag
        return bid_from_json(answer.body, key), answer.headers.get("ETag", "")

    def cancel(self, bid: str) -> None:
        """Take a bid back."""
        form = {
            "cancel": "on",
            "address": self.identity.address,
            "signature": self.identity.sign(cancel_document(bid)),
        }
        self._post(f"/bid/{quote(bid, safe='')}", form)

    def trade(self, key: str, tag: str = "", wait: int = 0) -> tuple[Trade | None, str]:
        """A trade and its tag; None while it is as the tag says."""
        answer = self._get(f"/tx/{quote(key, safe='')}{_wait(wait)}", tag)
        if answer.status == 304:
            return None, tag
        return trade_from_json(answer.body, key), answer.headers.get("ETag", "")

    def say(self, trade: str, **arguments: str) -> None:
        """Send a message to a trade."""
        form = {
            **arguments,
            "txid": trade,
            "address": self.identity.address,
            "signature": self.identity.sign(message_document(arguments, trade)),
        }
        self._post(f"/tx/{quote(trade, safe='')}", form)

    def prove(self, trade: str, proof: bytes) -> None:
        """Show that a trade's result is wrong; `proof` is of `disputes.bytes_from_proof`."""
        document = upload_document(sha256_hex(proof), PROOF_SLOT, trade)
        headers = {
            "X-Address": self.identity.address,
            "X-Signature": self.identity.sign(document),
        }
        url = f"{self.url}/tx/{quote(trade, safe='')}/proof"
        checked(self._http.post(url, proof, headers, self._bounds))

    # -- money ----------------------------------------------------------------------------

    def account(self) -> Account:
        """The participant's own account."""
        return account_from_json(self._get(f"/account/{self.identity.address}").body)

    def request_deposit_address(self) -> None:
        """Ask for an address to pay in to; the account tells it."""
        address, nonce = self.identity.address, self._nonce()
        form = {"nonce": nonce, "participant": address, "signer": address}
        signature = self.identity.sign(address_request_document(nonce, address, address))
        self._post(
            f"/account/{address}",
            form | {"action": "requestdepositaddress", "signature": signature},
        )

    def withdraw(self, address: str, amount: Money) -> str:
        """Have coins paid to an address of the chain; returns the withdrawal's key."""
        form = {
            "address": address,
            "amount": text_from_money(amount),
            "nonce": self._nonce(),
            "participant": self.identity.address,
        }
        signature = self.identity.sign(withdrawal_document(**form))
        answer = self._post("/withdrawal", form | {"signature": signature})
        return answer.headers.get("Location", "").rpartition("/")[2]

    def withdrawal(self, key: str) -> dict[str, Any]:
        """What became of a withdrawal."""
        return object_from_json(self._get(f"/withdrawal/{quote(key, safe='')}").body)

    def relay(self, path: str) -> HttpResponse:
        """Ask for a document as it is, without looking at it."""
        headers = {"Accept": "application/json"}
        return self._http.get(f"{self.url}{path}", headers, self._bounds)


def checked(response: HttpResponse) -> HttpResponse:
    """Pass an answer on; raises Refused for one of status 400 or more."""
    if response.status >= 400:
        text = response.body[:_LONGEST_COMPLAINT].decode("utf-8", "replace")
        raise Refused(response.status, " ".join(text.split()) or f"status {response.status}")
    return response


class Pace:
    """Keeps questions apart where a server does not hold its answers until there is news."""

    def __init__(self) -> None:
        self._last = monotonic()

    def rest(self) -> None:
        """Wait for what is left of a short while since the last time."""
        left = self._last + _QUICKEST - monotonic()
        if left > 0:
            sleep(left)
        self._last = monotonic()


def _wait(seconds: int) -> str:
    return f"?wait={seconds}" if seconds else ""
