"""The client's pages: activities and mandates, workers, trades, the account."""

import json
from collections.abc import Callable, Mapping
from typing import Any

from flask import Response, request

from misocoin.errors import MisocoinError
from misocoin.face.pages import all_static_files, make_environment
from misocoin.http.errors import HttpError
from misocoin.market.answers import form_fields
from misocoin.market.bids import BidType
from misocoin.market.client.activities import Activities
from misocoin.market.client.calls import MarketCalls
from misocoin.market.client.purchases import Purchases
from misocoin.market.client.workers import Workers
from misocoin.market.errors import MarketError, Unknown
from misocoin.market.moments import SECOND, Moment
from misocoin.market.money import Money, money_from_text, text_from_money

View = Callable[..., Response]

_PACKAGE = "misocoin.market.client"
_NAVIGATION = (
    ("/", "Activities"),
    ("/ui/trades", "Trades"),
    ("/ui/workers", "Workers"),
    ("/ui/account", "Account"),
)
_KEPT_FOREVER = "public, max-age=31536000, immutable"


class Pages:
    """Shows the parts of a client, and takes what its owner says."""

    def __init__(
        self,
        calls: MarketCalls,
        activities: Activities,
        purchases: Purchases,
        workers: Workers,
        now: Callable[[], Moment],
    ) -> None:
        self._calls = calls
        self._activities = activities
        self._purchases = purchases
        self._workers = workers
        self._now = now
        self._static = all_static_files(_PACKAGE)
        self._templates = make_environment(_PACKAGE, "Misocoin market client", _NAVIGATION)
        self._templates.filters["money"] = text_from_money
        self._templates.globals["market"] = calls.url

    def routes(self) -> list[tuple[str, list[str], View]]:
        """Path, methods and function of each."""
        get, post = ["GET"], ["POST"]
        return [
            ("/", get, self.activities),
            ("/ui/live", get, self.live),
            ("/ui/trades", get, self.trades),
            ("/ui/workers", get, self.workers),
            ("/ui/account", get, self.account),
            ("/ui/mandate", post, self._acting(self._give_mandate)),
            ("/ui/revoke", post, self._acting(self._revoke)),
            ("/ui/permit", post, self._acting(self._permit)),
            ("/ui/forbid", post, self._acting(self._forbid)),
            ("/ui/cancel", post, self._acting(self._cancel)),
            ("/ui/address", post, self._acting(self._ask_address)),
            ("/ui/withdraw", post, self._acting(self._withdraw)),
            ("/ui/unregister", post, self._acting(self._unregister)),
            ("/static/<name>", get, self.static),
        ]

    def _page(self, name: str, status: int = 200, **values: Any) -> Response:
        template = self._templates.get_template(name)
        values = {"here": request.path, "now": self._now() / SECOND, **values}
        return Response(template.render(values), status, content_type="text/html; charset=utf-8")

    def static(self, name: str) -> Response:
        """A file that pages refer to."""
        found = self._static.get(name)
        if found is None:
            raise Unknown("no such file is here")
        response = Response(found.data, content_type=found.content_type)
        response.headers["Cache-Control"] = _KEPT_FOREVER
        return response

    # -- what is shown --------------------------------------------------------------------

    def _shown(self) -> dict[str, Any]:
        found = self._activities.all()
        return {
            "waiting": [each for each in found if each.waits],
            "going": [each for each in found if each.alive and not each.waits],
            "ended": [each for each in found if not each.alive][::-1],
        }

    def activities(self) -> Response:
        """What goes on, what waits, and what is allowed."""
        known = {worker.article for worker in self._workers.all()}
        known |= {each.article for each in self._activities.all()}
        return self._page(
            "activities.html",
            mandates=self._activities.mandates(),
            articles=sorted(known),
            **self._shown(),
        )

    def live(self) -> Response:
        """The part of that page that changes, as a piece of it."""
        return self._page("live.html", **self._shown())

    def trades(self) -> Response:
        """Purchases, and sales since the start."""
        sales = [each for each in self._activities.all() if each.type is BidType.SELL]
        return self._page("trades.html", purchases=self._purchases.all(), sales=sales)

    def workers(self) -> Response:
        """The programs that do work here."""
        return self._page("workers.html", workers=self._workers.all())

    def account(self) -> Response:
        """Money, and how it comes and goes."""
        account, why = None, ""
        try:
            account = self._calls.account()
        except (HttpError, MarketError) as error:
            why = str(error)
        values: dict[str, Any] = {}
        if account is not None:
            values["available"] = Money(account.available, account.currency)
            values["blocked"] = Money(account.blocked, account.currency)
        address = self._calls.identity.address
        withdrawal = None
        if key := request.args.get("withdrawal", "")[:80]:
            try:
                withdrawal = self._calls.withdrawal(key)
            except (HttpError, MarketError) as error:
                why = str(error)
        return self._page(
            "account.html",
            account=account,
            address=address,
            why=why,
            withdrawal=withdrawal and _text_of(withdrawal),
            **values,
        )

    # -- what the owner says --------------------------------------------------------------

    def _acting(self, action: Callable[[Mapping[str, str]], str]) -> View:
        """Do what a form asks for, then show where it leads; a page says what went wrong."""

        def view() -> Response:
            try:
                where = action(form_fields(request.get_data(cache=False)))
            except MisocoinError as error:
                status = error.status if isinstance(error, MarketError) else 400
                return self._page("refused.html", status, why=str(error), back=_back())
            return Response(status=303, headers={"Location": where})

        view.__name__ = action.__name__
        return view

    def _give_mandate(self, form: Mapping[str, str]) -> str:
        self._activities.permit(form)
        return "/"

    def _revoke(self, form: Mapping[str, str]) -> str:
        self._activities.revoke(form.get("key", ""))
        return "/"

    def _permit(self, form: Mapping[str, str]) -> str:
        price = money_from_text(form.get("price", "").strip())
        if price.amount < 0:
            raise MarketError("the price must not be negative")
        self._activities.permit_one(form.get("key", ""), price)
        return "/"

    def _forbid(self, form: Mapping[str, str]) -> str:
        self._activities.forbid(form.get("key", ""))
        return "/"

    def _cancel(self, form: Mapping[str, str]) -> str:
        self._activities.cancel(form.get("key", ""), self._calls.cancel)
        return "/"

    def _ask_address(self, _form: Mapping[str, str]) -> str:
        self._calls.request_deposit_address()
        return "/ui/account"

    def _withdraw(self, form: Mapping[str, str]) -> str:
        amount = money_from_text(form.get("amount", "").strip())
        key = self._calls.withdraw(form.get("address", "").strip(), amount)
        return f"/ui/account?withdrawal={key}"

    def _unregister(self, form: Mapping[str, str]) -> str:
        self._workers.unregister(form.get("id", ""))
        return "/ui/workers"


def _back() -> str:
    """The page with the form that was sent."""
    name = request.path.rpartition("/")[2]
    if name in ("address", "withdraw"):
        return "/ui/account"
    return "/ui/workers" if name == "unregister" else "/"


def _text_of(form: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The fields of a JSON object, to be shown."""
    return [
        (name, value if isinstance(value, str) else json.dumps(value))
        for name, value in form.items()
        if value is not None
    ]
