"""What is the wallet's: its transactions, its coins and its balance, derived from one another.

Nothing here talks or is stored; whoever drives it tells what happened. Every change updates the
unspent coins and their sums, so that asking costs nothing that grows with the history. Not
thread-safe.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from enum import Enum
from itertools import islice
from typing import NamedTuple

from misocoin.primitives.transaction import OutPoint, Transaction, transaction_from_bytes

UNCONFIRMED = -1
"""Height of a transaction that is in no block of the active chain."""

ABANDONED = -2
"""Stands in the place of a height for a payment that its owner has given up."""


class TxState(Enum):
    """Where a transaction of the wallet is."""

    CONFIRMED = "confirmed"
    """In a block of the active chain."""
    POOLED = "in mempool"
    WAITING = "waiting"
    """A payment of the wallet's that no mempool here holds: it is sent again, its coins are held
    for it.
    """
    DROPPED = "dropped"
    """It will not be mined as things are: another took its coins, it was given up, or it was
    somebody else's and left the mempool.
    """


@dataclass(frozen=True, slots=True)
class WalletTx:
    """A transaction that pays to or from the wallet."""

    txid: bytes
    """Wire order."""
    data: bytes
    """As on the wire; a quarter of the memory that the parsed form takes."""
    state: TxState
    height: int
    """Of its block, or UNCONFIRMED, or ABANDONED."""
    block_hash: bytes | None
    """Wire order; None without a block."""
    time: int
    """Unix time it was first seen, or of its block."""

    @property
    def tx(self) -> Transaction:
        """The transaction, parsed."""
        return transaction_from_bytes(self.data)


class OwnOutput(NamedTuple):
    """An output that pays to the wallet, spent or not."""

    point: OutPoint
    value: int
    """Base units."""
    script_pubkey: bytes


class Effects(NamedTuple):
    """What of a transaction matters to the wallet."""

    outputs: tuple[OwnOutput, ...]
    """Those that are the wallet's."""
    spends: tuple[OutPoint, ...]
    """What it spends, the wallet's or not; nothing for a coinbase, and only for one."""


class OwnCoin(NamedTuple):
    """An unspent output of the wallet's."""

    point: OutPoint
    value: int
    """Base units."""
    script_pubkey: bytes
    height: int
    """Of its block, or UNCONFIRMED."""
    is_coinbase: bool
    is_trusted: bool
    """Confirmed, or change of a payment of our own from trusted coins."""


class Balance(NamedTuple):
    """Base units, by how soon they can be spent."""

    available: int
    """Confirmed and mature, or change of a payment of our own."""
    pending: int
    """Payments of others that are not mined yet."""
    immature: int
    """Mined coins that are too young."""


class _Record(NamedTuple):
    entry: WalletTx
    effects: Effects


class Ledger:
    """The transactions of whoever `is_mine` answers for (a script of an output)."""

    def __init__(self, is_mine: Callable[[bytes], bool]) -> None:
        self._is_mine = is_mine
        self._records: dict[bytes, _Record] = {}
        self._outputs: dict[OutPoint, OwnOutput] = {}  # of all records, whatever their state
        # The ids of records that are not dropped and spend an outpoint, be it the wallet's or not:
        # its transaction may become known later, when a key is imported.
        self._spenders: dict[OutPoint, tuple[bytes, ...]] = {}
        self._loose: dict[bytes, None] = {}  # ids of what is neither confirmed nor in the mempool
        self._confirmed: dict[OutPoint, OwnCoin] = {}
        self._confirmed_value = 0
        self._mined_value: dict[int, int] = {}  # height -> unspent coinbase value
        self._unconfirmed: dict[OutPoint, OwnCoin] = {}

    # -- transactions -------------------------------------------------------------------------

    def __len__(self) -> int:
        return len(self._records)

    def __iter__(self) -> Iterator[WalletTx]:
        """All transactions, in the order in which they were first seen."""
        return (record.entry for record in self._records.values())

    def latest(self, count: int, skip: int = 0) -> list[WalletTx]:
        """At most `count` transactions, latest first, after passing over `skip` of them."""
        newest_first = islice(reversed(self._records.values()), skip, skip + count)
        return [record.entry for record in newest_first]

    def get(self, txid: bytes) -> WalletTx | None:
        """The transaction of that id."""
        record = self._records.get(txid)
        return None if record is None else record.entry

    def effects(self, txid: bytes) -> Effects:
        """What a known transaction does to the wallet. Raises KeyError for others."""
        return self._records[txid].effects

    def amounts(self, txid: bytes) -> tuple[int, int]:
        """Base units of the wallet's that a known transaction pays in, and that it spends."""
        effects = self._records[txid].effects
        received = sum([output.value for output in effects.outputs])
        spent = [self._outputs[point] for point in effects.spends if point in self._outputs]
        return received, sum([output.value for output in spent])

    def own_output(self, point: OutPoint) -> OwnOutput | None:
        """The output at `point`, if it is the wallet's."""
        return self._outputs.get(point)

    def is_relevant(self, tx: Transaction) -> bool:
        """Whether `tx` pays to the wallet or spends from it."""
        is_mine, outputs = self._is_mine, self._outputs
        return any([is_mine(script) for _, script in tx.vout]) or any(
            [txin.prevout in outputs for txin in tx.vin]
        )

    def effects_of(self, tx: Transaction) -> Effects:
        """What `tx` does to the wallet."""
        outputs = [
            OwnOutput(tx.outpoint(index), value, script)
            for index, (value, script) in enumerate(tx.vout)
            if self._is_mine(script)
        ]
        spends = () if tx.is_coinbase else tuple([txin.prevout for txin in tx.vin])
        return Effects(tuple(outputs), spends)

    def note(
        self,
        tx: Transaction,
        state: TxState,
        time: int,
        height: int = UNCONFIRMED,
        block_hash: bytes | None = None,
    ) -> WalletTx:
        """Add a transaction or change what is known of it; the time of the first call stays."""
        known = self._records.get(tx.txid)
        if known is not None:
            time = known.entry.time
        entry = WalletTx(tx.txid, tx.serialize(), state, height, block_hash, time)
        self.put(entry, self.effects_of(tx))
        return entry

    def set_state(self, txid: bytes, state: TxState, height: int = UNCONFIRMED) -> bool:
        """Move a known transaction out of its block; tells whether it is known.

        `height` is UNCONFIRMED or ABANDONED.
        """
        record = self._records.get(txid)
        if record is None:
            return False
        entry = replace(record.entry, state=state, height=height, block_hash=None)
        self.put(entry, record.effects)
        return True

    def put(self, entry: WalletTx, effects: Effects) -> None:
        """Take in a transaction as it is now; `effects` are what `effects_of` says about it."""
        old = self._records.get(entry.txid)
        if old is not None and old.entry.state is not TxState.DROPPED:
            self._retract(old)
        if entry.state in (TxState.CONFIRMED, TxState.POOLED):
            self._loose.pop(entry.txid, None)
        else:
            self._loose[entry.txid] = None
        self._records[entry.txid] = record = _Record(entry, effects)
        for output in effects.outputs:
            self._outputs[output.point] = output
        if entry.state is not TxState.DROPPED:
            self._apply(record)

    def loose(self) -> list[WalletTx]:
        """What is neither in a block nor in the mempool."""
        return [self._records[txid].entry for txid in self._loose]

    def is_payment(self, txid: bytes) -> bool:
        """Whether a known transaction spends the wallet's coins: it is the owner's, then."""
        return any([point in self._outputs for point in self._records[txid].effects.spends])

    def rivals(self, txid: bytes) -> list[bytes]:
        """The ids of mined and waiting transactions that spend what this one spends."""
        sure = (TxState.CONFIRMED, TxState.POOLED)
        return [
            other
            for point in self._records[txid].effects.spends
            for other in self._spenders.get(point, ())
            if other != txid and self._records[other].entry.state in sure
        ]

    def conflicts(self, txid: bytes) -> list[bytes]:
        """The ids of all known transactions that spend what this one spends."""
        points = self._records[txid].effects.spends
        found = {other for point in points for other in self._spenders.get(point, ())}
        found |= {
            other
            for other in self._loose
            if other not in found
            and not set(points).isdisjoint(self._records[other].effects.spends)
        }
        return sorted(found - {txid})

    def has_child(self, txid: bytes) -> bool:
        """Whether a transaction that is not dropped spends an own output of this one."""
        return any([each.point in self._spenders for each in self._records[txid].effects.outputs])

    def is_trusted(self, txid: bytes) -> bool:
        """Whether a transaction is mined, or waits in the mempool and spends own coins alone."""
        return self._is_trusted(txid, {})

    def settle(self) -> list[bytes]:
        """Decide which payments wait to be sent again and which are dropped; ids of the changed.

        A payment is dropped that has a rival or spends an output of a transaction that is dropped.
        """
        changed = []
        for txid in list(self._loose):
            entry = self._records[txid].entry
            state = TxState.WAITING if self._may_return(txid) else TxState.DROPPED
            if state is not entry.state:
                self.set_state(txid, state, entry.height)
                changed.append(txid)
        return changed

    def _may_return(self, txid: bytes) -> bool:
        record = self._records[txid]
        if record.entry.height == ABANDONED or not self.is_payment(txid) or self.rivals(txid):
            return False
        parents = (self._records.get(point[:32]) for point in record.effects.spends)
        return all([p is None or p.entry.state is not TxState.DROPPED for p in parents])

    # -- coins --------------------------------------------------------------------------------

    def is_spent(self, point: OutPoint) -> bool:
        """Whether a transaction that is not dropped spends the coin at `point`."""
        return point in self._spenders

    def coins(self) -> Iterator[OwnCoin]:
        """The unspent outputs, immature and pending ones included."""
        yield from self._confirmed.values()
        trusted: dict[bytes, bool] = {}
        for coin in self._unconfirmed.values():
            yield coin._replace(is_trusted=self._is_trusted(coin.point[:32], trusted))

    def balance(self, tip_height: int, maturity: int) -> Balance:
        """The sum of the coins as of `tip_height`."""
        mined = self._mined_value
        young = range(tip_height + 2 - maturity, tip_height + 1)
        immature = sum([mined.get(height, 0) for height in young])
        own = pending = 0
        trusted: dict[bytes, bool] = {}
        for coin in self._unconfirmed.values():
            if self._is_trusted(coin.point[:32], trusted):
                own += coin.value
            else:
                pending += coin.value
        return Balance(self._confirmed_value - immature + own, pending, immature)

    def _apply(self, record: _Record) -> None:
        """Count a record in that is mined or waits to be."""
        spenders = self._spenders
        for point in record.effects.spends:
            spenders[point] = (*spenders.get(point, ()), record.entry.txid)
            self._remove_coin(point)
        for output in record.effects.outputs:
            if output.point not in spenders:
                self._add_coin(output, record)

    def _retract(self, record: _Record) -> None:
        """Undo `_apply`."""
        for output in record.effects.outputs:
            self._remove_coin(output.point)
        for point in record.effects.spends:
            txid = record.entry.txid
            left = tuple([other for other in self._spenders[point] if other != txid])
            if left:
                self._spenders[point] = left
                continue
            del self._spenders[point]
            freed = self._outputs.get(point)
            if freed is not None:
                origin = self._records[point[:32]]
                if origin.entry.state is not TxState.DROPPED:
                    self._add_coin(freed, origin)

    def _add_coin(self, output: OwnOutput, origin: _Record) -> None:
        height = origin.entry.height
        confirmed = origin.entry.state is TxState.CONFIRMED
        coinbase = not origin.effects.spends
        coin = OwnCoin(*output, height, coinbase, confirmed)
        if not confirmed:
            self._unconfirmed[coin.point] = coin
            return
        self._confirmed[coin.point] = coin
        self._confirmed_value += coin.value
        if coinbase:
            self._mined_value[height] = self._mined_value.get(height, 0) + coin.value

    def _remove_coin(self, point: OutPoint) -> None:
        self._unconfirmed.pop(point, None)
        coin = self._confirmed.pop(point, None)
        if coin is None:
            return
        self._confirmed_value -= coin.value
        if coin.is_coinbase:
            left = self._mined_value.pop(coin.height, 0) - coin.value
            if left:
                self._mined_value[coin.height] = left

    def _is_trusted(self, txid: bytes, known: dict[bytes, bool]) -> bool:
        """Whether `txid` is confirmed, or in the mempool and built on nothing but the like.

        `known` holds what was found out so far.
        """
        waiting = [txid]
        while waiting:
            txid = waiting[-1]
            record = self._records.get(txid)
            if record is None or record.entry.state is not TxState.POOLED:
                known[txid] = record is not None and record.entry.state is TxState.CONFIRMED
            elif not all([point in self._outputs for point in record.effects.spends]):
                known[txid] = False
            else:
                parents = {point[:32] for point in record.effects.spends}
                unknown = [parent for parent in parents if parent not in known]
                if unknown:
                    waiting += unknown
                    continue
                known[txid] = all([known[parent] for parent in parents])
            waiting.pop()
        return known[txid]


def is_mature(coin: OwnCoin, tip_height: int, maturity: int) -> bool:
    """Whether the next block may hold a transaction that spends `coin`."""
    return not coin.is_coinbase or tip_height + 1 - coin.height >= maturity
