"""Commands of the owner's that are run when something happens (`-blocknotify`, `-walletnotify`).

A command is a line for the shell. What stands in it for a value is replaced first:

    -blocknotify     %s  hash of the new tip
    -walletnotify    %s  the transaction's id
                     %b  hash of its block, or `unconfirmed`
                     %h  height of its block, or -1
                     %w  the wallet's name, quoted for the shell
"""

import logging
import re
import shlex
import subprocess
import threading
from collections import deque
from collections.abc import Callable, Mapping
from typing import NamedTuple

from misocoin.chain.events import (
    BlockConnected,
    BlockDisconnected,
    Event,
    TipChanged,
    TransactionAdded,
)
from misocoin.consensus.tree import HeaderNode
from misocoin.notify.tips import tips_on_the_way

log = logging.getLogger(__name__)

RUNNING = 4
"""Commands that run at once."""

WAITING = 10_000
"""Commands that may wait for those; what comes beyond is not run, and told of."""

CATCHING_UP = 144
"""Blocks that the best header may be ahead before no command tells of each one on the way."""


class Templates(NamedTuple):
    """The commands; empty where there is none."""

    block: str = ""
    wallet: str = ""


def fill(template: str, values: Mapping[str, str]) -> str:
    """Put values for their `%x`; any other `%` stays. One pass: no value is looked at again."""
    return re.sub(r"%(.)", lambda match: values.get(match[1], match[0]), template)


def transaction_values(txid_hex: str, node: HeaderNode | None, wallet: str) -> dict[str, str]:
    """What a wallet's command is told of a transaction."""
    return {
        "s": txid_hex,
        "b": "unconfirmed" if node is None else node.header.hash_hex,
        "h": "-1" if node is None else str(node.height),
        "w": shlex.quote(wallet),
    }


class CommandRunner:
    """Runs commands in the background, a few at once, in the order in which they came."""

    def __init__(self, running: int = RUNNING, waiting: int = WAITING) -> None:
        self._most_running = running
        self._most_waiting = waiting
        self._queue: deque[str] = deque()
        self._changed = threading.Condition()
        self._running = 0
        self._threads = 0
        self._lost = 0

    def run(self, command: str) -> None:
        """Have a command run; returns at once."""
        with self._changed:
            if len(self._queue) >= self._most_waiting:
                self._lost += 1
                return
            self._queue.append(command)
            if self._threads < self._most_running and self._threads - self._running == 0:
                self._threads += 1
                threading.Thread(target=self._work, name="notify", daemon=True).start()

    def _work(self) -> None:
        while True:
            with self._changed:
                if not self._queue:
                    self._threads -= 1
                    self._changed.notify_all()
                    return
                command = self._queue.popleft()
                self._running += 1
                lost, self._lost = self._lost, 0
            if lost:
                log.warning("%d commands were not run: too many were waiting", lost)
            run_command(command)
            with self._changed:
                self._running -= 1

    def wait(self, timeout: float) -> bool:
        """Wait until nothing runs or waits; False when the time was too short."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._threads and not self._queue, timeout)


def run_command(command: str) -> None:
    """Run a command by the shell and wait for it; the log hears when it fails."""
    try:
        # The owner wrote this line for the shell; what was put into it are hashes and numbers.
        done = subprocess.run(command, shell=True, stdin=subprocess.DEVNULL, check=False)  # noqa: S602
    except OSError as error:
        log.warning("%s cannot be run: %s", command, error)
        return
    if done.returncode:
        log.warning("%s ended with %d", command, done.returncode)


class CommandNotifier:
    """Makes commands of events; its `handle` is to be subscribed behind the wallet's."""

    def __init__(
        self,
        templates: Templates,
        run: Callable[[str], None],
        best_header: Callable[[], HeaderNode],
        is_own: Callable[[bytes], bool],
        wallet_name: Callable[[], str] = str,
    ) -> None:
        """`is_own` tells whether the transaction of an id is the wallet's."""
        self._templates = templates
        self._run = run
        self._connected: list[HeaderNode] = []
        self._best_header = best_header
        self._is_own = is_own
        self._wallet_name = wallet_name

    def handle(self, event: Event) -> None:
        """Run what is to be run for an event; called under the chain's lock."""
        match event:
            case TipChanged(old, new):
                connected, self._connected = self._connected, []
                if self._templates.block and self._best_header().height - new.height <= CATCHING_UP:
                    for node in tuple(tips_on_the_way(old, connected)) or (new,):
                        self._run(fill(self._templates.block, {"s": node.header.hash_hex}))
            case TransactionAdded(tx):
                self._tell(tx.txid, None)
            case BlockConnected(node, block):
                self._connected.append(node)
                for tx in block.transactions:
                    self._tell(tx.txid, node)
            case BlockDisconnected(_, block):
                self._connected.clear()
                for tx in block.transactions:
                    self._tell(tx.txid, None)

    def _tell(self, txid: bytes, node: HeaderNode | None) -> None:
        if self._templates.wallet and self._is_own(txid):
            values = transaction_values(txid[::-1].hex(), node, self._wallet_name())
            self._run(fill(self._templates.wallet, values))
