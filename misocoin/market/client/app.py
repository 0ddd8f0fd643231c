"""The client on HTTP: what BitWrk's client answers to programs and workers of this machine.

Purchases, permissions and money are for callers of this machine alone; workers of other machines
may register where the client was told to listen for them. Pages of other sites are refused
(`misocoin.http.guard`), so that nothing a browser shows can spend money.
"""

import logging
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from functools import wraps
from typing import Any

from flask import Flask, Response, request
from werkzeug.exceptions import HTTPException

from misocoin.errors import AddressError, AmountError, MisocoinError, StoreError
from misocoin.face.pages import SECURITY_HEADERS
from misocoin.http.errors import HttpError, Overloaded
from misocoin.http.guard import FOREIGN, Guard
from misocoin.http.server import PERMIT, is_loopback
from misocoin.market.answers import form_fields, http_error, text_answer
from misocoin.market.client.activities import Activities
from misocoin.market.client.calls import MarketCalls
from misocoin.market.client.files import ContentStore
from misocoin.market.client.mandates import form_from_mandate
from misocoin.market.client.multipart import parts_from_form
from misocoin.market.client.pages import Pages
from misocoin.market.client.purchase import Purchase, State
from misocoin.market.client.purchases import Purchases
from misocoin.market.client.workers import Workers
from misocoin.market.errors import Malformed, MarketError, NotAllowed, Unknown
from misocoin.market.moments import text_from_moment
from misocoin.market.money import money_from_text, text_from_money
from misocoin.market.numbers import whole_number
from misocoin.market.wire import account_to_json, bytes_from_json
from misocoin.version import VERSION

log = logging.getLogger(__name__)

MAX_NUMBER = 30
"""Sellers that may be asked for one work, and seconds that an answer may be held."""

ID = "BitWrk Go Client"
"""What programs that know BitWrk's client look for."""

_JSON = "application/json"
_PROTOCOL = "0.7.0"
_WAIT = 86_400.0

View = Callable[..., Response]


@dataclass(frozen=True, slots=True)
class Parts:
    """What the calls reach."""

    calls: MarketCalls
    activities: Activities
    purchases: Purchases
    workers: Workers
    files: ContentStore
    pages: Pages
    is_local: bool = True
    """Whether only this machine reaches the port."""


def make_app(parts: Parts) -> Flask:
    """Make the WSGI application."""
    app = Flask("misocoin.market.client", static_folder=None)
    for rule, methods, view in _Calls(parts).routes():
        app.add_url_rule(rule, f"{methods[0]} {rule}", view, methods=methods)
    for rule, methods, view in parts.pages.routes():
        local = _for_loopback(view)
        app.add_url_rule(rule, f"page {methods[0]} {rule}", local, methods=methods)

    guard = Guard(parts.is_local)

    def check_origin() -> Response | None:
        headers = request.headers
        why = guard.refusal(headers.get("Host"), headers.get("Origin"))
        if why is None and is_loopback(request.remote_addr):
            # Who may spend here may be a page under a name that was rebound to this machine.
            why = guard.misnaming(headers.get("Host"))
        if why is None and headers.get("Sec-Fetch-Site", "none") in ("cross-site", "same-site"):
            # A link to a page of ours is harmless, a picture that revokes a mandate is not.
            is_link = headers.get("Sec-Fetch-Mode") == "navigate" and request.method == "GET"
            if not is_link or request.query_string:
                why = FOREIGN
        return None if why is None else text_answer(403, why)

    app.before_request(check_origin)
    app.register_error_handler(MisocoinError, _refusal)
    app.register_error_handler(HTTPException, http_error)
    app.after_request(_harden)
    return app


def _refusal(error: MisocoinError) -> Response:
    if isinstance(error, MarketError):
        return text_answer(error.status, str(error))
    if isinstance(error, AmountError | AddressError):
        return text_answer(400, str(error))
    if isinstance(error, Overloaded):
        return text_answer(503, str(error) or "as many requests are waiting as may")
    if isinstance(error, HttpError):
        return text_answer(502, f"the market cannot be reached: {error}")
    if isinstance(error, StoreError):
        log.error("%s", error)
        return text_answer(503, str(error))
    raise error


def _harden(response: Response) -> Response:
    for name, value in SECURITY_HEADERS.items():
        response.headers.setdefault(name, value)
    response.headers.setdefault("Cache-Control", "no-store")
    return response


def _for_loopback(view: View) -> View:
    @wraps(view)
    def checked(**values: Any) -> Response:
        if not is_loopback(request.remote_addr):
            raise NotAllowed("only programs of this machine may ask for that")
        return view(**values)

    return checked


def _json(form: object, status: int = 200) -> Response:
    return Response(bytes_from_json(form), status, content_type=_JSON)


def _see(path: str) -> Response:
    return Response(status=303, headers={"Location": path})


def fields() -> dict[str, str]:
    """The fields of a form, however it was sent, or of the query where there is none."""
    body = request.get_data(cache=False)
    kind = request.headers.get("Content-Type", "")
    if kind.startswith("multipart/"):
        return {name: data.decode("utf-8", "replace") for name, data in
                parts_from_form(kind, body).items()}  # fmt: skip
    return form_fields(body or request.query_string)


class _Calls:
    """The calls that programs and workers make."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def routes(self) -> list[tuple[str, list[str], View]]:
        """Path, methods and function of each."""
        get, post, both = ["GET"], ["POST"], ["GET", "POST"]
        here = _for_loopback
        return [
            ("/buy/<path:article>", post, here(self.buy)),
            ("/file/<name>", get, here(self.file)),
            ("/purchase/<key>", get, here(self.purchase)),
            ("/registerworker", post, self.register),
            ("/unregisterworker", both, self.unregister),
            ("/workers", get, here(self.workers)),
            ("/activities", get, here(self.activities)),
            ("/", post, here(self.permit)),
            ("/cancel", post, here(self.cancel)),
            ("/mandates", get, here(self.mandates)),
            ("/revokemandate", both, here(self.revoke)),
            ("/myaccount", get, here(self.my_account)),
            ("/requestdepositaddress", post, here(self.request_deposit_address)),
            ("/withdraw", post, here(self.withdraw)),
            ("/account/<path:rest>", get, here(self.relay)),
            ("/bid/<path:rest>", get, here(self.relay)),
            ("/deposit/<path:rest>", get, here(self.relay)),
            ("/withdrawal/<path:rest>", get, here(self.relay)),
            ("/tx/<path:rest>", get, here(self.relay)),
            ("/motd", get, here(self.relay)),
            ("/id", get, self.who),
            ("/version", get, self.version),
            ("/myip", get, self.my_ip),
        ]

    # -- buying ---------------------------------------------------------------------------

    def buy(self, article: str) -> Response:
        """Have a work done; answers when it is, or at once where `Prefer: respond-async` asks."""
        query = request.args
        price = money_from_text(query["price"]) if "price" in query else None
        if price is not None and price.amount < 0:
            raise Malformed("price must not be negative")
        sellers = _number(query, "sellers", 1)
        agree = _number(query, "agree", 0)
        if agree > sellers or (sellers > 1 and not agree):
            raise Malformed("agree must be from 1 to sellers")
        body = request.get_data(cache=False)
        kind = request.headers.get("Content-Type", "")
        if kind.startswith("multipart/"):
            parts = parts_from_form(kind, body)
            if "data" not in parts:
                raise Malformed("the form has no part named data")
            body = parts["data"]
        purchase = self._parts.purchases.buy(article, body, price, sellers, agree)
        if "respond-async" in request.headers.get("Prefer", ""):
            response = _json(_purchase_to_json(purchase), 202)
            response.headers["Location"] = f"/purchase/{purchase.key}"
            return response
        with request.environ.get(PERMIT, nullcontext)():
            purchase = self._parts.purchases.wait(purchase.key, _WAIT)
        if purchase.state is State.DONE:
            return _see(f"/file/{purchase.result}")
        return text_answer(500, purchase.error or "it takes too long")

    def purchase(self, key: str) -> Response:
        """Tell how a purchase stands."""
        purchase = self._parts.purchases.find(key)
        if "wait" in request.args:
            with request.environ.get(PERMIT, nullcontext)():
                seconds = min(_number(request.args, "wait", 0), MAX_NUMBER)
                purchase = self._parts.purchases.wait(key, seconds)
        return _json(_purchase_to_json(purchase))

    def file(self, name: str) -> Response:
        """Hand out a work or a result."""
        data = self._parts.files.get(name)
        if data is None:
            raise Unknown("no such file is here")
        return Response(data, content_type="application/octet-stream")

    # -- workers --------------------------------------------------------------------------

    def register(self) -> Response:
        """Take a worker on, or hear that it is idle."""
        form = fields()
        if missing := sorted({"id", "article", "pushurl"} - set(form)):
            raise Malformed(f"Missing argument: {missing[0]}")
        self._parts.workers.register(form["id"], form["article"], form["pushurl"])
        return Response(status=200)

    def unregister(self) -> Response:
        """Let a worker go."""
        self._parts.workers.unregister(fields().get("id", ""))
        return Response(status=200)

    def workers(self) -> Response:
        """Tell of all workers."""
        return _json([worker.to_json() for worker in self._parts.workers.all()])

    # -- permission -----------------------------------------------------------------------

    def activities(self) -> Response:
        """Tell what goes on."""
        return _json([activity.to_json() for activity in self._parts.activities.all()])

    def permit(self) -> Response:
        """Give a mandate, as the original's page did."""
        form = fields()
        if form.get("action") != "permit":
            raise Malformed("action must be permit")
        self._parts.activities.permit(form)
        return _see("/")

    def cancel(self) -> Response:
        """Take back a purchase or a sale that nobody works on."""
        self._parts.activities.cancel(fields().get("key", ""), self._parts.calls.cancel)
        return _see("/")

    def mandates(self) -> Response:
        """Tell of all mandates."""
        shown = []
        for mandate in self._parts.activities.mandates():
            form, until = form_from_mandate(mandate), mandate.until
            info = {
                "Type": int(mandate.type),
                "Article": mandate.article,
                "Price": form["price"],
                "UseTradesLeft": mandate.trades_left is not None,
                "TradesLeft": mandate.trades_left or 0,
                "UseUntil": until is not None,
                "Until": None if until is None else text_from_moment(until),
            }
            shown.append({"Key": mandate.key, "Info": info})
        return _json(shown)

    def revoke(self) -> Response:
        """Take a mandate back."""
        self._parts.activities.revoke(fields().get("key", ""))
        return _see("/")

    # -- money ----------------------------------------------------------------------------

    def my_account(self) -> Response:
        """Tell what the market has of ours."""
        account = self._parts.calls.account()
        return _json(
            {
                "Account": account_to_json(account),
                "Updated": True,
                "TrustedAccount": self._parts.calls.info().trusted_account,
                "DepositAddress": account.deposit_address,
                "DepositAddressValid": bool(account.deposit_address),
            }
        )

    def request_deposit_address(self) -> Response:
        """Ask for an address to pay in to."""
        self._parts.calls.request_deposit_address()
        return _see("/ui/account")

    def withdraw(self) -> Response:
        """Have coins paid to an address of the chain."""
        form = fields()
        if missing := sorted({"address", "amount"} - set(form)):
            raise Malformed(f"Missing argument: {missing[0]}")
        amount = money_from_text(form["amount"].strip())
        key = self._parts.calls.withdraw(form["address"].strip(), amount)
        return _see(f"/withdrawal/{key}")

    # -- the market's own pages -----------------------------------------------------------

    def relay(self, rest: str = "") -> Response:
        """Pass on what the market says."""
        answer = self._parts.calls.relay(request.path)
        kind = answer.headers.get("Content-Type", "text/plain")
        return Response(answer.body, answer.status, content_type=kind)

    # -- small things ---------------------------------------------------------------------

    def who(self) -> Response:
        """Say what this is."""
        return Response(ID, content_type="text/plain")

    def version(self) -> Response:
        """Say which of BitWrk's clients this is as good as."""
        response = Response(_PROTOCOL, content_type="text/plain")
        response.headers["X-Misocoin-Version"] = VERSION
        return response

    def my_ip(self) -> Response:
        """Tell the caller where it comes from."""
        port = request.environ.get("REMOTE_PORT", "")
        return Response(f"{request.remote_addr}:{port}", content_type="text/plain")


def _number(values: Mapping[str, str], name: str, default: int) -> int:
    number = whole_number(values.get(name, str(default)), MAX_NUMBER)
    if number is None:
        raise Malformed(f"{name} must be a number up to {MAX_NUMBER}")
    return number


def _purchase_to_json(purchase: Purchase) -> dict[str, Any]:
    price = purchase.price
    return {
        "Key": purchase.key,
        "Article": purchase.article,
        "State": purchase.state.name,
        "Price": None if price is None else text_from_money(price),
        "Created": text_from_moment(purchase.created),
        "Work": purchase.work,
        "Result": purchase.result or None,
        "Error": purchase.error or None,
        "Failures": purchase.failures,
    }
