"""Methods about the node itself. `help` stands with the registry's texts (`misocoin/rpc/help`)."""

import time
from collections.abc import Callable

from misocoin.rpc.declare import Access, Category, method
from misocoin.rpc.json import Json
from misocoin.rpc.schema import number, text


class ControlMethods:
    """Stopping, and how long it has run."""

    def __init__(self, request_stop: Callable[[], None], started_at: float) -> None:
        """`started_at` is a reading of the monotonic clock."""
        self._request_stop = request_stop
        self._started_at = started_at

    @method(
        Category.CONTROL,
        access=Access.AUTH,
        result=text("that it is under way"),
    )
    def stop(self) -> Json:
        """Stop the node; what it holds in memory goes to disk first."""
        self._request_stop()
        return "misocoind is stopping"

    @method(Category.CONTROL, result=number("seconds"))
    def uptime(self) -> Json:
        """Tell for how many seconds the node has been running."""
        return int(time.monotonic() - self._started_at)
