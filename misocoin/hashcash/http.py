"""Stamps of version 2 over HTTP: status 429 with a challenge, and the same request with a stamp.

    < 429 Too Many Requests
    < Hashcash-Challenge: 2:17:1795243200:misocoin-miso:6f1d2c3b4a596877
    > POST /
    > Hashcash: 2:17:1795243200:misocoin-miso:6f1d2c3b4a596877:00c5a3f2e1b40d96

What is stamped is the request line's method and target, a newline, and the body.
"""

import secrets
import threading
from collections.abc import Callable
from typing import Final

from misocoin.errors import MisocoinError, ParseError
from misocoin.hashcash.challenge import (
    challenge_from_text,
    mint_request_stamp,
    request_stamp_from_text,
)
from misocoin.hashcash.errors import StampError, StampFault
from misocoin.hashcash.price import account_from_address, bits_for_cost
from misocoin.hashcash.toll import Toll
from misocoin.http.client import Pay
from misocoin.pow.engine import Engine
from misocoin.pow.engines import select_engine

MAX_PAID_BITS: Final = 26
"""The most that our own programs mint for a call: some seconds on one core."""


class HttpToll:
    """A toll on requests of HTTP. Threads may share it."""

    def __init__(self, toll: Toll, clock: Callable[[], float]) -> None:
        """`clock` tells the time of day in seconds."""
        self._toll = toll
        self._clock = clock
        self._lock = threading.Lock()

    def ask(
        self, address: str, stamp: str | None, request: bytes, cost: int
    ) -> tuple[StampError, str] | None:
        """Let a request pass: None. Otherwise why not, and the challenge to be answered.

        `stamp` is what came with it, `request` what `http.client.stamped_request` makes of it;
        without a stamp that may be empty.
        """
        account = account_from_address(address)
        with self._lock:
            now = self._clock()
            try:
                if stamp is None:
                    self._toll.admit_free(cost, account, now)
                else:
                    self._admit(stamp, request, cost, account, now)
            except StampError as error:
                challenge = self._toll.challenge(account, now)
                bits = bits_for_cost(challenge.bits, cost)
                return error, challenge._replace(bits=bits).text
        return None

    def _admit(self, stamp: str, request: bytes, cost: int, account: str, now: float) -> None:
        try:
            given = request_stamp_from_text(stamp)
        except ParseError as error:
            raise StampError(StampFault.MALFORMED, str(error)) from None
        self._toll.admit(given, request, lambda _: cost, account, now)


def make_payer(max_bits: int = MAX_PAID_BITS, engine: Callable[[], Engine] = select_engine) -> Pay:
    """Make what answers challenges for an `HttpClient`; threads may share it.

    The engine is chosen when it is first needed.
    """

    def pay(text: str, request: bytes) -> str | None:
        try:
            challenge = challenge_from_text(text)
            if challenge.bits > max_bits:
                return None
            start = secrets.randbelow(1 << 59)
            stamp = mint_request_stamp(challenge, request, engine(), start)
        except MisocoinError:
            return None
        return None if stamp is None else stamp.text

    return pay
