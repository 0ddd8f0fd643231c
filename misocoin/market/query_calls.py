"""The calls that ask about all of the book: accounts, ledger, prices, trades, open bids."""

import re
from collections.abc import Callable

from flask import Response, request

from misocoin.market.answers import json_answer, number_argument, wanted_names
from misocoin.market.errors import Malformed, NotAllowed
from misocoin.market.moments import SECOND, Moment, moment_from_text, text_from_moment
from misocoin.market.money import Money, decimal_text, text_from_money, unit_from_name
from misocoin.market.queries import MAX_BUCKETS, MAX_ROWS, Queries
from misocoin.market.wire import movement_to_json

_PERIOD = re.compile(r"(\d{1,6})(s|m|h|d|w|y)", re.ASCII)
_LONGEST = 100 * 31_536_000
_PERIODS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800, "y": 31_536_000}


class QueryCalls:
    """Answers from one book."""

    def __init__(self, queries: Queries, now: Callable[[], Moment]) -> None:
        self._queries = queries
        self._now = now

    def routes(self) -> list[tuple[str, Callable[[], Response]]]:
        """Path and function of each."""
        return [
            ("/query/accounts", self.accounts),
            ("/query/ledger", self.ledger),
            ("/query/prices", self.prices),
            ("/query/trades", self.trades),
            ("/query/book", self.book),
        ]

    def accounts(self) -> Response:
        """Participants, one a line."""
        limit = number_argument("limit", 100, MAX_ROWS)
        wanting = "requestdepositaddress" in request.args
        found = self._queries.accounts(limit, wanting_address=wanting)
        return Response("".join(f"{name}\n" for name in found), content_type="text/plain")

    def ledger(self) -> Response:
        """The ledger from a time on."""
        limit = number_argument("limit", 100, MAX_ROWS)
        begin = moment_from_text(request.args.get("begin", "1970-01-01T00:00:00Z"))
        found = self._queries.ledger(limit, begin)
        return json_answer([movement_to_json(record, wanted_names()) for record in found])

    def prices(self) -> Response:
        """Prices of an article over time. Raises NotAllowed for too many steps."""
        period = _period(request.args.get("period", "1d"))
        step = _period(request.args.get("resolution", "3m"))
        if period > MAX_BUCKETS * step or "begin" in request.args:
            raise NotAllowed(f"a period has {MAX_BUCKETS} steps at most, and ends now")
        currency, size = unit_from_name(request.args.get("unit", "mMISO"))
        now = self._now()
        begin = Moment(max(0, (now - period) // step * step))
        found = self._queries.prices(
            request.args.get("article", ""), currency.value, begin, now, step
        )
        if request.args.get("format") == "flot":
            return json_answer(
                [[each.begin // 1000, each.sum / each.trades / size] for each in found]
            )
        return json_answer(
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

    def trades(self) -> Response:
        """The latest trades, without what belongs to buyer and seller alone."""
        found = self._queries.latest_trades(
            number_argument("limit", 100, MAX_ROWS), article=request.args.get("article")
        )
        return json_answer(
            [
                {
                    "Key": trade.key,
                    "Article": trade.article,
                    "Price": text_from_money(trade.price, wanted_names()),
                    "Matched": text_from_moment(trade.matched),
                    "State": int(trade.state),
                    "Phase": trade.phase.value,
                }
                for trade in found
            ]
        )

    def book(self) -> Response:
        """Open interest: live bids by article and side."""
        return json_answer(
            [
                {
                    "Article": each.article,
                    "Version": max(each.versions.numbers),
                    "Versions": each.versions.numbers,
                    "Type": each.type.name,
                    "Count": each.bids,
                    "Best": text_from_money(Money(each.best, unit_from_name(each.currency)[0])),
                }
                for each in self._queries.open_interest()
            ]
        )


def _period(text: str) -> int:
    """Read a length of time like `3m`, in microseconds."""
    match = _PERIOD.fullmatch(text)
    seconds = int(match[1]) * _PERIODS[match[2]] if match is not None else 0
    if not 0 < seconds <= _LONGEST:
        raise Malformed(
            f"{text[:20]!r} is not a length of time like 30s, 3m, 1d, of 100 years at most"
        )
    return seconds * SECOND
