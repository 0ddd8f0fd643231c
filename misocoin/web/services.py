"""What the work service and the market of the same owner tell of themselves."""

import re
from collections.abc import Callable, Iterable, Mapping
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

MOST_WORKERS: Final = 20
"""Workers that are shown."""

_WORK_FIGURES: Final = ("hash_rate", "miners", "jobs", "clients", "leases", "solved", "uptime")
"""What is told of the work service; all are numbers."""

_WORKER_FIGURES: Final = ("connection", "rate", "leases", "searched", "solved")
"""What is told of a worker besides its name; likewise."""

_WORKER_NAME: Final = re.compile(r"[0-9A-Za-z.:/_-]{1,80}", re.ASCII)

_TRADE_FIELDS: Final = MappingProxyType(
    {
        "Key": re.compile(r"[a-z]?[0-9]{1,18}-[0-9a-f]{1,64}", re.ASCII),
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
                ("work", work_url, "/status.json", work_from_json),
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


def work_from_json(data: bytes) -> View:
    """The work service's figures and its workers, the fastest first. Raises ParseError."""
    told = _object_from_json(data)
    workers = told.get("workers")
    if not isinstance(workers, list):
        raise ParseError("this is no work service's watch port")
    return {
        **_figures(told, _WORK_FIGURES),
        "workers": [_worker(row) for row in workers[:MOST_WORKERS]],
    }


def _worker(row: Any) -> View:
    name = row.get("name") if isinstance(row, dict) else None
    if not isinstance(name, str) or _WORKER_NAME.fullmatch(name) is None:
        raise ParseError("the work service lists something that is no worker")
    return {"name": name, **_figures(row, _WORKER_FIGURES)}


def _object_from_json(data: bytes) -> dict[str, Any]:
    try:
        told = orjson.loads(data)
    except orjson.JSONDecodeError:
        told = None
    if not isinstance(told, dict):
        raise ParseError("this is no work service's watch port")
    return told


def _figures(told: Mapping[str, Any], names: Iterable[str]) -> View:
    found: View = {}
    for name in names:
        value: Any = told.get(name)
        if type(value) not in (int, float) or not 0 <= value < 1e30:
            raise ParseError(f"the work service's {name} is no figure")
        found[name] = value
    return found


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
