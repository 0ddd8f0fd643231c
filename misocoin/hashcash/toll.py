"""The toll at a gate: what is asked of whom, and whether a stamp pays it.

It knows the service's name, the prices, the salts of the moment and the stamps that were spent.
Nothing here waits or looks at a clock; `now` is the time of day in seconds, handed in. An account
is whoever pays together: `price.account_from_address` tells it from an address.
"""

import hmac
from collections.abc import Callable, Mapping
from typing import Final

from misocoin.hashcash.challenge import (
    SALT_DIGITS,
    Challenge,
    RequestStamp,
    check_service,
    check_work,
)
from misocoin.hashcash.errors import StampError, StampFault
from misocoin.hashcash.original import Stamped
from misocoin.hashcash.price import Prices, Tariff, bits_for_cost
from misocoin.hashcash.spent import SpentStamps
from misocoin.units import UnixTime

DEFAULT_WINDOW: Final = 120
"""Seconds for which a stamp is good."""

DEFAULT_CAPACITY: Final = 200_000
"""Spent stamps remembered: 20 megabytes."""

EARLY_SECONDS: Final = 5
"""By how much a stamp may be ahead of the server's clock: a client reckons from the server's."""


class Toll:
    """Asks for stamps and counts each of them once. For one thread at a time."""

    def __init__(
        self,
        service: str,
        secret: bytes,
        tariff: Tariff | None = None,
        window: int = DEFAULT_WINDOW,
        capacity: int = DEFAULT_CAPACITY,
    ) -> None:
        """`secret` is random and of this run alone: no stamp of an earlier run is good in it.

        Raises ParseError for a name that a service cannot have.
        """
        check_service(service)
        self._service = service
        self._secret = secret
        self._prices = Prices(tariff or Tariff())
        self._window = window
        self._spent = SpentStamps(capacity)
        self._salts: tuple[int, str, str] = (-1, "", "")

    @property
    def costs(self) -> Mapping[str, int]:
        """Cost of each method that does not cost 1."""
        return self._prices.tariff.costs

    @property
    def remembered(self) -> int:
        """Spent stamps in memory."""
        return len(self._spent)

    def challenge(self, account: str, now: float) -> Challenge:
        """What is asked of an account for a request of cost 1; with 0 bits there is no need."""
        bits = self._prices.promise(account, now)
        return Challenge(bits, UnixTime(int(now)), self._service, self._salts_at(now)[0])

    def is_outdated(self, challenge: Challenge, account: str, now: float) -> bool:
        """Whether someone who knows this challenge should hear of another one."""
        bits = self._prices.bits(account, now)
        return challenge.bits != bits or challenge.salt != self._salts_at(now)[0]

    def is_free(self, account: str, now: float) -> bool:
        """Whether requests need no stamp now."""
        return not self._prices.accepted_bits(account, now)

    def admit(
        self,
        stamp: RequestStamp,
        request: bytes,
        cost_of: Callable[[bytes], int],
        account: str,
        now: float,
    ) -> None:
        """Let a request through for a stamp of version 2; raises StampError where it does not pay.

        What costs least to see is looked at first; `cost_of` is not asked about a request without
        any work in it, and what it raises goes through.
        """
        asked = stamp.challenge
        if asked.service != self._service:
            raise StampError(StampFault.FOREIGN, f"it is for {asked.service}")
        if asked.salt not in self._salts_at(now):
            raise StampError(StampFault.FOREIGN, "its salt is not, or no longer, in use")
        if asked.time < now - self._window:
            raise StampError(StampFault.STALE, f"it is older than {self._window} seconds")
        if asked.time > now + EARLY_SECONDS:
            raise StampError(StampFault.STALE, "it is from the future")
        bits = self._prices.accepted_bits(account, now)
        _check_bits(asked.bits, bits, 1)
        digest = check_work(stamp, request)
        cost = cost_of(request)
        _check_bits(asked.bits, bits, cost)
        self._spent.spend(digest, asked.time, now - self._window)
        self._prices.count(account, cost, now)

    def admit_original(self, stamped: Stamped, cost: int, account: str, now: float) -> None:
        """Let a request through for a stamp of the original; raises StampError.

        Such a stamp carries no time: for as long as one of version 2 is good it counts once.
        """
        _check_bits(stamped.bits, self._prices.accepted_bits(account, now), cost)
        self._spent.spend(stamped.digest, now, now - self._window)
        self._prices.count(account, cost, now)

    def admit_free(self, cost: int, account: str, now: float) -> None:
        """Let a request without stamp through if that is free now; raises StampError if not."""
        if not self.is_free(account, now):
            raise StampError(StampFault.MISSING)
        self._prices.count(account, cost, now)

    def refuse(self, account: str, now: float) -> float:
        """Note a bad request; returns the seconds for which its sender should not be heard."""
        return self._prices.count_failure(account, now)

    def _salts_at(self, now: float) -> tuple[str, str]:
        """The salt of now and the one before it, which is still good."""
        epoch = int(now) // self._window
        if self._salts[0] != epoch:
            self._salts = (epoch, self._salt(epoch), self._salt(epoch - 1))
        return self._salts[1:]

    def _salt(self, epoch: int) -> str:
        digest = hmac.digest(self._secret, str(epoch).encode(), "sha256")
        return digest.hex()[:SALT_DIGITS]


def _check_bits(bits: int, price: int, cost: int) -> None:
    asked = bits_for_cost(price, cost)
    if bits < asked:
        raise StampError(StampFault.CHEAP, f"it has {bits} bits, not {asked}")
