"""The market on HTTP: BitWrk's calls, and those of version 2.

Reads answer JSON or a page, as the Accept header asks; without one that fits the answer is 406, as
BitWrk's. What is refused is one line of text, with a status of its kind where the original had 500
for everything.
"""

import logging
import re
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import parse_qsl

from flask import Flask, Response, request
from werkzeug.exceptions import HTTPException

from misocoin.errors import AddressError, AmountError, MisocoinError, StoreError
from misocoin.http.errors import HttpError, Overloaded, RpcError
from misocoin.http.server import PERMIT, is_loopback
from misocoin.market.bank import Bank, Withdrawal
from misocoin.market.bids import FEE_PERCENT, Bid
from misocoin.market.book import Book
from misocoin.market.disputes import MAX_PROOF
from misocoin.market.errors import Malformed, MarketError, NotAllowed, TooLarge
from misocoin.market.moments import SECOND, Moment, moment_from_text, text_from_moment
from misocoin.market.money import (
    COIN_NAMES,
    OLD_NAMES,
    Money,
    Names,
    decimal_text,
    text_from_money,
    unit_from_name,
)
from misocoin.market.pages import Pages
from misocoin.market.queries import MAX_BUCKETS, MAX_ROWS, Queries
from misocoin.market.rate import RateLimit
from misocoin.market.relay import Relay
from misocoin.market.trade import Trade
from misocoin.market.watch import Watch
from misocoin.market.wire import (
    account_to_json,
    bid_to_json,
    bytes_from_json,
    movement_to_json,
    relation_to_json,
    trade_to_json,
)
from misocoin.version import VERSION

log = logging.getLogger(__name__)

T = TypeVar("T", Bid, Trade)

MAX_FORM = 16_384
"""Bytes of a form."""

MAX_FIELDS = 20
"""Fields of a form."""

MAX_WAIT = 30.0
"""Seconds that a request may ask to be held until something changes."""

JSON = "application/json"
HTML = "text/html"

_PERIOD = re.compile(r"(\d{1,6})(s|m|h|d|w|y)", re.ASCII)
_PERIODS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800, "y": 31_536_000}
_OLD_CLIENT = "BitWrkGoClient/"


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
    app.register_error_handler(MisocoinError, _refusal)
    app.register_error_handler(HTTPException, _http_error)
    app.after_request(_harden)
    return app


def _text(status: int, message: str) -> Response:
    return Response(f"{message}\n", status, content_type="text/plain; charset=utf-8")


def _refusal(error: MisocoinError) -> Response:
    if isinstance(error, MarketError):
        return _text(error.status, str(error))
    if isinstance(error, AmountError | AddressError):
        return _text(400, str(error))
    if isinstance(error, Overloaded):
        return _text(503, "as many requests are waiting as may")
    if isinstance(error, HttpError | RpcError):
        return _text(503, "the market's node cannot be reached now; try again later")
    if isinstance(error, StoreError):
        log.error("%s", error)
        return _text(503, "the market's book cannot be used now; try again later")
    raise error


def _http_error(error: HTTPException) -> Response:
    return _text(error.code or 500, error.name)


def _harden(response: Response) -> Response:
    """Forbid what no page of ours does."""
    response.headers["Content-Security-Policy"] = (
        "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; "
        "frame-ancestors 'none'; base-uri 'none'"
    )
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Referrer-Policy"] = "no-referrer"
    response.headers.setdefault("Cache-Control", "no-cache")
    return response


def wanted_type() -> str:
    """JSON or HTML, as the caller accepts; raises NotAcceptable where it accepts neither."""
    accepted = request.headers.get("Accept", "")
    best = request.accept_mimetypes.best_match([HTML, JSON]) if accepted else None
    if best is None:
        raise _NotAcceptable("this answers text/html or application/json; say so in Accept")
    return best


class _NotAcceptable(MarketError):
    status = 406


def form_fields(data: bytes) -> dict[str, str]:
    """The fields of a url-encoded form, each there once. Raises Malformed."""
    try:
        pairs = parse_qsl(
            data.decode("utf-8"),
            keep_blank_values=True,
            strict_parsing=bool(data),
            encoding="utf-8",
            errors="strict",
            max_num_fields=MAX_FIELDS,
        )
    except (ValueError, UnicodeDecodeError):
        raise Malformed("the form is not url-encoded, or has too many fields") from None
    fields = dict(pairs)
    if len(fields) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise Malformed(f"Duplicate argument: {twice[:40]}")
    return fields


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
            ("/query/accounts", get, self.query_accounts),
            ("/query/ledger", get, self.query_ledger),
            ("/query/prices", get, self.query_prices),
            ("/query/trades", get, self.query_trades),
            ("/query/book", get, self.query_book),
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
            raise _TooMany("too many requests from your address; wait a little")

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

    def _names(self) -> Names:
        is_old = request.headers.get("User-Agent", "").startswith(_OLD_CLIENT)
        return OLD_NAMES if is_old else COIN_NAMES

    def _number(self, name: str, default: int, most: int) -> int:
        text = request.args.get(name, str(default))
        if not text.isascii() or not text.isdecimal() or int(text[:9]) > most:
            raise Malformed(f"{name} must be a number up to {most}")
        return int(text)

    # -- what goes out --------------------------------------------------------------------

    def _tagged(self, look: Callable[[], T], tag_of: Callable[[T], str]) -> Response:
        """What is looked up, once it differs from what the caller has; held while it may wait."""
        kind = wanted_type()
        known = request.headers.get("If-None-Match", "")
        wait = min(float(self._number("wait", 0, 10_000)), MAX_WAIT)

        def is_news(found: T) -> bool:
            return known != f'"{tag_of(found)}-c{len(kind)}"'

        found = look()
        if wait and known and not is_news(found):
            permit = request.environ.get(PERMIT, nullcontext)
            key = request.path.rpartition("/")[2]
            with permit():
                self._parts.watch.wait_for(key, lambda: is_news(look()), wait)
            found = look()
        if not is_news(found):
            return Response(status=304, headers={"ETag": known})
        return self._shown(found, kind, f'"{tag_of(found)}-c{len(kind)}"')

    def _shown(self, found: Bid | Trade, kind: str, tag: str) -> Response:
        names = self._names()
        if isinstance(found, Bid):
            response = (
                self._json(bid_to_json(found, names)) if kind == JSON else self._pages.bid(found)
            )
        else:
            response = (
                self._json(trade_to_json(found, names))
                if kind == JSON
                else self._pages.trade(found)
            )
        response.headers["ETag"] = response.headers["X-ETag"] = tag
        response.headers["Vary"] = "Accept"
        return response

    def _json(self, form: object) -> Response:
        return Response(bytes_from_json(form), content_type=JSON)

    # -- bids and trades ------------------------------------------------------------------

    def nonce(self) -> Response:
        """A text to sign once."""
        response = Response(self._parts.book.new_nonce(), content_type="text/plain")
        response.headers["Cache-Control"] = "no-cache, no-store, must-revalidate"
        return response

    def post_bid(self) -> Response:
        """Place a bid."""
        key = self._parts.book.place_bid(self._form())
        return _see(f"/bid/{key}", X_Bid_Key=key)

    def bid(self, key: str) -> Response:
        """Show a bid."""
        return self._tagged(lambda: self._parts.book.get_bid(key), lambda bid: f"s{bid.state.name}")

    def trade(self, key: str) -> Response:
        """Show a trade."""
        return self._tagged(
            lambda: self._parts.book.get_trade(key), lambda trade: f"r{trade.revision}"
        )

    def post_message(self, key: str) -> Response:
        """Take a message to a trade."""
        wanted_type()
        self._parts.book.send_message(key, self._form(), self._caller())
        return _see(f"/tx/{key}")

    def post_proof(self, key: str) -> Response:
        """Take a proof that a result is wrong."""
        proof = self._body(MAX_PROOF)
        address, signature = (request.headers.get(f"X-{n}", "") for n in ("Address", "Signature"))
        self._parts.book.prove(key, proof, address, signature)
        return _see(f"/tx/{key}")

    # -- accounts -------------------------------------------------------------------------

    def account(self, participant: str) -> Response:
        """Show an account."""
        kind = wanted_type()
        account = self._parts.bank.account(participant)
        if kind == JSON:
            return self._json(account_to_json(account, self._names()))
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
        return _see(f"/account/{participant}")

    def post_deposit(self) -> Response:
        """Book a deposit."""
        return _see(f"/deposit/{self._parts.bank.deposit(self._form())}", 302)

    def deposit(self, uid: str) -> Response:
        """Show a deposit."""
        kind = wanted_type()
        found = self._parts.bank.get_deposit(uid)
        shown = {
            "Type": found.type,
            "Amount": text_from_money(found.amount, self._names()),
            "Account": found.account,
            "Reference": found.reference,
            "Document": found.document,
            "Signature": found.signature,
            "Created": text_from_moment(found.created),
        }
        return self._json(shown) if kind == JSON else self._pages.fields("Deposit", shown)

    def post_withdrawal(self) -> Response:
        """Take a request to be paid."""
        return _see(f"/withdrawal/{self._parts.bank.withdraw(self._form())}")

    def withdrawal(self, key: str) -> Response:
        """Show what became of it."""
        kind = wanted_type()
        shown = withdrawal_to_json(self._parts.bank.get_withdrawal(key), self._names())
        return self._json(shown) if kind == JSON else self._pages.fields("Withdrawal", shown)

    def post_relation(self) -> Response:
        """Take what one participant says of another."""
        new = self._parts.bank.set_relation(self._form())
        return _see(f"/rel/{new.source}/{new.type.value}/{new.target}", 302)

    def relation(self, source: str, kind: str, target: str) -> Response:
        """Show what one participant says of another."""
        return self._json(relation_to_json(self._parts.bank.get_relation(source, kind, target)))

    def movement(self, key: str) -> Response:
        """Show an entry of the ledger."""
        kind = wanted_type()
        shown = movement_to_json(self._parts.bank.movement(key), self._names())
        return self._json(shown) if kind == JSON else self._pages.fields("Ledger entry", shown)

    # -- relay ----------------------------------------------------------------------------

    def parcel(self, key: str, slot: str) -> Response:
        """Hand out a parcel; 204 while there is none."""
        self._check_rate()
        wait = min(float(self._number("wait", 0, 10_000)), MAX_WAIT)
        found = self._parts.relay.get(key, slot, 0)
        if found is None and wait:
            with request.environ.get(PERMIT, nullcontext)():
                found = self._parts.relay.get(key, slot, wait)
        if found is None:
            return Response(status=204)
        return Response(found, content_type="application/octet-stream")

    def post_parcel(self, key: str, slot: str) -> Response:
        """Take a parcel."""
        relay = self._parts.relay
        parcel = self._body(relay.limits.parcel)
        relay.put(key, slot, parcel, request.headers.get("X-Signature", ""))
        return Response(status=204)

    # -- small things ---------------------------------------------------------------------

    def my_ip(self) -> Response:
        """Tell the caller its own address."""
        return Response(self._caller(), content_type="text/plain")

    def message_of_the_day(self) -> Response:
        """Tell what the operator has to say."""
        return self._json({"Text": self._parts.motd, "Warning": False})

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
        return self._json(shown)

    # -- queries --------------------------------------------------------------------------

    def query_accounts(self) -> Response:
        """Participants, one a line."""
        limit = self._number("limit", 100, MAX_ROWS)
        wanting = "requestdepositaddress" in request.args
        found = self._parts.queries.accounts(limit, wanting_address=wanting)
        return Response("".join(f"{name}\n" for name in found), content_type="text/plain")

    def query_ledger(self) -> Response:
        """The ledger from a time on."""
        limit = self._number("limit", 100, MAX_ROWS)
        begin = moment_from_text(request.args.get("begin", "1970-01-01T00:00:00Z"))
        found = self._parts.queries.ledger(limit, begin)
        return self._json([movement_to_json(record, self._names()) for record in found])

    def query_prices(self) -> Response:
        """Prices of an article over time."""
        period = _period(request.args.get("period", "1d"))
        step = _period(request.args.get("resolution", "3m"))
        if period > MAX_BUCKETS * step or "begin" in request.args:
            raise NotAllowed(f"a period has {MAX_BUCKETS} steps at most, and ends now")
        currency, size = unit_from_name(request.args.get("unit", "mMISO"))
        now = self._parts.now()
        begin = Moment((now - period) // step * step)
        found = self._parts.queries.prices(
            request.args.get("article", ""), currency.value, begin, now, step
        )
        if request.args.get("format") == "flot":
            return self._json(
                [[each.begin // 1000, each.sum / each.trades / size] for each in found]
            )
        return self._json(
            [
                {
                    "begin": text_from_moment(each.begin),
                    "end": text_from_moment(each.end),
                    "sum": decimal_text(each.sum, size),
                    "min": decimal_text(each.least, size),
                    "max": decimal_text(each.most, size),
                    "count": each.trades,
                }
                for each in found
            ]
        )

    def query_trades(self) -> Response:
        """The latest trades, without what belongs to buyer and seller alone."""
        found = self._parts.queries.latest_trades(
            self._number("limit", 100, MAX_ROWS), article=request.args.get("article")
        )
        return self._json(
            [
                {
                    "Key": trade.key,
                    "Article": trade.article,
                    "Price": text_from_money(trade.price, self._names()),
                    "Matched": text_from_moment(trade.matched),
                    "State": int(trade.state),
                    "Phase": trade.phase.value,
                }
                for trade in found
            ]
        )

    def query_book(self) -> Response:
        """Open interest: live bids by article and side."""
        return self._json(
            [
                {
                    "Article": each.article,
                    "Version": each.version,
                    "Type": each.type.name,
                    "Count": each.bids,
                    "Best": text_from_money(Money(each.best, unit_from_name(each.currency)[0])),
                }
                for each in self._parts.queries.open_interest()
            ]
        )


class _TooMany(MarketError):
    status = 429


def _see(path: str, status: int = 303, **fields: str) -> Response:
    headers = {name.replace("_", "-"): text for name, text in fields.items()}
    return Response(status=status, headers={"Location": path, **headers})


def _period(text: str) -> int:
    """Read a length of time like `3m`, in microseconds."""
    match = _PERIOD.fullmatch(text)
    if match is None or int(match[1]) == 0:
        raise Malformed(f"{text[:20]!r} is not a length of time like 30s, 3m, 1d")
    return int(match[1]) * _PERIODS[match[2]] * SECOND


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
