"""The market's pages: book, prices, trades, accounts. Server-rendered, without any script."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from flask import Response, request
from markupsafe import Markup

from misocoin.face.pages import StaticFile, all_static_files, make_environment
from misocoin.market.bids import Bid
from misocoin.market.book import Book
from misocoin.market.chart import price_chart
from misocoin.market.moments import SECOND, Moment, text_from_moment
from misocoin.market.money import Currency, Money, text_from_money
from misocoin.market.queries import Queries
from misocoin.market.trade import Trade
from misocoin.market.wire import Account, MovementRecord, bid_to_json, trade_to_json

SHOWN = 100
"""Rows of a table."""

_PACKAGE = "misocoin.market"
_NAVIGATION = (("/", "Book"), ("/trades", "Trades"), ("/prices", "Prices"))
_SPANS = {"hour": 3_600, "day": 86_400, "week": 604_800, "month": 2_592_000}
_STEPS = 96


class Pages:
    """The pages of one market."""

    def __init__(self, book: Book, queries: Queries, now: Callable[[], Moment]) -> None:
        self._book = book
        self._queries = queries
        self._now = now
        self._static = all_static_files(_PACKAGE)
        self._templates = make_environment(_PACKAGE, "Misocoin market", _NAVIGATION)
        self._templates.filters["money"] = text_from_money
        self._templates.filters["moment"] = _shown_moment

    def routes(self) -> list[tuple[str, Callable[[], Response]]]:
        """Path and function of each page that is not a call's other face."""
        return [
            ("/", self.front),
            ("/trades", self.trades),
            ("/prices", self.prices),
            ("/bid", lambda: self._page("forms.html", form="bid")),
            ("/deposit", lambda: self._page("forms.html", form="deposit")),
            ("/rel", lambda: self._page("forms.html", form="rel")),
            *[
                (file.url.partition("?")[0], partial(_serve, file))
                for file in self._static.values()
            ],
        ]

    def _page(self, template: str, **values: Any) -> Response:
        text = self._templates.get_template(template).render(here=request.path, **values)
        return Response(text, content_type="text/html; charset=utf-8")

    def front(self) -> Response:
        """Open interest, live bids and the latest trades."""
        return self._page(
            "front.html",
            interest=[
                (each, Money(each.best, Currency(each.currency)))
                for each in self._queries.open_interest()
            ],
            bids=self._queries.open_bids(SHOWN),
            trades=self._queries.latest_trades(20),
            articles=[article.label for article in self._book.rules.articles.articles],
        )

    def trades(self) -> Response:
        """The latest trades."""
        return self._page("trades.html", trades=self._queries.latest_trades(SHOWN))

    def prices(self) -> Response:
        """Prices of one article over time."""
        article = request.args.get("article", "")
        name = request.args.get("span", "day")
        span = _SPANS.get(name, _SPANS["day"]) * SECOND
        now = self._now()
        begin = Moment(now - span)
        charts = []
        for currency in Currency if article else ():
            steps = self._queries.prices(article, currency.value, begin, now, span // _STEPS)
            if steps or currency is Currency.COIN:
                charts.append((currency.value, price_chart(steps, begin, now, currency)))
        return self._page(
            "prices.html",
            article=article,
            articles=self._queries.traded_articles(),
            span=name,
            spans=list(_SPANS),
            charts=charts,
        )

    # -- faces of calls -------------------------------------------------------------------

    def bid(self, bid: Bid) -> Response:
        """A bid."""
        return self.fields(f"Bid {bid.key}", bid_to_json(bid) | {"State": bid.state.name})

    def trade(self, trade: Trade) -> Response:
        """A trade."""
        return self._page("trade.html", trade=trade, shown=_flat(trade_to_json(trade)))

    def account(
        self, account: Account, entries: Sequence[MovementRecord], trades: Sequence[Trade]
    ) -> Response:
        """An account with its latest ledger entries and trades."""
        return self._page(
            "account.html",
            account=account,
            available=Money(account.available, account.currency),
            blocked=Money(account.blocked, account.currency),
            entries=[_entry_of(entry, account.participant) for entry in entries],
            trades=trades,
        )

    def fields(self, title: str, shown: Mapping[str, Any]) -> Response:
        """Anything that is a few fields."""
        return self._page("fields.html", title=title, shown=_flat(shown))


def _serve(file: StaticFile) -> Response:
    response = Response(file.data, content_type=file.content_type)
    response.headers["Cache-Control"] = "public, max-age=31536000, immutable"
    return response


def _entry_of(record: MovementRecord, participant: str) -> tuple[MovementRecord, Money, Money]:
    """A ledger entry, and what it changes in one account's two parts."""
    movement = record.movement
    available = movement.available if movement.available_account == participant else 0
    blocked = movement.blocked if movement.blocked_account == participant else 0
    return record, Money(available, movement.currency), Money(blocked, movement.currency)


def _flat(shown: Mapping[str, Any]) -> dict[str, Any]:
    """Fields without objects in them."""
    flat: dict[str, Any] = {}
    for name, value in shown.items():
        if isinstance(value, Mapping):
            flat |= {f"{name}.{inner}": each for inner, each in value.items()}
        else:
            flat[name] = value
    return flat


def _shown_moment(moment: Moment) -> Markup:
    text = text_from_moment(Moment(moment // SECOND * SECOND))
    shown = text.replace("T", " ").replace("Z", "")
    return Markup('<time datetime="{}">{}</time>').format(text, shown)
