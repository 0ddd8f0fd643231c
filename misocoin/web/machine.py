"""What the machine room remembers while nobody looks."""

from collections.abc import Callable
from time import monotonic, time

from misocoin.web.log_tail import LogTail
from misocoin.web.rates import RateSampler
from misocoin.web.services import ServiceWatch


class MachineRoom:
    """Messages, hash rates and the owner's other services, between `start` and `stop`."""

    def __init__(
        self, rate: Callable[[], float], work_url: str | None, market_url: str | None
    ) -> None:
        """`rate` is the miner's, in hashes a second; the addresses are those of the services."""
        self.log = LogTail()
        self.rates = RateSampler(rate, time)
        self.services = ServiceWatch(work_url, market_url, monotonic)

    def start(self) -> None:
        """Begin."""
        self.log.attach()
        self.rates.start()

    def stop(self) -> None:
        """End."""
        self.rates.stop()
        self.log.detach()
        self.services.close()
