"""How long bids and the phases of a trade last. BitWrk's times unless an article has its own."""

from typing import NamedTuple

from misocoin.market.moments import MINUTE

LONGEST = 7 * 24 * 60 * MINUTE
"""Microseconds that any of the times has at most."""


class Times(NamedTuple):
    """Lengths of time in microseconds."""

    bid: int = 2 * MINUTE
    """From a bid's creation to its expiry."""
    establish: int = MINUTE
    """From the match until both sides must have come."""
    transmit: int = 2 * MINUTE
    """What the transfer of the work adds."""
    work: int = 5 * MINUTE
    """What the work itself adds."""
    verify: int = 15 * MINUTE
    """What the buyer's look at the result adds; then it is paid."""
    dispute: int = 10 * MINUTE
    """From a rejection in version 2 until it must be proven."""


BITWRK_TIMES = Times()
"""Those of the original server."""
