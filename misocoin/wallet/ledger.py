"""What is the wallet's: its transactions, its coins and its balance, derived from one another.

Nothing here talks or is stored; whoever drives it tells what happened. Not thread-safe.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from enum import Enum
from typing import NamedTuple

from misocoin.primitives.transaction import OutPoint, Transaction


class TxState(Enum):
    """Where a transaction of the wallet is."""

    CONFIRMED = "confirmed"
    """In a block of the active chain."""
    POOLED = "in mempool"
    DROPPED = "dropped"
    """Neither: it lost its place to another, expired, or waits to be sent again."""


@dataclass(frozen=True, slots=True)
class WalletTx:
    """A transaction that pays to or from the wallet."""

    tx: Transaction
    state: TxState
    height: int
    """Of its block; -1 without one."""
    block_hash: bytes | None
    time: int
    """Unix time it was first seen, or of its block."""


class OwnCoin(NamedTuple):
    """An unspent output of the wallet's."""

    point: OutPoint
    value: int
    script_pubkey: bytes
    height: int
    """Of its block; -1 while unconfirmed."""
    is_coinbase: bool
    is_trusted: bool
    """Confirmed, or change of a payment of our own."""


class Balance(NamedTuple):
    """Base units, by how soon they can be spent."""

    available: int
    """Confirmed and mature, or change of a payment of our own."""
    pending: int
    """Payments of others that are not mined yet."""
    immature: int
    """Mined coins that are too young."""


class Ledger:
    """The transactions of whoever `is_mine` answers for (a script of an output)."""

    def __init__(self, is_mine: Callable[[bytes], bool]) -> None:
        self._is_mine = is_mine
        self._transactions: dict[bytes, WalletTx] = {}
        self._spenders: dict[OutPoint, set[bytes]] = {}  # own outpoint -> txids that spend it

    def __iter__(self) -> Iterator[WalletTx]:
        """All transactions, in the order in which they were first seen."""
        return iter(self._transactions.values())

    def get(self, txid: bytes) -> WalletTx | None:
        """The transaction of that id."""
        return self._transactions.get(txid)

    def own_output(self, point: OutPoint) -> int | None:
        """What the output at `point` holds in base units, if it is the wallet's."""
        entry = self._transactions.get(point[:32])
        index = int.from_bytes(point[32:], "little")
        if entry is None or index >= len(entry.tx.vout):
            return None
        value, script = entry.tx.vout[index]
        return value if self._is_mine(script) else None

    def is_relevant(self, tx: Transaction) -> bool:
        """Whether `tx` pays to the wallet or spends from it."""
        return any(self._is_mine(script) for _, script in tx.vout) or any(
            self.own_output(txin.prevout) is not None for txin in tx.vin
        )

    def put(self, entry: WalletTx) -> None:
        """Add a transaction or change what is known of it."""
        txid = entry.tx.txid
        if txid not in self._transactions:
            for txin in entry.tx.vin:
                self._spenders.setdefault(txin.prevout, set()).add(txid)
        self._transactions[txid] = entry

    def set_state(
        self, txid: bytes, state: TxState, height: int = -1, block_hash: bytes | None = None
    ) -> WalletTx | None:
        """Move a known transaction; returns it as it is now."""
        entry = self._transactions.get(txid)
        if entry is None:
            return None
        moved = replace(entry, state=state, height=height, block_hash=block_hash)
        self._transactions[txid] = moved
        return moved

    def is_spent(self, point: OutPoint) -> bool:
        """Whether a transaction that is mined or waits to be spends the coin at `point`."""
        return any(
            self._transactions[txid].state is not TxState.DROPPED
            for txid in self._spenders.get(point, ())
        )

    def is_own_payment(self, tx: Transaction) -> bool:
        """Whether every input of `tx` is the wallet's."""
        return not tx.is_coinbase and all(
            self.own_output(txin.prevout) is not None for txin in tx.vin
        )

    def coins(self) -> Iterator[OwnCoin]:
        """The unspent outputs, immature and pending ones included."""
        for entry in self._transactions.values():
            if entry.state is TxState.DROPPED:
                continue
            trusted = entry.state is TxState.CONFIRMED or self.is_own_payment(entry.tx)
            coinbase = entry.tx.is_coinbase
            for index, (value, script) in enumerate(entry.tx.vout):
                if not self._is_mine(script):
                    continue
                point = entry.tx.outpoint(index)
                if not self.is_spent(point):
                    yield OwnCoin(point, value, script, entry.height, coinbase, trusted)

    def amounts(self, tx: Transaction) -> tuple[int, int]:
        """Base units of the wallet's that `tx` pays in, and those that it spends."""
        received = sum(value for value, script in tx.vout if self._is_mine(script))
        values = (self.own_output(txin.prevout) for txin in tx.vin)
        return received, sum(value for value in values if value is not None)


def is_mature(coin: OwnCoin, tip_height: int, maturity: int) -> bool:
    """Whether the next block may hold a transaction that spends `coin`."""
    return not coin.is_coinbase or tip_height + 1 - coin.height >= maturity


def calculate_balance(ledger: Ledger, tip_height: int, maturity: int) -> Balance:
    """Sum up the wallet's coins as of `tip_height`."""
    available = pending = immature = 0
    for coin in ledger.coins():
        if not is_mature(coin, tip_height, maturity):
            immature += coin.value
        elif coin.is_trusted:
            available += coin.value
        else:
            pending += coin.value
    return Balance(available, pending, immature)
