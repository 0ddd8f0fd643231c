"""Who may do what: tokens, how many of each, and what wrong results lead to."""

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from hashlib import sha256
from hmac import compare_digest
from ipaddress import ip_address
from typing import Final, TypeVar

T = TypeVar("T")

MAX_REMEMBERED: Final = 10_000
"""How many addresses with faults or bans are remembered; the oldest are forgotten first."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How many, how long and how hard."""

    connections: int = 10_000
    """Open connections."""
    connections_per_address: int = 500
    """Open connections from one address that is not this machine's."""
    jobs: int = 10_000
    """Open jobs."""
    jobs_per_client: int = 1_000
    """Open jobs that one client has handed in."""
    pending: int = 100
    """Requests of one connection that wait for an answer; more are not read meanwhile."""
    hashes: float = float(1 << 44)
    """Expected hashes of the hardest job."""
    deadline: float = 3600.0
    """Seconds that a job has if its client does not say."""
    opening_seconds: float = 10.0
    """From a connection's beginning to its first whole message."""
    message_seconds: float = 30.0
    """From the first byte of a message to its last."""
    idle_seconds: float = 300.0
    """How long a connection that waits for nothing may keep silent."""
    faults: int = 3
    """Wrong results until a miner is banned."""
    ban_seconds: float = 3600.0
    """How long a ban lasts, and how long a fault is remembered."""


class Tokens:
    """The secrets that give access; without any, everybody has it."""

    def __init__(self, tokens: Collection[str] = ()) -> None:
        self._tokens = tuple(token.encode() for token in tokens)

    @property
    def are_needed(self) -> bool:
        """Whether there are any."""
        return bool(self._tokens)

    def admit(self, token: str) -> bool:
        """Whether a token gives access; takes as long for every wrong one."""
        given = token.encode("utf-8", "replace")
        matches = [compare_digest(known, given) for known in self._tokens]
        return any(matches) or not matches


def name_from_token(token: str) -> str:
    """Return what a token's holder is called in queues and logs; the token does not follow."""
    return "token-" + sha256(token.encode("utf-8", "replace")).hexdigest()[:12]


def name_from_address(address: str) -> str:
    """Return what a client is called by its address: one name for an IPv6 network of 64 bits."""
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if parsed.version == 4:
        return str(parsed)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return f"{ip_address(int(parsed) >> 64 << 64)}/64"


def is_this_machine(name: str) -> bool:
    """Whether an address is the one that all programs and proxies of this machine share."""
    return name in ("127.0.0.1", "::/64")


class Conduct:
    """Faults and bans by name. Times are seconds of a monotonic clock."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._faults: dict[str, list[float]] = {}
        self._banned: dict[str, float] = {}

    def fault(self, name: str, now: float) -> bool:
        """Note a wrong result; True where it was the one too many."""
        faults = self._faults.pop(name, [])
        recent = [time for time in faults if now - time < self._limits.ban_seconds]
        recent.append(now)
        if len(recent) >= self._limits.faults:
            _remember(self._banned, name, now + self._limits.ban_seconds)
            return True
        _remember(self._faults, name, recent)
        return False

    def is_banned(self, name: str, now: float) -> bool:
        """Whether somebody is kept out now."""
        until = self._banned.get(name)
        if until is not None and until <= now:
            del self._banned[name]
            return False
        return until is not None

    def banned(self, now: float) -> int:
        """Return how many are kept out now."""
        return sum(until > now for until in self._banned.values())


def _remember(memory: dict[str, T], name: str, value: T) -> None:
    if len(memory) >= MAX_REMEMBERED and name not in memory:
        del memory[next(iter(memory))]
    memory[name] = value


class Places:
    """Counts what each may have some of."""

    def __init__(self) -> None:
        self._taken: Counter[str] = Counter()

    def __getitem__(self, name: str) -> int:
        return self._taken[name]

    def take(self, name: str) -> None:
        """Count one more."""
        self._taken[name] += 1

    def leave(self, name: str) -> None:
        """Count one less."""
        self._taken[name] -= 1
        if self._taken[name] <= 0:
            del self._taken[name]

    def __len__(self) -> int:
        return len(self._taken)
