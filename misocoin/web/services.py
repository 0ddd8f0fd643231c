"""What the work service and the market of the same owner tell of themselves."""

import re
from collections.abc import Callable, Mapping
from threading import Lock
from types import MappingProxyType
from typing import Any, Final

import orjson

from misocoin.errors import MisocoinError, ParseError
from misocoin.http.client import Bounds, HttpClient
from misocoin.http.errors import HttpRefused
from misocoin.web.explorer import View

POLL_BOUNDS: Final = Bounds(
    connect_seconds=0.5, read_seconds=1.0, total_seconds=1.5, body=1_000_000
)
"""A page waits for these."""

KEEP_SECONDS: Final = 5.0
"""How old an answer may be, a failure included."""

MOST_TRADES: Final = 20
"""Trades that are shown."""

WORK_FIGURES: Final = MappingProxyType(
    {
        "misocoin_work_miners": "miners",
        "misocoin_work_hash_rate": "hash_rate",
        "misocoin_work_jobs": "jobs",
        "misocoin_work_clients": "clients",
        "misocoin_work_leases": "leases",
        "misocoin_work_jobs_solved_total": "solved",
        "misocoin_work_uptime_seconds": "uptime",
    }
)
"""What is shown of the work service: its figure's name, and what it is called here."""

_TRADE_FIELDS: Final = MappingProxyType(
    {
        "Key": re.compile(r"[0-9a-f]{1,64}", re.ASCII),
        "Article": re.compile(r".{1,120}"),
        "Price": re.compile(r".{1,40}"),
        "Matched": re.compile(r".{1,40}"),
        "Phase": re.compile(r"[A-Z_]{1,40}", re.ASCII),
    }
)
"""What is told of a trade, and how it must look."""


class ServiceWatch:
    """Asks the services when somebody looks, and not more often than every KEEP_SECONDS."""

    def __init__(
        self,
        work_url: str | None,
        market_url: str | None,
        clock: Callable[[], float],
        client: HttpClient | None = None,
    ) -> None:
        """None for a service that there is none of; `clock` is monotonic."""
        self._client = client or HttpClient(POLL_BOUNDS, connections=2)
        self._clock = clock
        self._asked = {
            name: _Asked(url, path, read)
            for name, url, path, read in (
                ("work", work_url, "/metrics", work_from_metrics),
                ("market", market_url, f"/query/trades?limit={MOST_TRADES}", market_from_json),
            )
            if url is not None
        }

    def view(self) -> View:
        """What each service tells; None for one that nobody has named."""
        return {name: self._look(name) for name in ("work", "market")}

    def close(self) -> None:
        """End connections."""
        self._client.close()

    def _look(self, name: str) -> View | None:
        asked = self._asked.get(name)
        if asked is None:
            return None
        # Whoever comes while another asks gets what was told last.
        if asked.lock.acquire(blocking=asked.view is None):
            try:
                if asked.view is None or self._clock() - asked.at >= KEEP_SECONDS:
                    asked.view, asked.at = self._ask(asked), self._clock()
            finally:
                asked.lock.release()
        return asked.view

    def _ask(self, asked: "_Asked") -> View:
        try:
            answer = self._client.get(asked.url + asked.path)
            if answer.status != 200:
                raise HttpRefused(answer.status, "")
            told = asked.read(answer.body)
        except MisocoinError as error:
            return {"url": asked.url, "error": str(error)}
        return {"url": asked.url, "error": "", **told}


class _Asked:
    """A service, and what it told last."""

    def __init__(self, url: str, path: str, read: Callable[[bytes], View]) -> None:
        self.url = url
        self.path = path
        self.read = read
        self.lock = Lock()
        self.view: View | None = None
        self.at = 0.0


def work_from_metrics(data: bytes) -> View:
    """The work service's figures out of Prometheus' text format. Raises ParseError."""
    found: dict[str, float] = {}
    for line in data.decode("utf-8", "replace").splitlines():
        name, _, text = line.partition(" ")
        shown = WORK_FIGURES.get(name)
        if shown is not None:
            try:
                value = float(text)
            except ValueError:
                value = -1.0
            if not 0 <= value < 1e30:
                raise ParseError(f"the work service's {name} is no figure")
            found[shown] = value
    if len(found) < len(WORK_FIGURES):
        raise ParseError("this is no work service's watch port")
    return dict(found)


def market_from_json(data: bytes) -> View:
    """The market's latest trades. Raises ParseError."""
    try:
        rows = orjson.loads(data)
    except orjson.JSONDecodeError:
        rows = None
    if not isinstance(rows, list):
        raise ParseError("this is no market")
    return {"trades": [_trade(row) for row in rows[:MOST_TRADES]]}


def _trade(row: Any) -> Mapping[str, str]:
    if not isinstance(row, dict):
        raise ParseError("the market lists something that is no trade")
    texts: dict[str, str] = {}
    for name, form in _TRADE_FIELDS.items():
        text = row.get(name)
        if not isinstance(text, str) or form.fullmatch(text) is None:
            raise ParseError("the market lists something that is no trade")
        texts[name.lower()] = text
    return texts
