"""Two daemons that are linked, for light wallets to ask both."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.functional.framework.daemon import Daemon
from tests.functional.framework.network import link, wait_for_tip

STRANGER = "22" * 20


def miso(amount: float) -> str:
    return f"{amount:.8f}"


@contextmanager
def linked_pair(folder: Path) -> Iterator[tuple[Daemon, Daemon]]:
    """Two daemons that are linked."""
    one, two = Daemon(folder / "one", "-gossip=0"), Daemon(folder / "two", "-gossip=0")
    try:
        one.launch()
        two.start()
        one.log.wait_for("listening on")
        link(two, one)
        yield one, two
    finally:
        one.close()
        two.close()


def mine(nodes: tuple[Daemon, ...], count: int, to: str = STRANGER) -> None:
    """Mine, and wait until all have the blocks."""
    best = nodes[0].rpc.generate(count, to)[-1]
    wait_for_tip(nodes, best)
