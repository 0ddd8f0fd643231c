"""The market on HTTP: BitWrk's calls, and those of version 2.

Reads answer JSON or a page, as the Accept header asks; without one that fits the answer is 406, as
BitWrk's. What is refused is one line of text, with a status of its kind where the original had 500
for everything.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, TypeVar

from flask import Flask, Response, request
from werkzeug.exceptions import HTTPException

from misocoin.errors import MisocoinError
from misocoin.http.errors import Overloaded
from misocoin.http.server import HUNG_UP, PERMIT, is_loopback
from misocoin.market.answers import (
    JSON,
    MAX_FORM,
    TooMany,
    form_fields,
    harden,
    http_error,
    json_answer,
    number_argument,
    refusal,
    see,
    wanted_names,
    wanted_type,
)
from misocoin.market.bank import Bank, Withdrawal
from misocoin.market.bids import FEE_PERCENT, Bid
from misocoin.market.book import Book
from misocoin.market.disputes import MAX_PROOF
from misocoin.market.errors import Malformed, TooLarge, Unknown
from misocoin.market.moments import SECOND, Moment, text_from_moment
from misocoin.market.money import Money, Names, text_from_money
from misocoin.market.pages import Pages
from misocoin.market.parcels import ALIVE_SLOT
from misocoin.market.queries import Queries
from misocoin.market.query_calls import QueryCalls
from misocoin.market.rate import RateLimit
from misocoin.market.relay import Relay
from misocoin.market.trade import Trade
from misocoin.market.watch import Watch
from misocoin.market.wire import (
    account_to_json,
    bid_to_json,
    movement_to_json,
    relation_to_json,
    trade_to_json,
)
from misocoin.version import VERSION

T = TypeVar("T", Bid, Trade)

MAX_WAIT = 30.0
"""Seconds that a request may ask to be held until something changes."""


@dataclass(frozen=True, slots=True)
class Parts:
    """What the calls reach."""

    book: Book
    bank: Bank
    queries: Queries
    relay: Relay
    watch: Watch
    now: Callable[[], Moment]
    motd: str = ""
    """Message of the day."""
    rate: RateLimit | None = None
    """Bounds the changes that come from one address of another machine."""
    proxied: bool = False
    """Whether a proxy of the operator's stands before this, and names callers."""


def make_app(parts: Parts) -> Flask:
    """Make the WSGI application."""
    app = Flask("misocoin.market", static_folder=None)
    pages = Pages(parts.book, parts.queries, parts.now)
    calls = _Calls(parts, pages)
    for rule, methods, view in calls.routes():
        app.add_url_rule(rule, f"{methods[0]} {rule}", view, methods=methods)
    for rule, page in pages.routes():
        app.add_url_rule(rule, rule, page)
    for rule, query in QueryCalls(parts.queries, parts.now).routes():
        app.add_url_rule(rule, rule, query)
    app.register_error_handler(MisocoinError, refusal)
    app.register_error_handler(HTTPException, http_error)
    app.after_request(harden)
    return app


class _Calls:
    """The calls that programs make."""

    def __init__(self, parts: Parts, pages: Pages) -> None:
        self._parts = parts
        self._pages = pages

    def routes(self) -> list[tuple[str, list[str], Callable[..., Response]]]:
        """Path, methods and function of each."""
        get, post = ["GET"], ["POST"]
        return [
            ("/nonce", get, self.nonce),
            ("/bid", post, self.post_bid),
            ("/bid/<key>", get, self.bid),
            ("/bid/<key>", post, self.post_cancel),
            ("/tx/<key>", get, self.trade),
            ("/tx/<key>", post, self.post_message),
            ("/tx/<key>/proof", post, self.post_proof),
            ("/account/<participant>", get, self.account),
            ("/account/<participant>", post, self.post_account),
            ("/deposit", post, self.post_deposit),
            ("/deposit/<uid>", get, self.deposit),
            ("/withdrawal", post, self.post_withdrawal),
            ("/withdrawal/<key>", get, self.withdrawal),
            ("/rel", post, self.post_relation),
            ("/rel/<source>/<kind>/<target>", get, self.relation),
            ("/ledger/<key>", get, self.movement),
            ("/relay/<key>/<slot>", get, self.parcel),
            ("/relay/<key>/<slot>", post, self.post_parcel),
            ("/myip", get, self.my_ip),
            ("/motd", get, self.message_of_the_day),
            ("/info", get, self.info),
            ("/article/<path:name>", get, self.article),
        ]

    # -- what comes in --------------------------------------------------------------------

    def _caller(self) -> str:
        forwarded = request.headers.get("X-Forwarded-For", "")
        if self._parts.proxied and forwarded:
            return forwarded.rpartition(",")[2].strip()
        return request.remote_addr or ""

    def _check_rate(self) -> None:
        rate, caller = self._parts.rate, self._caller()
        if rate is not None and not is_loopback(caller) and not rate.is_free(caller):
            raise TooMany("too many requests from your address; wait a little")

    def _body(self, limit: int) -> bytes:
        self._check_rate()
        if (request.content_length or 0) > limit:
            raise TooLarge(f"the request has more than {limit} bytes")
        try:
            return request.get_data(cache=False)
        except TimeoutError:
            raise Malformed("the request took too long to come") from None

    def _form(self) -> dict[str, str]:
        return form_fields(self._body(MAX_FORM))

    # -- what goes out --------------------------------------------------------------------

    def _tagged(self, look: Callable[[], T], tag_of: Callable[[T], str]) -> Response:
        """What is looked up, once it differs from what the caller has; held while it may wait."""
        kind = wanted_type()
        known = request.headers.get("If-None-Match", "")
        wait = min(float(number_argument("wait", 0, 10_000)), MAX_WAIT)

        def is_news(found: T) -> bool:
            return known != f'"{tag_of(found)}-c{len(kind)}"'

        found = look()
        if wait and known and not is_news(found):
            key, hung_up = request.path.rpartition("/")[2], _hung_up()
            with _permit() as may_wait:
                seconds = wait if may_wait else 0
                self._parts.watch.wait_for(key, lambda: is_news(look()) or hung_up(), seconds)
            found = look()
        if not is_news(found):
            return Response(status=304, headers={"ETag": known})
        return self._shown(found, kind, f'"{tag_of(found)}-c{len(kind)}"')

    def _shown(self, found: Bid | Trade, kind: str, tag: str) -> Response:
        names = wanted_names()
        if isinstance(found, Bid):
            response = (
                json_answer(bid_to_json(found, names)) if kind == JSON else self._pages.bid(found)
            )
        else:
            response = (
                json_answer(trade_to_json(found, names))
                if kind == JSON
                else self._pages.trade(found)
            )
        response.headers["ETag"] = response.headers["X-ETag"] = tag
        response.headers["Vary"] = "Accept"
        return response

    # -- bids and trades ------------------------------------------------------------------

    def nonce(self) -> Response:
        """A text to sign once."""
        response = Response(self._parts.book.new_nonce(), content_type="text/plain")
        response.headers["Cache-Control"] = "no-cache, no-store, must-revalidate"
        return response

    def post_bid(self) -> Response:
        """Place a bid."""
        key = self._parts.book.place_bid(self._form())
        return see(f"/bid/{key}", X_Bid_Key=key)

    def bid(self, key: str) -> Response:
        """Show a bid."""
        return self._tagged(lambda: self._parts.book.get_bid(key), lambda bid: f"s{bid.state.name}")

    def post_cancel(self, key: str) -> Response:
        """Take a bid back."""
        self._parts.book.cancel_bid(key, self._form())
        return see(f"/bid/{key}")

    def trade(self, key: str) -> Response:
        """Show a trade."""
        return self._tagged(
            lambda: self._parts.book.get_trade(key), lambda trade: f"r{trade.revision}"
        )

    def post_message(self, key: str) -> Response:
        """Take a message to a trade."""
        wanted_type()
        self._parts.book.send_message(key, self._form(), self._caller())
        return see(f"/tx/{key}")

    def post_proof(self, key: str) -> Response:
        """Take a proof that a result is wrong."""
        proof = self._body(MAX_PROOF)
        address, signature = (request.headers.get(f"X-{n}", "") for n in ("Address", "Signature"))
        self._parts.book.prove(key, proof, address, signature)
        return see(f"/tx/{key}")

    # -- accounts -------------------------------------------------------------------------

    def account(self, participant: str) -> Response:
        """Show an account."""
        kind = wanted_type()
        account = self._parts.bank.account(participant)
        if kind == JSON:
            return json_answer(account_to_json(account, wanted_names()))
        entries = self._parts.queries.ledger_of(participant, 100)
        trades = self._parts.queries.latest_trades(50, participant=participant)
        return self._pages.account(account, entries, trades)

    def post_account(self, participant: str) -> Response:
        """Ask for a deposit address, or tell one."""
        form = self._form()
        action = form.pop("action", "")
        if form.get("participant") != participant:
            raise Malformed("participant must be the account's")
        if action == "requestdepositaddress":
            self._parts.bank.request_deposit_address(form)
        elif action == "storedepositinfo":
            self._parts.bank.store_deposit_info(form)
        else:
            raise Malformed("action must be requestdepositaddress or storedepositinfo")
        return see(f"/account/{participant}")

    def post_deposit(self) -> Response:
        """Book a deposit."""
        return see(f"/deposit/{self._parts.bank.deposit(self._form())}", 302)

    def deposit(self, uid: str) -> Response:
        """Show a deposit."""
        kind = wanted_type()
        found = self._parts.bank.get_deposit(uid)
        shown = {
            "Type": found.type,
            "Amount": text_from_money(found.amount, wanted_names()),
            "Account": found.account,
            "Reference": found.reference,
            "Document": found.document,
            "Signature": found.signature,
            "Created": text_from_moment(found.created),
        }
        return json_answer(shown) if kind == JSON else self._pages.fields("Deposit", shown)

    def post_withdrawal(self) -> Response:
        """Take a request to be paid."""
        return see(f"/withdrawal/{self._parts.bank.withdraw(self._form())}")

    def withdrawal(self, key: str) -> Response:
        """Show what became of it."""
        kind = wanted_type()
        shown = withdrawal_to_json(self._parts.bank.get_withdrawal(key), wanted_names())
        return json_answer(shown) if kind == JSON else self._pages.fields("Withdrawal", shown)

    def post_relation(self) -> Response:
        """Take what one participant says of another."""
        new = self._parts.bank.set_relation(self._form())
        return see(f"/rel/{new.source}/{new.type.value}/{new.target}", 302)

    def relation(self, source: str, kind: str, target: str) -> Response:
        """Show what one participant says of another."""
        return json_answer(relation_to_json(self._parts.bank.get_relation(source, kind, target)))

    def movement(self, key: str) -> Response:
        """Show an entry of the ledger."""
        kind = wanted_type()
        shown = movement_to_json(self._parts.bank.movement(key), wanted_names())
        return json_answer(shown) if kind == JSON else self._pages.fields("Ledger entry", shown)

    # -- relay ----------------------------------------------------------------------------

    def parcel(self, key: str, slot: str) -> Response:
        """Hand out a parcel, or tell how long the seller is silent; 204 while there is none."""
        self._check_rate()
        if slot == ALIVE_SLOT:
            silence = self._parts.relay.silence(key)
            if silence is None:
                return Response(status=204)
            return Response(f"{silence}\n", content_type="text/plain")
        wait = min(float(number_argument("wait", 0, 10_000)), MAX_WAIT)
        found = self._parts.relay.get(key, slot, 0)
        if found is None and wait:
            with _permit() as may_wait:
                found = self._parts.relay.get(key, slot, wait if may_wait else 0, _hung_up())
        if found is None:
            return Response(status=204)
        return Response(found, content_type="application/octet-stream")

    def post_parcel(self, key: str, slot: str) -> Response:
        """Take a parcel, or a seller's sign of life."""
        relay, signature = self._parts.relay, request.headers.get("X-Signature", "")
        parcel = self._body(relay.limits.parcel)
        if slot == ALIVE_SLOT:
            relay.beat(key, parcel, signature)
        else:
            relay.put(key, slot, parcel, signature)
        return Response(status=204)

    # -- small things ---------------------------------------------------------------------

    def my_ip(self) -> Response:
        """Tell the caller its own address."""
        return Response(self._caller(), content_type="text/plain")

    def message_of_the_day(self) -> Response:
        """Tell what the operator has to say."""
        return json_answer({"Text": self._parts.motd, "Warning": False})

    def info(self) -> Response:
        """Tell what a client needs to know of this market."""
        registry = self._parts.book.rules.articles
        shown = {
            "Name": "Misocoin market",
            "Version": VERSION,
            "TradeVersions": [1, 2],
            "FeePercent": FEE_PERCENT,
            "TrustedAccount": self._parts.book.rules.trusted_account or None,
            "Prefixes": sorted(self._parts.book.rules.prefixes),
            "MaxWait": MAX_WAIT,
            "MaxParcel": self._parts.relay.limits.parcel,
            "Articles": [
                {"Label": article.label, "Checker": article.checker}
                for article in registry.articles
            ],
        }
        return json_answer(shown)

    def article(self, name: str) -> Response:
        """Tell how an article is traded."""
        found = self._parts.book.article(name)
        if found is None:
            raise Unknown(f"article {name[:60]!r} is not traded here")
        seconds = {name: each // SECOND for name, each in found.times._asdict().items()}
        return json_answer({"Article": name, "Checker": found.checker, "Seconds": seconds})


@contextmanager
def _permit() -> Iterator[bool]:
    """Whether this request may wait; where too many do it is answered at once."""
    with ExitStack() as held:
        try:
            held.enter_context(request.environ.get(PERMIT, nullcontext)())
        except Overloaded:
            yield False
        else:
            yield True


def _hung_up() -> Callable[[], bool]:
    """What tells whether nobody waits for the answer any more."""
    found: Callable[[], bool] = request.environ.get(HUNG_UP, lambda: False)
    return found


def withdrawal_to_json(found: Withdrawal, names: Names) -> Mapping[str, Any]:
    """A withdrawal as it is told."""
    state = "REQUESTED" if not found.txid else "PAID" if found.height < 0 else "CONFIRMED"
    return {
        "Key": found.key,
        "Account": found.account,
        "Address": found.address,
        "Amount": text_from_money(Money(found.amount), names),
        "Requested": text_from_moment(found.requested),
        "State": state,
        "Txid": found.txid or None,
        "Height": found.height if found.height >= 0 else None,
    }
