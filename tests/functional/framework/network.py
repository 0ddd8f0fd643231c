"""Several daemons: link them, cut them apart, wait until they agree."""

from collections.abc import Sequence
from contextlib import suppress

from misocoin.http.errors import RpcError
from tests.functional.framework.daemon import DEADLINE, Daemon, wait_until


def address(daemon: Daemon) -> str:
    """Where others reach it."""
    return f"127.0.0.1:{daemon.port}"


def tip(daemon: Daemon) -> str:
    """The hash of its best block."""
    return daemon.rpc.get_best_block()["hash"]


def height(daemon: Daemon) -> int:
    """Of its best block."""
    return daemon.rpc.get_info()["height"]


def is_linked(one: Daemon, other: Daemon) -> bool:
    """Whether `one` sees a link with `other`."""
    return address(other) in {peer["address"] for peer in one.rpc.get_peers()}


def link(one: Daemon, other: Daemon) -> None:
    """Have `one` keep a link with `other`, and wait for it."""
    one.rpc.add_node(address(other))
    wait_until(lambda: is_linked(one, other) and is_linked(other, one), "they link")


def unlink(one: Daemon, other: Daemon) -> None:
    """End the links between two, from both ends."""
    for here, there in ((one, other), (other, one)):
        with suppress(RpcError):  # the other end may have been quicker
            here.rpc.remove_node(address(there))
    wait_until(lambda: not is_linked(one, other) and not is_linked(other, one), "the link ends")


def wait_for_tip(daemons: Sequence[Daemon], best: str, timeout: float = DEADLINE) -> None:
    """Wait until all of them have this best block."""
    for daemon in daemons:
        wait_until(
            lambda daemon=daemon: tip(daemon) == best, f"{address(daemon)} gets {best}", timeout
        )


def wait_for_agreement(daemons: Sequence[Daemon], timeout: float = DEADLINE) -> str:
    """Wait until all have one best block, and tell it."""
    found: set[str] = set()

    def agree() -> bool:
        found.clear()
        found.update(tip(daemon) for daemon in daemons)
        return len(found) == 1

    wait_until(agree, "all agree", timeout)
    return found.pop()
