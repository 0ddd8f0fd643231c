"""The machine room's parts: rates, messages, and what other services tell."""

import logging
from contextlib import suppress
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from misocoin.errors import ParseError
from misocoin.http.client import HttpResponse
from misocoin.http.errors import HttpTimeout
from misocoin.web.log_tail import LONGEST, MOST_LINES, LogTail
from misocoin.web.rates import MOST_SAMPLES, RateSampler, rate_chart
from misocoin.web.services import (
    KEEP_SECONDS,
    MOST_TRADES,
    MOST_WORKERS,
    ServiceWatch,
    market_from_json,
    work_from_json,
)

WORKER = {
    "name": "192.0.2.7",
    "connection": 4,
    "rate": 617283.75,
    "leases": 2,
    "searched": 11,
    "solved": 3,
}

WORK = {
    "hash_rate": 1234567.5,
    "miners": 2,
    "jobs": 3,
    "clients": 1,
    "leases": 2,
    "solved": 7,
    "uptime": 61.25,
    "workers": [WORKER],
}

TRADE = {
    "Key": "t7-9f1c2b0a",
    "Article": "foobar",
    "Price": "MISO 1.5",
    "Matched": "2026-11-21T06:31:05Z",
    "State": 1,
    "Phase": "WORK_DISPUTED",
}


class FakeClient:
    """Answers by path, counts calls."""

    def __init__(self, answers: dict[str, Any]) -> None:
        self.answers = answers
        self.calls: list[str] = []

    def get(self, url: str) -> HttpResponse:
        self.calls.append(url)
        found = self.answers[url]
        if isinstance(found, Exception):
            raise found
        return HttpResponse(200, {}, found)

    def close(self) -> None:
        pass


def test_rates_are_sampled_and_bounded() -> None:
    moments = iter(range(10_000))
    sampler = RateSampler(lambda: 5.0, lambda: 100.0 + 10 * next(moments))
    for _ in range(MOST_SAMPLES + 3):
        sampler.sample()
    samples = sampler.samples()
    assert len(samples) == MOST_SAMPLES
    assert samples[0] == (130.0, 5.0)
    chart = rate_chart(samples[-2:], samples[-1].time)
    assert [point.x for point in chart.lines[0].points] == [pytest.approx(-1 / 6), 0]
    assert chart.summary == "Its most was 5 H/s."
    assert rate_chart((), 0.0).lines[0].points == ()


def test_a_sampler_stops() -> None:
    sampler = RateSampler(lambda: 1.0, lambda: 2.0)
    sampler.start()
    sampler.stop()
    assert sampler.samples() in ((), ((2.0, 1.0),))


def test_messages_are_kept_while_attached() -> None:
    tail, logger = LogTail(), logging.getLogger("misocoin.test_machine")
    logger.warning("before")
    tail.attach()
    try:
        for n in range(MOST_LINES):
            logger.error("message %d", n)
        logger.warning("a\nb\x1b[0m" + "c" * 1000)
        broken = {"msg": "%d", "args": ("no number",), "levelname": "ERROR"}
        tail.handle(logging.makeLogRecord(broken))
    finally:
        tail.detach()
    logger.error("after")
    lines = tail.latest()
    assert len(lines) == MOST_LINES
    assert lines[0].text == "%d"
    assert lines[1].text.startswith("a b [0mccc")
    assert len(lines[1].text) == LONGEST
    assert [line.text for line in lines[2:4]] == ["message 299", "message 298"]
    assert lines[2].level == "error"


def test_figures_and_workers_of_the_work_service() -> None:
    told = work_from_json(orjson.dumps({**WORK, "workers": [WORKER] * 50, "more": None}))
    assert told["miners"] == 2
    assert told["hash_rate"] == 1234567.5
    assert told["workers"] == [WORKER] * MOST_WORKERS


@pytest.mark.parametrize(
    "told",
    [
        [],
        {},
        *({**WORK, "jobs": bad} for bad in ("x", None, True, -1, 1e31)),
        {**WORK, "workers": None},
        *({**WORK, "workers": [bad]} for bad in (None, {}, {**WORKER, "name": "<b>"})),
        {**WORK, "workers": [{**WORKER, "rate": "fast"}]},
    ],
)
def test_what_is_no_work_service(told: Any) -> None:
    with pytest.raises(ParseError):
        work_from_json(orjson.dumps(told))


def test_trades_of_a_market() -> None:
    told = market_from_json(orjson.dumps([TRADE] * 50))
    assert len(told["trades"]) == MOST_TRADES
    assert told["trades"][0]["phase"] == "WORK_DISPUTED"
    assert market_from_json(b"[]") == {"trades": []}


@pytest.mark.parametrize(
    "change",
    [{"Key": "../../evil"}, {"Key": None}, {"Phase": "<b>"}, {"Article": "x" * 1000}, {"Price": 3}],
)
def test_what_is_no_trade(change: dict[str, Any]) -> None:
    with pytest.raises(ParseError):
        market_from_json(orjson.dumps([{**TRADE, **change}]))


_NAMES = sorted({*TRADE, *WORK, *WORKER})
_JSON = st.recursive(
    st.none() | st.booleans() | st.text(max_size=20) | st.integers(-(2**53), 2**53),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(_NAMES) | st.text(max_size=5), inner, max_size=6)
    ),
    max_leaves=12,
)


@given(st.binary() | _JSON.map(orjson.dumps))
def test_anything_told_is_read_or_refused(data: bytes) -> None:
    for read in (work_from_json, market_from_json):
        with suppress(ParseError):
            read(data)


def test_services_are_asked_now_and_then() -> None:
    clock = [0.0]
    work, market = "http://w/status.json", f"http://m/query/trades?limit={MOST_TRADES}"
    away = HttpTimeout("http://m: no answer in time")
    client = FakeClient({work: orjson.dumps(WORK), market: away})
    watch = ServiceWatch("http://w", "http://m", lambda: clock[0], client)  # type: ignore[arg-type]
    view = watch.view()
    assert view["work"]["miners"] == 2
    assert view["market"] == {"url": "http://m", "error": "http://m: no answer in time"}
    clock[0] = KEEP_SECONDS - 0.1
    assert watch.view() == view
    assert len(client.calls) == 2
    client.answers[market] = b"[]"
    clock[0] = KEEP_SECONDS
    assert watch.view()["market"]["trades"] == []
    assert ServiceWatch(None, None, lambda: 0.0, client).view() == {  # type: ignore[arg-type]
        "work": None,
        "market": None,
    }
