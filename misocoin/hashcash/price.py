"""What a request costs: more bits while its sender, or everybody together, asks for much.

Load is a rate that fades: every request adds its cost to a level that halves every ten seconds.
Up to the rate that is allowed the price is the quiet one; each doubling beyond it adds a bit.
"""

import ipaddress
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from math import ceil, exp2, log, log2
from types import MappingProxyType
from typing import Final

HALF_LIFE: Final = 10.0
"""Seconds in which a level falls to half."""

MAX_ACCOUNTS: Final = 1 << 16
"""Addresses remembered; the one that was silent for longest is forgotten first."""

FAILURE_BURST: Final = 20.0
"""Bad requests that an address may send at once before it is made to wait."""

FAILURE_RATE: Final = 10.0
"""Bad requests a second that an address may send for ever."""

MAX_WAIT: Final = 30.0
"""The longest that a bad request makes its sender wait, in seconds."""


@dataclass(frozen=True, slots=True)
class Tariff:
    """How bits follow from load."""

    quiet_bits: int = 16
    """The price while load is low; with 0 requests are then free."""
    pressed_bits: int = 16
    """What the raised prices start from."""
    max_bits: int = 28
    """Where they end."""
    address_rate: float = 20.0
    """Cost a second that one address may cause at the quiet price."""
    total_rate: float = 2000.0
    """Cost a second that all may cause together at the quiet price."""
    costs: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    """Cost of each method; those not named here cost 1."""


def cost_of(methods: Iterable[str], costs: Mapping[str, int]) -> int:
    """What calls of these methods cost together, at least 1."""
    return max(1, sum(costs.get(method, 1) for method in methods))


def bits_for_cost(bits: int, cost: int) -> int:
    """Bits for a request of some cost where one of cost 1 needs `bits`; what is free stays free."""
    return bits + (cost - 1).bit_length() if bits else 0


def account_from_address(address: str) -> str:
    """Under what name an address is counted: IPv6 by its 64-bit network, as that is one user's."""
    try:
        numeric = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(numeric, ipaddress.IPv4Address):
        return address
    if numeric.ipv4_mapped is not None:
        return str(numeric.ipv4_mapped)
    return str(ipaddress.ip_network((int(numeric) >> 64 << 64, 64)))


class Level:
    """A quantity that fades."""

    __slots__ = ("_amount", "_at")

    def __init__(self) -> None:
        self._amount = 0.0
        self._at = 0.0

    def add(self, amount: float, now: float) -> None:
        """Raise it."""
        self._amount = self._faded(now) + amount
        self._at = max(self._at, now)

    def rate(self, now: float) -> float:
        """The steady rate that would keep it where it is, a second."""
        return self._faded(now) * log(2) / HALF_LIFE

    def _faded(self, now: float) -> float:
        return self._amount * exp2(-max(0.0, now - self._at) / HALF_LIFE)


class _Account:
    """What is known of one address."""

    __slots__ = ("failures", "failures_at", "load", "promise", "promised_until")

    def __init__(self) -> None:
        self.load = Level()
        self.failures = 0.0
        self.failures_at = 0.0
        self.promise = 0
        self.promised_until = 0.0


class Prices:
    """The price for each account, by what was asked lately. Times are in seconds of one clock."""

    def __init__(self, tariff: Tariff, promise_seconds: float = 5.0) -> None:
        """A price that was told is taken for `promise_seconds`, even if it has risen meanwhile."""
        self.tariff = tariff
        self._promise_seconds = promise_seconds
        self._accounts: dict[str, _Account] = {}
        self._total = Level()

    def bits(self, account: str, now: float) -> int:
        """The bits that a request of cost 1 needs now."""
        known = self._accounts.get(account)
        pressure = _pressure(self._total.rate(now), self.tariff.total_rate)
        if known is not None:
            own = _pressure(known.load.rate(now), self.tariff.address_rate)
            pressure = max(pressure, own)
        if not pressure:
            return self.tariff.quiet_bits
        return min(self.tariff.max_bits, self.tariff.pressed_bits + pressure)

    def promise(self, account: str, now: float) -> int:
        """The price that is to be told to someone; unless it is nothing it is good for a while."""
        bits = self.bits(account, now)
        known = self._account(account)
        if now > known.promised_until or bits <= known.promise:
            known.promise = bits
            known.promised_until = now + self._promise_seconds
        return bits

    def accepted_bits(self, account: str, now: float) -> int:
        """The least bits that a request of cost 1 may come with: the price or the promise."""
        bits = self.bits(account, now)
        known = self._accounts.get(account)
        if known is None or not known.promise or now > known.promised_until:
            return bits
        return min(bits, known.promise)

    def count(self, account: str, cost: float, now: float) -> None:
        """Note that a request was let through."""
        self._total.add(cost, now)
        self._account(account).load.add(cost, now)

    def count_failure(self, account: str, now: float) -> float:
        """Note a bad request; returns the seconds for which its sender should not be heard."""
        known = self._account(account)
        fallen = max(0.0, now - known.failures_at) * FAILURE_RATE
        known.failures = max(0.0, known.failures - fallen) + 1
        known.failures = min(known.failures, FAILURE_BURST + MAX_WAIT * FAILURE_RATE)
        known.failures_at = now
        return max(0.0, known.failures - FAILURE_BURST) / FAILURE_RATE

    def _account(self, name: str) -> _Account:
        """The account of that name, now the youngest; made where it is missing."""
        account = self._accounts.pop(name, None) or _Account()
        self._accounts[name] = account
        if len(self._accounts) > MAX_ACCOUNTS:
            del self._accounts[next(iter(self._accounts))]
        return account


def _pressure(rate: float, allowed: float) -> int:
    """Bits that a rate adds to the price."""
    return max(0, ceil(log2(rate / allowed))) if rate > 0 else 0
